"""A list that is in memory as the source of a pull table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

from tui.widgets.pull_table.source import Order

R = TypeVar("R")


class InMemory(Generic[R]):
    """rows: in the list's own order.  key: names a row.  said: what a filter looks in.

    sorts: column → what its rows are ordered by; equal ones keep their own order.
    """

    def __init__(
        self,
        rows: Sequence[R],
        key: Callable[[R], str],
        said: Callable[[R], str],
        sorts: Mapping[str, Callable[[R], Any]],
    ) -> None:
        self.rows, self._key, self._sorts = rows, key, sorts
        self._said = [said(row).casefold() for row in rows]
        self._last: tuple[tuple[Order, str], list[R]] | None = None

    def key(self, row: R) -> str:
        return self._key(row)

    def stamp(self) -> int:
        return 0

    def count(self, text: str) -> int:
        return len(self._those(Order(), text))

    def page(
        self, offset: int, limit: int, order: Order, text: str, after: str = "", before: str = ""
    ) -> Sequence[R]:
        return self._those(order, text)[offset : offset + limit]

    def index_of(self, key: str, order: Order, text: str) -> int | None:
        found = (n for n, row in enumerate(self._those(order, text)) if self._key(row) == key)
        return next(found, None)

    def _those(self, order: Order, text: str) -> list[R]:
        asked = (order, text)
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        wanted = [w for w in text.casefold().split() if w]
        kept = [
            row
            for row, said in zip(self.rows, self._said, strict=True)
            if all((w[1:] not in said) if w[:1] == "!" and w[1:] else w in said for w in wanted)
        ]
        if (by := self._sorts.get(order.column)) is not None:
            placed = [(by(row), row) for row in kept]
            placed.sort(key=itemgetter(0), reverse=order.descending)
            kept = [row for _, row in placed]
        self._last = (asked, kept)
        return kept
