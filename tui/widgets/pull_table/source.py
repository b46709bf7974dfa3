"""Where the rows of a pull table come from."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Order:
    """column: name of a column, "" for the source's own order."""

    column: str = ""
    descending: bool = False


class PageSource(Protocol[R]):
    """Rows by place. All but `key` are asked in threads and may raise a QAError.

    text: the filter as typed, "" for none.  Between two equal stamps every row keeps its place.
    after, before: of a page: key of the row just before or just behind it, where it is known; a source
    may find the page from there.
    """

    def key(self, row: R) -> str: ...
    def stamp(self) -> Hashable: ...
    def count(self, text: str) -> int: ...
    def page(
        self, offset: int, limit: int, order: Order, text: str, after: str = "", before: str = ""
    ) -> Sequence[R]: ...
    def index_of(self, key: str, order: Order, text: str) -> int | None: ...


AT_ONCE = 2000  # rows, where all are read


def each_page(source: PageSource[R], order: Order, text: str) -> Iterator[Sequence[R]]:
    """All rows that pass the filter, each page read from the last row of the one before."""
    offset, after = 0, ""
    while found := source.page(offset, AT_ONCE, order, text, after):
        yield found
        offset, after = offset + len(found), source.key(found[-1])
        if len(found) < AT_ONCE:
            break
