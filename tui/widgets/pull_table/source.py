"""Where the rows of a pull table come from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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
    """

    def key(self, row: R) -> str: ...
    def stamp(self) -> Hashable: ...
    def count(self, text: str) -> int: ...
    def page(self, offset: int, limit: int, order: Order, text: str) -> Sequence[R]: ...
    def index_of(self, key: str, order: Order, text: str) -> int | None: ...
