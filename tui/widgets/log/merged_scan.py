"""A search or a filter over merged logs: each log's own, put in the order of the merged lines."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from threading import Event, Thread

from tui.widgets.log.query import Query
from tui.widgets.log.scan import Scan


class MergedScan:
    """position: of a line in the merged order, by its log and number there; None if not there yet.
    merged: how many lines the order has."""

    def __init__(
        self,
        query: Query,
        scans: Sequence[Scan],
        position: Callable[[int, int], int | None],
        merged: Callable[[], int],
    ) -> None:
        self.query = query
        self._scans = scans
        self._position = position
        self._found: array[int] = array("Q")
        self._merged = merged
        self._put: tuple[int, list[int]] = (-1, [])  # what was put in order: `_there` at that time
        self._stop = Event()
        self._thread: Thread | None = None

    def __len__(self) -> int:
        return len(self._found)

    def number(self, index: int) -> int:
        found = self._found  # another one as soon as more is put in order
        return found[min(index, len(found) - 1)] if found else 0

    def rank(self, number: int) -> int:
        return bisect_left(self._found, number)

    def has(self, number: int) -> bool:
        at = self.rank(number)
        return at < len(self._found) and self._found[at] == number

    @property
    def error(self) -> str:
        return next((scan.error for scan in self._scans if scan.error), "")

    @property
    def seen(self) -> int:
        return sum(scan.seen for scan in self._scans)

    @property
    def line(self) -> int:
        return 1 << 62 if self.done else 0

    @property
    def done(self) -> bool:
        return all(scan.done for scan in self._scans) and self._put == self._there and self._still

    @property
    def _there(self) -> tuple[int, list[int]]:
        """Lines merged, and lines found in each log."""
        return self._merged(), [len(scan) for scan in self._scans]

    @property
    def _still(self) -> bool:
        return self._thread is None or not self._thread.is_alive()

    def keep_up(self) -> None:
        for scan in self._scans:
            scan.keep_up()
        if self._put != self._there and self._still and not self._stop.is_set():
            self._thread = Thread(target=self._sort, name="log-merged-scan", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        self._stop.set()
        for scan in self._scans:
            scan.cancel()

    def _sort(self) -> None:
        there = self._there
        positions = (
            self._position(source, scan.number(n))
            for source, scan in enumerate(self._scans)
            for n in range(there[1][source])
        )
        self._found = array("Q", sorted(p for p in positions if p is not None))
        self._put = there
