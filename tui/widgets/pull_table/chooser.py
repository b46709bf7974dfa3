"""Which columns of a table are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from tui.present import words
from tui.present.words import text
from tui.widgets.confirm import Dialog
from tui.widgets.lists import Row, RowList
from tui.widgets.pull_table.columns import Column


class ColumnChooser(Dialog[None]):
    """Each choice holds at once: `changed` is called. narrow: those there is no room for now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "switch", show=False),
        Binding("c", "leave", show=False),
    ]

    def __init__(
        self,
        columns: Sequence[Column[Any]],
        hidden: set[str],
        narrow: set[str],
        changed: Callable[[], None],
    ) -> None:
        body = text("What is not important goes by itself where the screen is narrow.")
        super().__init__("Columns", body, hint="space shows or hides · esc closes")
        self._columns = [c for c in columns if c.title]
        self._hidden, self._narrow, self._changed = hidden, narrow, changed

    def fields(self) -> ComposeResult:
        yield RowList(id="columns")

    def on_mount(self) -> None:
        self._fill()
        self.query_one(RowList).focus()

    def _fill(self) -> None:
        rows: list[Row] = [(c.name, partial(words.fit, self._drawn(c))) for c in self._columns]
        self.query_one(RowList).fill(rows)

    def _drawn(self, column: Column[Any]) -> Text:
        if column.name in self._hidden:
            return text(("○ ", "dim"), (column.title, "dim"))
        room = ("  no room now", "dim") if column.name in self._narrow else ""
        return text(("✔ ", "ok"), column.title, room)

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_switch()

    def action_switch(self) -> None:
        name = self.query_one(RowList).chosen
        if name is None:
            return
        if name not in self._hidden and len(self._hidden) == len(self._columns) - 1:
            self.notify("one column stays", markup=False, timeout=3)
            return
        self._hidden ^= {name}
        self._fill()
        self._changed()
