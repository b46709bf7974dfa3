"""The rows in sight, drawn line by line; where the cursor is, and what the mouse does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from tui.exporting import Whole
from tui.widgets.pull_table import columns, paint
from tui.widgets.pull_table.columns import Column, Piece, Want
from tui.widgets.pull_table.paint import MARK, Painter
from tui.widgets.pull_table.source import Order, PageSource, each_page
from tui.widgets.pull_table.window import Window

R = TypeVar("R")

HEADER = 1  # lines
OWN = frozenset({"header", "sorted", "waiting"})  # roles of the table's own
PATIENCE_S = 0.1  # for rows that are on their way, before their places are shown without them


class Rows(ScrollView, Generic[R], can_focus=True, inherit_bindings=False):
    """What the table around it has answers for. Rows that are on their way are drawn as places."""

    DEFAULT_CSS = """
    Rows {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        &> .rows--header { color: $text-muted; }
        &> .rows--sorted { color: $foreground; text-style: bold; }
        &> .rows--cursor { background: $block-cursor-blurred-background; }
        &:focus > .rows--cursor { background: $block-cursor-background; }
        &> .rows--waiting { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--header",
        "rows--sorted",
        "rows--cursor",
        "rows--waiting",
    }

    class Moved(Message):
        """The cursor is on another row, or rows in sight are wanted."""

    class Opened(Message):
        """A double click."""

    class Header(Message):
        """The name of a column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, shown: Sequence[Column[R]], *, empty: str, gutter: bool) -> None:
        super().__init__()
        self.columns = shown
        self.empty = empty
        self.problem = ""
        self.source: PageSource[R] | None = None
        self.order = Order()
        self.text = ""  # the filter of these rows
        self.window: Window[R] = Window()
        self.hidden: set[str] = set()
        self.marks: dict[str, None] = {}  # keys in the order they were marked
        self.cursor = 0
        self.step = 1  # the way the reader goes
        self._aim: tuple[int, int] | None = None  # cursor and top once their rows are here
        self._field: Input | None = None  # where keys go until it has the focus
        self._gutter = len(MARK) if gutter else 0
        self._natural: dict[str, int] = {}
        self._widths: list[int] | None = None
        self._cells: dict[str, list[list[Piece]]] = {}
        self._painter: Painter | None = None

    # what is there

    @property
    def total(self) -> int:
        return self.window.total or 0

    @property
    def page(self) -> int:
        """Rows that have room."""
        return max(1, self.size.height - HEADER)

    @property
    def top(self) -> int:
        return self.scroll_offset.y

    @property
    def aim(self) -> int:
        """Where the cursor is, or will be as soon as the rows there are here."""
        return self.cursor if self._aim is None else self._aim[0]

    @property
    def aim_top(self) -> int:
        """The row at the top of the screen, now or as soon as the rows of `aim` are here."""
        return self.top if self._aim is None else self._aim[1]

    @property
    def wanted(self) -> int | None:
        """The page to ask for next, so that what is in sight, or will be, is there."""
        top = self.aim_top
        return self.window.wanted(top, top + self.page - 1, self.step)

    @property
    def chosen(self) -> str | None:
        """Key of the row under the cursor."""
        return self._key(self.cursor)

    @property
    def aimed(self) -> str | None:
        """Key of the row at `aim`; None while it is on its way."""
        return self._key(self.aim)

    def _key(self, index: int) -> str | None:
        row = self.window.row(index)
        return None if row is None or self.source is None else self.source.key(row)

    def whole(self) -> Whole:
        """Every row that passes the filter, in this order, in the columns that are not hidden."""
        source, order, text = self.source, self.order, self.text
        kept = [c for c in self.columns if c.name not in self.hidden]

        def pages() -> Iterator[list[list[str]]]:
            for found in each_page(source, order, text) if source is not None else ():
                yield [[columns.words(c.draw(row)) for c in kept] for row in found]

        return Whole(tuple(c.title or "mark" for c in kept), self.total, pages)

    def show(self, window: Window[R], cursor: int, top: int, *, news: bool) -> None:
        """Other rows, all at once: what was there stays until they are here.

        news: the same rows as they are now, so that the columns need not move.
        """
        self.window, self._aim = window, None
        self.cursor = max(0, min(cursor, self.total - 1))
        self.virtual_size = Size(0, self.total + HEADER)
        self.forget(widths=not news)
        self._scroll_to_top(max(0, min(top, self.total - self.page)))

    def forget(self, *, widths: bool = True) -> None:
        """Draw everything anew: other rows, columns or colours."""
        if widths:
            self._natural.clear()
        self._cells.clear()
        self._widths = self._painter = None
        self.refresh()

    def arrived(self) -> None:
        """A page came in."""
        if self._aim is not None and self._ready(self._aim[1]):
            self._go_there()
        self.refresh()

    # the cursor

    def go_to(self, index: int, *, top: int | None = None) -> None:
        """Put the cursor on a row; the screen moves as little as it must, or to `top`."""
        if not self.total:
            return
        index = max(0, min(index, self.total - 1))
        self.step = 1 if index >= self.aim else -1
        above = self.aim_top
        if top is None:
            top = min(index, max(above, index - self.page + 1))
        top = max(0, min(top, self.total - self.page))
        waiting = self._aim is not None
        self._aim = (index, top)
        if self._ready(top):
            self._go_there()
            return
        if not waiting:
            self.set_timer(PATIENCE_S, self._go_there)
        self.post_message(self.Moved())

    def turn_page(self, pages: int) -> None:
        """The cursor and the screen by whole pages, so that the cursor stays on its line."""
        by = pages * max(1, self.page - 1)
        above = self.aim_top
        self.go_to(self.aim + by, top=above + by)

    def _ready(self, top: int) -> bool:
        return self.window.holds(top, top + self.page - 1)

    def _go_there(self) -> None:
        if self._aim is None:
            return
        (index, top), self._aim = self._aim, None
        before, self.cursor = self.cursor, min(index, max(0, self.total - 1))
        self._scroll_to_top(top)
        for line in {before, self.cursor}:
            self.refresh_line(line + HEADER)
        self.post_message(self.Moved())

    def _scroll_to_top(self, top: int) -> None:
        if top != self.top:
            self.scroll_to(y=top, animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.step = 1 if new_value > old_value else -1
            self.post_message(self.Moved())

    # drawing

    def notify_style_update(self) -> None:
        self._painter = None
        super().notify_style_update()

    def on_resize(self) -> None:
        self._widths = None
        if self.cursor >= self.top + self.page:
            self.go_to(self.cursor)
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        self._field = None
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._measure()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        painter, width = self._paint(), self.size.width
        if y == 0:
            return self._header(painter, width)
        if self.problem and y == self.size.height - 1:
            return painter.strip(columns.cut([(self.problem, "warn")], width), width)
        index = self.top + y - HEADER
        if index >= self.total:
            return self._below(painter, y, width)
        row = self.window.row(index)
        back = self._back("cursor") if index == self.cursor else None
        if row is None or self.source is None:
            words = f"{' ' * self._gutter}{index + 1:,} …"
            return painter.strip([(words, "waiting")], width, back)
        marked = self.source.key(row) in self.marks
        gutter_part = [(MARK if marked else " " * self._gutter, "key")] if self._gutter else []
        rights = [c.right for c in self.columns]
        return painter.strip(
            [*gutter_part, *paint.laid_out(self._drawn(row), self._laid(), rights)], width, back
        )

    def _below(self, painter: Painter, y: int, width: int) -> Strip:
        """Below the last row; where there is none, why."""
        if self.total or y != HEADER:
            return painter.strip([], width)
        words = "reading…" if self.window.total is None else self.empty
        return painter.strip(columns.cut([(words, "waiting")], width), width)

    def _header(self, painter: Painter, width: int) -> Strip:
        cells: list[list[Piece]] = []
        for column in self.columns:
            sorts = column.name == self.order.column
            cells.append([(self._title(column), "sorted" if sorts else "header")])
        rights = [c.right for c in self.columns]
        parts = paint.laid_out(cells, self._laid(), rights)
        return painter.strip([(" " * self._gutter, ""), *parts], width)

    def _title(self, column: Column[R]) -> str:
        if column.name != self.order.column:
            return column.title
        return f"{column.title} {'↓' if self.order.descending else '↑'}".strip()

    def _paint(self) -> Painter:
        if self._painter is None:
            self._painter = Painter(self.rich_style, self._role)
        return self._painter

    def _role(self, name: str) -> Style:
        if name in OWN:
            full = self.get_component_rich_style(f"rows--{name}")
            return Style(color=full.color, bold=full.bold)
        return self.app.console.get_style(name, default=Style())

    def _back(self, name: str) -> Style:
        return Style(bgcolor=self.get_component_rich_style(f"rows--{name}").bgcolor)

    def _drawn(self, row: R) -> list[list[Piece]]:
        assert self.source is not None
        key = self.source.key(row)
        found = self._cells.get(key)
        if found is None:
            found = [columns.pieces(c.draw(row), c.most) for c in self.columns]
            self._cells[key] = found
        return found

    def _measure(self) -> None:
        """The widest thing seen in each column; they do not get narrower while the reader scrolls."""
        if len(self._cells) > 4 * len(self.window) + self.page:
            self._cells.clear()  # of pages that are gone
        widths = self._natural
        for column in self.columns:
            own = columns.width([(self._title(column), "")])
            widths[column.name] = max(widths.get(column.name, 0), own)
        before = dict(widths)
        for index in range(self.top, min(self.total, self.top + self.page)):
            row = self.window.row(index)
            if row is None:
                continue
            for column, cell in zip(self.columns, self._drawn(row), strict=True):
                size = min(columns.width(cell), column.most)
                if size > widths[column.name]:
                    widths[column.name] = size
        if widths != before or self._widths is None:
            self._widths = None
            self._laid()
            self._styles_cache.clear()  # other columns: every line is another one

    def _laid(self) -> list[int]:
        """The width of each column."""
        if self._widths is None:
            wants = [
                Want(99, 0, 0)
                if c.name in self.hidden
                else Want(
                    c.rank, max(c.least, len(self._title(c))), self._natural.get(c.name, c.least)
                )
                for c in self.columns
            ]
            self._widths = columns.fit(wants, self.size.width - self._gutter - 1)
        return self._widths

    @property
    def in_sight(self) -> list[Column[R]]:
        """The columns there is room for."""
        return [c for c, width in zip(self.columns, self._laid(), strict=True) if width]

    # keys may come faster than they are answered, over a slow line all at once

    async def on_key(self, event: events.Key) -> None:
        """What follows the key that opens the filter is meant for the filter."""
        if self._field is not None:
            event.stop()
            self._field._forward_event(events.Key(event.key, event.character))
            return
        active = self.screen.active_bindings.get(event.key)
        if active is not None and active.binding.action == "filter" and active.node is self.parent:
            event.stop()
            await self.app.run_action("filter", active.node)

    def type_into(self, field: Input) -> None:
        """From now on keys are meant for `field`, which gets the focus after those that are here."""
        self._field = field
        self.call_later(self._give_focus)

    def _give_focus(self) -> None:
        if self.message_queue_size:
            self.call_later(self._give_focus)
        elif self._field is not None:
            self.screen.set_focus(self._field, scroll_visible=False)
            self._field = None

    # mouse

    def on_click(self, event: events.Click) -> None:
        if event.y < HEADER:
            at = event.x - self._gutter
            for column, (begin, end) in zip(self.columns, paint.spans(self._laid()), strict=True):
                if begin <= at < end and column.sorts:
                    self.post_message(self.Header(column.name))
            return
        index = self.top + event.y - HEADER
        if index >= self.total:
            return
        self.go_to(index)
        if event.chain == 2:
            self.post_message(self.Opened())
