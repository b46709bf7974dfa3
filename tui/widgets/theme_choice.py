"""Choosing the colours: the theme under the cursor is on at once, esc takes the old one back."""

from __future__ import annotations

from textual import on
from textual.widgets import OptionList

from tui import theme
from tui.present.words import text
from tui.widgets.confirm import Choose
from tui.widgets.lists import RowList


class ThemeChoice(Choose):
    """The name that was picked; None if the operator left."""

    def __init__(self, now: str) -> None:
        rows = [(t.name, text(f"{t.name:<22}", (about, "dim"))) for t, about in theme.OFFERED]
        body = text(
            ("What a colour means is also said by a shape or a word.", "dim"),
        )
        super().__init__("Colours", body, rows, hint="enter keeps it")
        self._before = now

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(RowList).choose(self._before)

    @on(OptionList.OptionHighlighted)
    def tried(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id:
            self.app.theme = event.option.id

    def action_leave(self) -> None:
        self.app.theme = self._before
        super().action_leave()
