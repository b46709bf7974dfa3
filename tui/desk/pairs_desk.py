"""Pairs at the desk, page by page, and one of them in full."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import paging, pair_pages
from core.errors import Cancelled, NotFound
from core.pair_pages import LISTING, PairPages
from core.pairs import MAX_LINE_BYTES
from tui.desk.api_lists import Wanted
from tui.desk.api_pairs import LaidOut, PairRow, PairsOf, PairView
from tui.desk.lists_desk import part

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

SHOWN = 1 << 20  # bytes of a rejected line
_MAIN = frozenset({"id", "source", "source_ref", "domain", "messages"})


@dataclass(slots=True)
class _Held:
    """readers: who entered and did not leave.  pages: once somebody asked."""

    readers: int = 0
    pages: PairPages | None = None


class WorkbenchPairs:
    """Implements `tui.desk.api_pairs.PairsDesk`. Thread-safe."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._open: dict[PairsOf, _Held] = {}
        self._guard = threading.Lock()

    def enter(self, of: PairsOf) -> None:
        with self._guard:
            self._open.setdefault(of, _Held()).readers += 1

    def leave(self, of: PairsOf) -> None:
        with self._guard:
            held = self._open.get(of)
            if held is None:
                return
            held.readers -= 1
            if held.readers > 0:
                return
            del self._open[of]
        if held.pages is not None:
            held.pages.close()

    def _pages(self, of: PairsOf) -> PairPages:
        with self._guard:
            held = self._open.get(of)
            if held is None:  # an answer that nobody waits for must not begin it again
                raise Cancelled(f"the list of {of.name} was closed")
            if held.pages is None:
                held.pages = (
                    pair_pages.of_snapshot(self._bench.registry, of.name)
                    if of.kind == "snapshot"
                    else pair_pages.of_file(Path(of.name))
                )
            return held.pages

    def state(self, of: PairsOf) -> LaidOut:
        now = self._pages(of).state()
        return LaidOut(now.rows, now.share, now.complete)

    def count(self, of: PairsOf, wanted: Wanted) -> int:
        pages = self._pages(of)
        if not wanted.text:
            return pages.state().rows
        return paging.count(pages.rows, LISTING, part(wanted))

    def rows(self, of: PairsOf, wanted: Wanted, offset: int, limit: int) -> Sequence[PairRow]:
        found = paging.page(
            self._pages(of).rows, LISTING, part(wanted), offset, limit,
            after=wanted.after, before=wanted.before,
        )  # fmt: skip
        return [PairRow(*row) for row in found]

    def place(self, of: PairsOf, wanted: Wanted, key: str) -> int | None:
        return paging.index_of(self._pages(of).rows, LISTING, part(wanted), key)

    def pair(self, of: PairsOf, n: int) -> PairView:
        """Raises NotFound: there is no such row, or the file has changed."""
        pages = self._pages(of)
        found = pages.rows(f"SELECT {LISTING.columns} FROM pairs WHERE n = ?", (n,))
        if not found:
            raise NotFound(f"no row {n} in {of.name}")
        row = PairRow(*found[0])
        place = pair_pages.place_of(pages, str(n))
        if of.kind == "snapshot":
            sql = "SELECT body FROM blobs WHERE hash = ?"
            body = self._bench.registry().value(sql, (place,))
            return _view(row, json.loads(body), place) if body else PairView(row)
        return self._of_line(row, Path(of.name), place, pages.written)

    def _of_line(
        self, row: PairRow, path: Path, place: str, written: tuple[int, int] | None
    ) -> PairView:
        from core.pair_checks import KNOWN_DOMAINS, check_line

        offset, size = map(int, place.split())
        try:
            with open(path, "rb") as f:
                if pair_pages.written(os.fstat(f.fileno())) != written:
                    raise NotFound(
                        f"{path} has changed since this list was made",
                        try_next="close the list and open it again",
                    )
                f.seek(offset)
                raw = f.read(min(size, MAX_LINE_BYTES))
        except OSError as e:
            raise NotFound(f"{path} cannot be read", why=e.strerror or str(e)) from e
        checked = check_line(raw, KNOWN_DOMAINS)
        faults = tuple(f"{f.field}: {f.what}" if f.field else f.what for f in checked.faults)
        if checked.row is None or row.fault:
            said = faults or (row.fault,)
            return PairView(row, faults=said, text=raw[:SHOWN].decode("utf-8", "replace"))
        return _view(row, checked.row)


def _view(row: PairRow, pair: Any, content_hash: str = "") -> PairView:
    turns = tuple((str(m["role"]), str(m["content"])) for m in pair["messages"])
    rest = {k: v for k, v in pair.items() if k not in _MAIN}
    more = json.dumps(rest, ensure_ascii=False, indent=1, sort_keys=True) if rest else ""
    return PairView(row, str(pair["source_ref"]), turns, more, content_hash)
