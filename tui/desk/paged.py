"""A list of the desk as the source of a pull table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from tui.desk.api_lists import ListsDesk, Wanted, What
from tui.widgets.pull_table.source import Order

R = TypeVar("R")


class Pages(Protocol):
    """What of a sub-desk a table pulls from."""

    def count(self, what: Any, wanted: Wanted) -> int: ...
    def rows(self, what: Any, wanted: Wanted, offset: int, limit: int) -> Sequence[Any]: ...
    def place(self, what: Any, wanted: Wanted, key: str) -> int | None: ...


class Paged(Generic[R]):
    """A `PageSource` over a sub-desk's pages but for its `stamp`.

    there: asked each time, as the desk may be guarded.  key: the field that names a row.  of: what
    the list is about.
    """

    def __init__(self, there: Callable[[], Pages], what: Hashable, key: str, of: str = "") -> None:
        self._there, self._what, self._key, self._of = there, what, key, of

    def key(self, row: R) -> str:
        return str(getattr(row, self._key))

    def count(self, text: str) -> int:
        return self._there().count(self._what, Wanted(text, of=self._of))

    def page(
        self, offset: int, limit: int, order: Order, text: str, after: str = "", before: str = ""
    ) -> Sequence[R]:
        wanted = Wanted(text, order.column, order.descending, self._of, after, before)
        return self._there().rows(self._what, wanted, offset, limit)

    def index_of(self, key: str, order: Order, text: str) -> int | None:
        wanted = Wanted(text, order.column, order.descending, self._of)
        return self._there().place(self._what, wanted, key)


class Listed(Paged[R]):
    """A list of the registry: `PageSource` over `desk.lists`."""

    def __init__(self, lists: Callable[[], ListsDesk], what: What, key: str, of: str = "") -> None:
        super().__init__(lists, what, key, of)
        self._lists = lists

    def stamp(self) -> int:
        return self._lists().stamp()
