"""A list of the desk as the source of a pull table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from tui.desk.api_lists import ListsDesk, Wanted, What
from tui.widgets.pull_table.source import Order

R = TypeVar("R")


class Listed(Generic[R]):
    """Implements `PageSource` over `desk.lists`. there: asked each time, as the desk may be guarded."""

    def __init__(self, there: Callable[[], ListsDesk], what: What, key: str) -> None:
        self._there, self._what, self._key = there, what, key

    def key(self, row: R) -> str:
        return str(getattr(row, self._key))

    def stamp(self) -> int:
        return self._there().stamp()

    def count(self, text: str) -> int:
        return self._there().count(self._what, Wanted(text))

    def page(self, offset: int, limit: int, order: Order, text: str) -> Sequence[R]:
        found: Any = self._there().rows(self._what, _wanted(order, text), offset, limit)
        return cast("Sequence[R]", found)

    def index_of(self, key: str, order: Order, text: str) -> int | None:
        return self._there().place(self._what, _wanted(order, text), key)


def _wanted(order: Order, text: str) -> Wanted:
    return Wanted(text, order.column, order.descending)
