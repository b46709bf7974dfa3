"""One long list over a screen: the table, and the highlighted row in full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui import outside
from tui.asking import Asks
from tui.bindings import LONG, bindings
from tui.present.words import text
from tui.widgets.pane import Pane
from tui.widgets.pull_table import Column, Order, PageSource, PullTable
from tui.widgets.steady import Steady

if TYPE_CHECKING:
    from tui.app import ControlCentre

R = TypeVar("R")

WIDE = 150  # from here on the row in full stands beside the table, else below it
HINT = "/ filter · s sort · c columns · ctrl+s writes all to a file · esc closes"
SHORT_HINT = "/ filter · s sort · ctrl+s to a file · esc"


class LongList(Asks, ModalScreen[None], Generic[R]):
    """Subclasses set MODE, the word that a file of the list is named by, and say what a row is in full.

    `look` is told of every other row under the cursor; what it asks the desk for ends in `draw`.
    """

    MODE: ClassVar[str]
    CSS_PATH = "long_list.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(LONG)

    def __init__(
        self,
        title: Text | str,
        source: PageSource[R],
        columns: Sequence[Column[R]],
        *,
        order: Order,
        empty: str,
    ) -> None:
        super().__init__()
        self._title, self._source, self._columns = title, source, columns
        self._order, self._empty = order, empty

    def in_full(self, row: R, width: int) -> Text:
        raise NotImplementedError

    def look(self, row: R) -> None:
        """Another row is under the cursor."""

    def summary(self) -> str:
        """What is said beside the title of the list."""
        return self.table.state

    def file_behind(self) -> tuple[Path, int] | None:
        """(file of this machine, line from 1) of the highlighted row."""
        return None

    @property
    def centre(self) -> ControlCentre:
        return self.app  # type: ignore[return-value]

    @property
    def table(self) -> PullTable[R]:
        return self.query_one(PullTable)

    def compose(self) -> ComposeResult:
        with Vertical(id="long-box"), Horizontal(id="long-panes"):
            with Pane(id="long-list"):
                yield PullTable(self._columns, order=self._order, empty=self._empty, marks=False)
            with Pane(id="long-row"), VerticalScroll(id="long-scroll", can_focus=False):
                yield Steady(id="long-detail")

    def on_mount(self) -> None:
        self.query_one("#long-list", Pane).title(self._title)
        self._fit()
        self.table.show(self._source)
        self.table.focus()
        self.set_interval(1.0, self._told)  # a list may be complete without another row

    def on_resize(self) -> None:
        self._fit()
        self.call_after_refresh(self.draw)

    def _fit(self) -> None:
        width = self.app.size.width
        self.set_class(width >= WIDE, "-wide")
        self.query_one("#long-row", Pane).subtitle(HINT if width >= 100 else SHORT_HINT)

    def draw(self) -> None:
        """The row in full, and what is said of the list."""
        row = self.table.row
        width = (self.query_one("#long-scroll").size.width or 61) - 1
        drawn = text() if row is None else self.in_full(row, width)
        self.query_one("#long-detail", Static).update(drawn)
        self.query_one("#long-list", Pane).subtitle(self.summary())

    @on(PullTable.Told)
    def _told(self) -> None:
        self.query_one("#long-list", Pane).subtitle(self.summary())

    @on(PullTable.RowHighlighted)
    def _highlighted(self, event: PullTable.RowHighlighted) -> None:
        if event.row is not None:
            self.look(event.row)
        self.draw()
        self.query_one("#long-scroll", VerticalScroll).scroll_home(animate=False)

    # keys

    def action_scroll(self, way: int) -> None:
        scroll = self.query_one("#long-scroll", VerticalScroll)
        scroll.scroll_relative(y=way * max(1, scroll.size.height - 2), animate=False)

    def named(self, row: Any) -> str:
        """What is copied of a row."""
        return self._source.key(row)

    def action_copy(self) -> None:
        row = self.table.row
        if row is None:
            self.centre.say("Nothing is highlighted that could be copied.")
        else:
            name = self.named(row)
            self.centre.copy(name, name)

    def action_open_file(self) -> None:
        found = self.file_behind()
        if found is None:
            self.centre.say("No file of this machine is behind what is highlighted.")
        elif self.centre.read_only:
            outside.view(self.centre, outside.EDITOR, *found)
        else:
            outside.edit(self.centre, *found)

    def action_leave(self) -> None:
        self.dismiss()
