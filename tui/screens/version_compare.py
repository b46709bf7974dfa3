"""Two versions side by side, and from there every answer that changed. Opened from Versions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from tui.present import comparing
from tui.screens.evaluate_flips import FlipsScreen
from tui.widgets.confirm import Page


class ComparePage(Page):
    """found: as `desk.compare` has it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "flips", show=False)]

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__("Two versions", partial(comparing.page, found))
        self._found = found
        if comparing.changed(found):
            self._hint = "f every changed answer · " + self._hint

    def action_flips(self) -> None:
        if comparing.changed(self._found):
            self.app.push_screen(FlipsScreen(self._found))
