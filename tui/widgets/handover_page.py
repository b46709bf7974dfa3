"""The handover note that was just written, to read and to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType

from tui import clean
from tui.present.words import text
from tui.widgets.confirm import Page

if TYPE_CHECKING:
    from tui.app import ControlCentre


class HandoverPage(Page):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "Copy", show=False)]

    def __init__(self, note: str, path: str) -> None:
        body = text(("stored as ", "dim"), (clean.line(path), "key"), "\n\n", clean.block(note))
        super().__init__("Handover note", body)
        self._hint = "y copies · j k scroll · esc closes"
        self._note = note

    def action_copy(self) -> None:
        cast("ControlCentre", self.app).copy(self._note, "the handover note")
