"""The pages of a long list that are at hand: those in sight, their neighbours, the last ones seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

R = TypeVar("R")

PAGE = 100  # rows asked for at once
KEPT = 10  # pages


class Window(Generic[R]):
    """total: rows there are; None before the first answer."""

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self._pages: OrderedDict[int, Sequence[R]] = OrderedDict()

    def __len__(self) -> int:
        """Rows at hand."""
        return sum(len(rows) for rows in self._pages.values())

    def put(self, number: int, rows: Sequence[R]) -> None:
        """Keep page `number` (from 0); the page not used for longest goes."""
        self._pages[number] = rows
        self._pages.move_to_end(number)
        while len(self._pages) > KEPT:
            self._pages.popitem(last=False)

    def row(self, index: int) -> R | None:
        """None if it is not at hand."""
        number, offset = divmod(index, PAGE)
        rows = self._pages.get(number)
        if rows is None:
            return None
        self._pages.move_to_end(number)
        return rows[offset] if offset < len(rows) else None

    def rows(self) -> list[R]:
        """All rows at hand, in order."""
        return [row for number in sorted(self._pages) for row in self._pages[number]]

    def holds(self, first: int, last: int) -> bool:
        """Whether the pages of the rows first to last, both counted in, are at hand."""
        return all(number in self._pages for number in self.numbers(first, last))

    def wanted(self, first: int, last: int, step: int) -> int | None:
        """The page to ask for next: one in sight, then the one ahead, then the one behind.

        step: 1 if the reader goes down, -1 if up.  None: all these are at hand.
        """
        here = self.numbers(first, last)
        if not here:
            return None
        ahead, behind = here[-1] + 1, here[0] - 1
        wanted: list[int] = [*here, *((ahead, behind) if step >= 0 else (behind, ahead))]
        for number in wanted:
            if number not in self._pages and 0 <= number * PAGE < (self.total or 0):
                return number
        return None

    def numbers(self, first: int, last: int) -> range:
        """The pages of the rows first to last that there are."""
        last = min(last, (self.total or 0) - 1)
        return range(max(0, first) // PAGE, last // PAGE + 1) if last >= 0 else range(0)
