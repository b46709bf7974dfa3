"""Which line of a log each row of a view shows: all of them, or those a filter lets through."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tui.widgets.log.file import RawLine
from tui.widgets.log.query import Query


class Found(Protocol):
    """Lines that were found; a `tui.widgets.log.scan.Scan` or the same over several logs."""

    query: Query

    @property
    def error(self) -> str: ...
    def __len__(self) -> int: ...
    def number(self, index: int) -> int: ...
    def rank(self, number: int) -> int: ...
    def has(self, number: int) -> bool: ...
    def keep_up(self) -> None: ...
    def cancel(self) -> None: ...
    @property
    def seen(self) -> int: ...
    @property
    def line(self) -> int: ...
    @property
    def done(self) -> bool: ...


class Log(Protocol):
    """What a view needs of a log; `tui.widgets.log.file.LogFile` or several of them merged."""

    generation: int

    @property
    def sources(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def indexed(self) -> int: ...
    @property
    def complete(self) -> bool: ...
    def look(self) -> bool: ...
    def count(self) -> bool: ...
    def close(self) -> None: ...
    def line(self, number: int, column: int = 0) -> RawLine | None: ...
    def tail(self, count: int, column: int = 0) -> list[RawLine]: ...
    def key(self, number: int) -> int: ...
    def scan(self, query: Query) -> Found: ...
    def place(self, number: int) -> tuple[Path, int]: ...
    def ended(self) -> float: ...


class Rows:
    """`log` as rows, through `only` if there is a filter."""

    def __init__(self, log: Log, only: Found | None = None) -> None:
        self.log = log
        self.only = only

    def __len__(self) -> int:
        return self.log.lines if self.only is None else len(self.only)

    def number(self, row: int) -> int:
        """The line that `row` shows; row must be below the length."""
        return row if self.only is None else self.only.number(row)

    def row(self, number: int) -> int:
        """The row that shows line `number`, or the next one below it; the last one at the end."""
        row = number if self.only is None else self.only.rank(number)
        return max(0, min(row, len(self) - 1))


def meeting(one: Found, other: Found | None, number: int, step: int) -> int | None:
    """The nearest line from `number` on, downwards (step 1) or upwards (-1), that both have."""
    while True:
        at = _nearest(one, number, step)
        if at is None or other is None:
            return at
        beside = _nearest(other, at, step)
        if beside == at or beside is None:
            return beside
        number = beside


def _nearest(found: Found, number: int, step: int) -> int | None:
    if step > 0:
        index = found.rank(number)
        return found.number(index) if index < len(found) else None
    index = found.rank(number + 1) - 1
    return found.number(index) if index >= 0 else None
