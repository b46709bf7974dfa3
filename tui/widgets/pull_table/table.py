"""The table: its keys, what it tells the screen around it, marks, order, columns and filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from tui import clean
from tui.bindings import bindings
from tui.keys.pull_table import PULL
from tui.widgets.lists import vi
from tui.widgets.pull_table.chooser import ColumnChooser
from tui.widgets.pull_table.columns import Column
from tui.widgets.pull_table.pulling import Pulling
from tui.widgets.pull_table.rows import Rows
from tui.widgets.pull_table.source import Order

R = TypeVar("R")

_ARROWS = {"down": "cursor_down", "up": "cursor_up", "home": "first", "end": "last",
           "pagedown": "page_down", "pageup": "page_up"}  # fmt: skip
_NOT_HERE = frozenset({"find_next", "find_previous"})  # a filter leaves only what is found


class PullTable(Pulling[R]):
    """`show(source)` fills it. The app it lives in has `threads` and `unexpected` (tui.asking)."""

    DEFAULT_CSS = """
    PullTable {
        height: 1fr;
        & > Input { display: none; border: none; height: 1; padding: 0 1; background: $panel; }
        & > Input.-open { display: block; }
        & > Input:focus { border: none; height: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(b for b in vi(find="filter") if getattr(b, "action", "") not in _NOT_HERE),
        *(Binding(key, action, show=False) for key, action in _ARROWS.items()),
        *bindings(PULL),
        Binding("escape", "close", show=False),
    ]

    class RowHighlighted(Message):
        """Another row is under the cursor, or other values of the same row; None: there is none."""

        def __init__(self, table: PullTable[Any], row: Any) -> None:
            super().__init__()
            self.table, self.row = table, row

        @property
        def control(self) -> PullTable[Any]:
            return self.table

    class RowSelected(RowHighlighted):
        """Enter, or a double click."""

    class MarksChanged(Message):
        """keys: of the marked rows, in the order they were marked."""

        def __init__(self, table: PullTable[Any], keys: tuple[str, ...]) -> None:
            super().__init__()
            self.table, self.keys = table, keys

        @property
        def control(self) -> PullTable[Any]:
            return self.table

    class Told(Message):
        """`PullTable.state` reads otherwise than before."""

        def __init__(self, table: PullTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> PullTable[Any]:
            return self.table

    def __init__(
        self,
        columns: Sequence[Column[R]],
        *,
        order: Order = Order(),  # noqa: B008  frozen
        empty: str = "nothing here",
        hint: str = "words a row must hold; !word: must not",
        marks: bool = True,
        id: str | None = None,
    ) -> None:
        super().__init__(order, id=id)
        self._columns, self._hint, self._gutter = columns, hint, marks
        self._empty = empty
        self._first_order = order
        self._said = ""
        self._lit: R | None = None

    def compose(self) -> ComposeResult:
        rows = Rows(self._columns, empty=self._empty, gutter=self._gutter)
        rows.order = self._first_order
        field = Input(placeholder=self._hint)
        field.can_focus = False  # until it is opened; the first that can gets it on a new screen
        yield field
        yield rows

    def focus(self, scroll_visible: bool = True, **_: Any) -> PullTable[R]:
        self.rows.focus(scroll_visible)
        return self

    # what the screen around it may know

    @property
    def order(self) -> Order:
        return self.rows.order

    @property
    def total(self) -> int | None:
        """Rows that pass the filter; None before the first answer."""
        return self.rows.window.total

    @property
    def row(self) -> R | None:
        """The row under the cursor."""
        return self.rows.window.row(self.rows.cursor)

    @property
    def touched(self) -> bool:
        """Somebody is at work in it: the cursor was moved, or a filter is there or being typed."""
        return bool(self.rows.aim or self.asked[0] or self.query_one(Input).has_class("-open"))

    @property
    def chosen(self) -> str | None:
        return self.rows.chosen

    @property
    def marks(self) -> tuple[str, ...]:
        return tuple(self.rows.marks)

    @property
    def state(self) -> str:
        """`10,000 · /failed · by accuracy ↓ · 2 marked`"""
        parts = ["…" if self.total is None else f"{self.total:,}"]
        parts += [f"/{clean.line(self.text, 30)}"] if self.text else []
        if self.order != self._first_order:
            title = next((c.title for c in self._columns if c.name == self.order.column), "")
            parts.append(f"by {title} {'↓' if self.order.descending else '↑'}")
        parts += [f"{len(self.marks)} marked"] if self.marks else []
        return " · ".join(parts)

    def tell(self) -> None:
        """Tell of another row under the cursor, and of another state."""
        row = self.row
        if row != self._lit and (row is not None or not self.total):
            self._lit = row
            self.post_message(self.RowHighlighted(self, row))
        if self.state != self._said:
            self._said = self.state
            self.post_message(self.Told(self))

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        event.stop()
        self.tell()
        self.pull()

    # moving

    def go_to_key(self, key: str) -> None:
        """Put the cursor on a row by its key; a filter ends, as it might hide it."""
        self._put_field_away()
        self.turn_to("", self.asked[1], key)

    def action_cursor_down(self) -> None:
        self.rows.go_to(self.rows.aim + 1)

    def action_cursor_up(self) -> None:
        self.rows.go_to(self.rows.aim - 1)

    def action_first(self) -> None:
        self.rows.go_to(0)

    def action_last(self) -> None:
        self.rows.go_to(self.rows.total - 1)

    def action_page_down(self) -> None:
        self.rows.turn_page(1)

    def action_page_up(self) -> None:
        self.rows.turn_page(-1)

    def action_select(self) -> None:
        row = self.row
        if row is not None:
            self.post_message(self.RowSelected(self, row))

    @on(Rows.Opened)
    def _opened(self, event: Rows.Opened) -> None:
        event.stop()
        self.action_select()

    # marks

    def action_mark_row(self) -> None:
        if self._gutter and (key := self.chosen) is not None:
            self.mark(key, key not in self.rows.marks)
            self.action_cursor_down()

    def mark(self, key: str, on: bool = True) -> None:
        marks = self.rows.marks
        if on:
            marks[key] = None
        else:
            marks.pop(key, None)
        self._marked()

    def unmark_all(self) -> None:
        self.rows.marks.clear()
        self._marked()

    def _marked(self) -> None:
        self.rows.refresh()
        self.post_message(self.MarksChanged(self, self.marks))
        self.tell()

    # order and columns

    def sort(self, column: str) -> None:
        """Order by a column; asked again for the same one: the other way round."""
        now = self.asked[1]
        if column == now.column:
            order = Order(column, not now.descending)
        else:
            order = Order(column, next(c.descending for c in self._columns if c.name == column))
        self.turn_to(self.asked[0], order)

    def action_sort(self) -> None:
        names = [c.name for c in self.rows.in_sight if c.sorts]
        if names:
            now = self.asked[1]
            here = names.index(now.column) if now.column in names else -1
            self.sort(names[(here + 1) % len(names)])

    def action_turn(self) -> None:
        if now := self.asked[1].column:
            self.sort(now)

    @on(Rows.Header)
    def _header(self, event: Rows.Header) -> None:
        event.stop()
        self.sort(event.column)

    def action_columns(self) -> None:
        rows = self.rows
        seen = {c.name for c in rows.in_sight}
        narrow = {c.name for c in self._columns} - seen - rows.hidden
        self.app.push_screen(ColumnChooser(self._columns, rows.hidden, narrow, rows.forget))

    # the filter

    def action_filter(self) -> None:
        field = self.query_one(Input)
        field.add_class("-open")
        field.can_focus = True
        self.rows.type_into(field)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.filter(event.value)

    def look_for(self, text: str) -> None:
        """Filter as if it had been typed, and stay in the rows."""
        with self.prevent(Input.Changed):
            self.query_one(Input).value = text
        self.filter(text)

    def filter(self, text: str) -> None:
        """Only rows that `text` lets through; "" lets all through."""
        if text.strip() != self.asked[0]:
            self.turn_to(text.strip(), self.asked[1])

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(Input).remove_class("-open")
        self.rows.focus()
        self.query_one(Input).can_focus = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "close":  # with no filter, esc belongs to whatever is around the table
            return bool(self.asked[0]) or self.query_one(Input).has_class("-open")
        return True

    def action_close(self) -> None:
        self.close_filter()

    def close_filter(self) -> bool:
        """End the filter; False if there was none."""
        was = bool(self.asked[0]) or self.query_one(Input).has_class("-open")
        self._put_field_away()
        if was:
            self.filter("")
            self.rows.focus()
        return was

    def _put_field_away(self) -> None:
        field = self.query_one(Input)
        field.remove_class("-open")
        field.can_focus = False
        with self.prevent(Input.Changed):
            field.value = ""
