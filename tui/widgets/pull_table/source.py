"""Where the rows of a pull table come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from core.errors import ChangedUnderYou

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


@runtime_checkable
class Growing(Protocol):
    """A source whose rows may still be coming in."""

    def grows(self) -> bool:
        """Whether more are on their way, as far as is known; instant."""

    def whole(self) -> AbstractContextManager[Callable[[], bool]]:
        """It stays open for as long as this is. Gives: whether all rows are there."""


AT_ONCE = 2000  # rows, where all are read
LOOK_S = 0.1


def each_page(source: PageSource[R], order: Order, text: str) -> Iterator[Sequence[R]]:
    """All rows that pass the filter, each page read from the last row of the one before.

    Of a list that still grows pages without a row, until it is whole. Raises ChangedUnderYou: of a list that
    is whole other rows came than it has.
    """
    if not isinstance(source, Growing):
        yield from _pages(source, order, text)
        return
    with source.whole() as complete:
        while not complete():
            yield ()
            time.sleep(LOOK_S)
        there, read = source.count(text), 0
        for found in _pages(source, order, text):
            read += len(found)
            yield found
        if read != there:
            raise ChangedUnderYou(
                f"the list has {there:,} rows, but {read:,} could be read; it is not written",
                try_next="close the list, open it again and write it then",
            )


def _pages(source: PageSource[R], order: Order, text: str) -> Iterator[Sequence[R]]:
    offset, after = 0, ""
    while found := source.page(offset, AT_ONCE, order, text, after):
        yield found
        offset, after = offset + len(found), source.key(found[-1])
        if len(found) < AT_ONCE:
            break
