"""Which source an unknown id is another name of: the likest first, others by typing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList

from tui import clean
from tui.asking import Asks
from tui.desk.api import SourceRow
from tui.present import words
from tui.present.words import text
from tui.widgets.confirm import Dialog
from tui.widgets.lists import RowList

Near = Callable[[str, str], Sequence[SourceRow]]


class AliasDialog(Asks, Dialog[str]):
    """Answers with the id of a known source. near: unknown id, typed words → sources."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]

    def __init__(self, source_id: str, near: Near) -> None:
        body = text((clean.line(source_id, 200), "strong"), "\nis another name of …")
        super().__init__("Another name", body, hint="↑ ↓ choose · enter picks · esc cancels")
        self._source_id, self._near = source_id, near

    def fields(self) -> ComposeResult:
        yield Input(placeholder="words of its id, name or address", classes="field gap")
        yield RowList(id="near", empty="No known source holds these words.")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._look("")

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        event.stop()
        self._look(event.value.strip())

    def _look(self, typed: str) -> None:
        self.ask(lambda: self._near(self._source_id, typed), self._came, group="near")

    def _came(self, found: Sequence[SourceRow]) -> None:
        rows = self.query_one(RowList)
        rows.fill([(s.source_id, partial(words.fit, self._drawn(s))) for s in found])
        rows.choose(None)

    @staticmethod
    def _drawn(source: SourceRow) -> Text:
        name = clean.line(source.display_name, 80)
        return text(clean.line(source.source_id, 120), (f"  {name}", "dim"))

    def action_move(self, by: int) -> None:
        rows = self.query_one(RowList)
        rows.action_cursor_down() if by > 0 else rows.action_cursor_up()

    @on(Input.Submitted)
    def entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._pick()

    @on(OptionList.OptionSelected)
    def picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._pick()

    def _pick(self) -> None:
        chosen = self.query_one(RowList).chosen
        if chosen is not None:
            self.dismiss(chosen)
