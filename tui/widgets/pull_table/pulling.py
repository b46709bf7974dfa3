"""How a table gets its rows: it asks its source for what is in sight, and looks for news.

Nothing waits for an answer: what is shown stays until the rows that replace it are here.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual.containers import Vertical

from core.errors import QAError
from tui import clean
from tui.asking import Asks
from tui.widgets.pull_table.rows import Rows
from tui.widgets.pull_table.source import Growing, Order, PageSource
from tui.widgets.pull_table.window import PAGE, Window

R = TypeVar("R")

POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class _Answer(Generic[R]):
    """What there is for a filter and an order. place: where the row under the cursor is now."""

    text: str
    order: Order
    stamp: Hashable
    window: Window[R]
    place: int | None


class Pulling(Asks, Vertical, Generic[R]):
    """The table around its Rows. `tell` is called whenever something may have changed."""

    def __init__(self, order: Order, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.asked: tuple[str, Order] = ("", order)  # may still be on its way
        self._stamp: Hashable = None
        self._asking_page = False
        self._wanted_key: str | None = None  # of the row to go to, until it was looked for

    def tell(self) -> None:
        """Tell whoever looks on."""

    def on_mount(self) -> None:
        self.set_interval(POLL_S, self._poll)

    @property
    def rows(self) -> Rows[R]:
        return self.query_one(Rows)

    @property
    def text(self) -> str:
        """The filter of the rows that are here."""
        return self.rows.text

    def show(self, source: PageSource[R]) -> None:
        self.rows.source = source
        self.reload()

    def reload(self) -> None:
        """Ask for everything again; the cursor stays on its row."""
        self.turn_to(*self.asked)

    def turn_to(self, text: str, order: Order, go_to: str | None = None) -> None:
        """What there is for a filter and an order; of several questions the newest counts.

        The cursor stays on its row, or goes to the one with the key `go_to`.
        """
        self.asked = (text, order)
        self._wanted_key = go_to or self._wanted_key
        rows, source = self.rows, self.rows.source
        if source is None:
            return
        keep = self._wanted_key
        key = keep or rows.aimed
        asked, page, line = rows.aim, rows.page, rows.aim - rows.aim_top
        other = keep is not None or (text, order) != (self.text, rows.order)
        lost = 0 if text != self.text else asked  # where to go if the row is not there any more

        def came(answer: _Answer[R]) -> None:
            cursor = lost if answer.place is None else answer.place
            top = cursor - line
            if not other:  # the reader may have gone on meanwhile
                cursor, top = cursor + rows.aim - asked, top + rows.aim_top - (asked - line)
            rows.text, rows.order, self._stamp = answer.text, answer.order, answer.stamp
            rows.problem = ""
            if self._wanted_key == keep and (answer.place is not None or not self._still_comes()):
                self._wanted_key = None
            rows.show(answer.window, cursor, top, news=not other)
            self.tell()
            self.pull()

        self.ask(
            lambda: _read(source, text, order, key, lost, line, page),
            came,
            group="rows",
            failed=self._failed,
        )

    def _still_comes(self) -> bool:
        """Whether a row that is not there may be there later, and nobody has gone elsewhere."""
        source = self.rows.source
        return isinstance(source, Growing) and source.grows() and not self.rows.aim

    def _poll(self) -> None:
        """Look whether anything has changed, while the screen is in sight."""
        source = self.rows.source
        if source is None or self.screen not in self.app.screen_stack:
            return
        self.ask(source.stamp, self._stamp_came, group="stamp", failed=self._failed, poll=True)

    def _stamp_came(self, stamp: Hashable) -> None:
        if stamp != self._stamp or self.rows.problem:
            self.reload()

    def pull(self) -> None:
        """Ask for the next page that is wanted; after it for the next one, until all are here."""
        rows, source = self.rows, self.rows.source
        if self._asking_page or source is None or rows.problem:
            return
        window, text, order, number = rows.window, self.text, rows.order, rows.wanted
        if number is None:
            return
        self._asking_page = True
        after, before = window.row(number * PAGE - 1), window.row((number + 1) * PAGE)
        keys = ["" if row is None else source.key(row) for row in (after, before)]

        def came(found: Sequence[R]) -> None:
            self._asking_page = False
            if window is rows.window:  # else the answer to an older question
                window.put(number, found)
                rows.arrived()
                self.tell()
            self.call_later(self.pull)

        def read() -> Sequence[R]:
            return source.page(number * PAGE, PAGE, order, text, *keys)

        self.ask(read, came, group="page", failed=self._failed)

    def _failed(self, problem: QAError) -> None:
        """Said below the rows; tried again at the next look."""
        self._asking_page = False
        self.rows.problem = clean.line(f"▲ the rows cannot be read: {problem.what}", 300)
        self.rows.refresh()


def _read(
    source: PageSource[R],
    text: str,
    order: Order,
    key: str | None,
    lost: int,
    line: int,
    page: int,
) -> _Answer[R]:
    """The rows in sight once the row with `key` stands `line` rows below the top; without it, row
    `lost`. page: rows that have room.
    """
    stamp = source.stamp()  # first: what changes while this is read is news at the next look
    start = source.page(0, PAGE, order, text) if text else ()
    if text and len(start) < PAGE:  # all that pass: no need to count, or to look for the row
        keys = [source.key(row) for row in start]
        window: Window[R] = Window(len(keys))
        window.put(0, start)
        return _Answer(text, order, stamp, window, keys.index(key) if key in keys else None)
    window = Window(source.count(text))
    place = None if key is None else source.index_of(key, order, text)
    top = (lost if place is None else place) - line
    top = max(0, min(top, (window.total or 0) - page))
    found: Sequence[R] = ()
    for number in window.numbers(top, top + page - 1):
        if number == 0 and start:
            found = start
        else:
            after = source.key(found[-1]) if len(found) == PAGE else ""
            found = source.page(number * PAGE, PAGE, order, text, after)
        window.put(number, found)
    return _Answer(text, order, stamp, window, place)
