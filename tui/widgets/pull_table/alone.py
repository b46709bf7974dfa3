"""An app of one table and nothing else: to look into a file, and to try the table out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType

from core.errors import QAError
from tui.theme import DEFAULT, THEMES, roles
from tui.threads import Threads
from tui.widgets.pull_table.columns import Column
from tui.widgets.pull_table.source import Order, PageSource
from tui.widgets.pull_table.table import PullTable


class Alone(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "quit")]

    def __init__(
        self, source: PageSource[Any], columns: Sequence[Column[Any]], order: Order | None = None
    ) -> None:
        super().__init__()
        self.source, self.columns, self.order = source, columns, order or Order()
        self.threads = Threads()

    def compose(self) -> ComposeResult:
        yield PullTable(self.columns, order=self.order)

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DEFAULT
        self.console.push_theme(roles(self.current_theme))
        table = self.query_one(PullTable)
        table.show(self.source)
        table.focus()

    def unexpected(self, error: Exception) -> QAError:
        return QAError(f"{type(error).__name__}: {error}")
