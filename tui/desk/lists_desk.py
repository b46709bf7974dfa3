"""The long lists of the registry, page by page."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from core import paging
from core.paging import Listing, Part
from tui.desk import sources, trails, version_views
from tui.desk.api import SourceRow
from tui.desk.api_lists import ExampleRow, Row, Wanted, What

if TYPE_CHECKING:
    from core.registry import Registry
    from tui.desk.workbench import Workbench

# what is listed → how, and what makes the rows of a page
LISTED: dict[str, tuple[Listing, Callable[[Registry, Sequence[Any]], Sequence[Row]]]] = {
    "versions": (version_views.LISTING, version_views.of_page),
    "sources": (sources.KNOWN, sources.known_of),
    "unknown": (sources.UNKNOWN, sources.unknown_of),
    "trail": (trails.LISTING, trails.of_page),
}


class WorkbenchLists:
    """Implements `tui.desk.api_lists.ListsDesk`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._guard = threading.Lock()
        self._watcher: sqlite3.Connection | None = None

    def stamp(self) -> int:
        """SQLite's data_version, always of the same connection: others have numbers of their own."""
        path = self._bench.registry().path
        with self._guard:
            if self._watcher is None:
                uri = f"file:{quote(str(path))}?mode=ro"
                self._watcher = sqlite3.connect(uri, uri=True, check_same_thread=False)
            return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def count(self, what: What, wanted: Wanted) -> int:
        return paging.count(self._bench.registry().rows, _listing(what, wanted), part(wanted))

    def rows(self, what: What, wanted: Wanted, offset: int, limit: int) -> Sequence[Row]:
        reg = self._bench.registry()
        found = paging.page(
            reg.rows, _listing(what, wanted), part(wanted), offset, limit,
            after=wanted.after, before=wanted.before,
        )  # fmt: skip
        return LISTED[what][1](reg, found)

    def place(self, what: What, wanted: Wanted, key: str) -> int | None:
        reg = self._bench.registry()
        return paging.index_of(reg.rows, _listing(what, wanted), part(wanted), key)

    def live(self) -> dict[str, str]:
        return version_views.live_versions(self._bench.registry())

    def near(self, source_id: str, text: str = "") -> Sequence[SourceRow]:
        return sources.near(self._bench.registry(), source_id, text)

    def examples(self, source_id: str) -> Sequence[ExampleRow]:
        return sources.examples(self._bench.registry(), source_id)


def _listing(what: What, wanted: Wanted) -> Listing:
    return trails.listing(wanted.of) if what == "trail" else LISTED[what][0]


def part(wanted: Wanted) -> Part:
    return Part(wanted.text, wanted.order, wanted.descending)
