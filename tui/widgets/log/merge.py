"""Several logs as one, in the order of the times in their lines.

A line without a time belongs to the line before it. Within one log the order of its lines stays,
also where its clock goes back. A last line that is not finished yet is not shown.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from pathlib import Path
from threading import Event, Thread

from tui.widgets.log.file import LogFile, RawLine
from tui.widgets.log.line_times import Times
from tui.widgets.log.merged_scan import MergedScan
from tui.widgets.log.query import Query

SOURCE = 48  # bits of a line's number; the number of its log stands above them
NUMBER = (1 << SOURCE) - 1


@dataclass(slots=True)
class Order:
    """What comes after what. taken: how many lines of each log are in it."""

    times: list[Times]
    at: array[float] = field(default_factory=lambda: array("d"))
    codes: array[int] = field(default_factory=lambda: array("Q"))  # source and number of each line
    taken: list[int] = field(default_factory=list)
    stop: Event = field(default_factory=Event)

    def extend(self) -> None:
        """Take in the lines that came since; may run in a thread."""
        for times in self.times:
            times.read(self.stop)
        counts = [len(times.at) for times in self.times]
        fresh = [t.at[n] for t, n in zip(self.times, self.taken, strict=True) if n < len(t.at)]
        if not fresh or self.stop.is_set():
            return
        cut = bisect_left(self.at, min(fresh))
        runs = [self._run(source, counts[source]) for source in range(len(counts))]
        at, codes = array("d"), array("Q")
        for moment, code in merge(zip(self.at[cut:], self.codes[cut:], strict=True), *runs):
            at.append(moment)
            codes.append(code)
        self.at[cut:] = at
        self.codes[cut:] = codes
        self.taken = counts

    def _run(self, source: int, count: int) -> Iterator[tuple[float, int]]:
        at = self.times[source].at
        return ((at[n], source << SOURCE | n) for n in range(self.taken[source], count))

    def position(self, source: int, number: int) -> int | None:
        """Where a line of a log stands; None if it is not taken in yet."""
        if number >= self.taken[source]:
            return None
        at, code = self.times[source].at[number], source << SOURCE | number
        low, high = bisect_left(self.at, at), bisect_right(self.at, at)
        return bisect_left(self.codes, code, low, high)


class MergedLog:
    """`paths` merged by time. Used from one thread; the merging has its own."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.logs = [LogFile(path) for path in paths]
        self.generation = 0
        self._thread: Thread | None = None
        self._begin()

    def _begin(self) -> None:
        self._order = Order([Times(log) for log in self.logs], taken=[0] * len(self.logs))
        self._known = [log.generation for log in self.logs]

    @property
    def sources(self) -> int:
        return len(self.logs)

    @property
    def lines(self) -> int:
        return len(self._order.codes)

    @property
    def size(self) -> int:
        return sum(log.size for log in self.logs)

    @property
    def indexed(self) -> int:
        return sum(log.indexed for log in self.logs) - (not self._still)

    @property
    def complete(self) -> bool:
        return self._still and all(log.complete for log in self.logs)

    @property
    def _still(self) -> bool:
        return self._thread is None or not self._thread.is_alive()

    def close(self) -> None:
        self._order.stop.set()
        for log in self.logs:
            log.close()

    def ended(self) -> float:
        return max(log.ended() for log in self.logs)

    def look(self) -> bool:
        changes = [log.look() for log in self.logs]
        if [log.generation for log in self.logs] != self._known:
            self._order.stop.set()
            self._begin()
            self.generation += 1
            return True
        return any(changes)

    def count(self) -> bool:
        counted = [log.count() for log in self.logs]
        if not all(counted) or not self._still:
            return False
        order = self._order
        if all(n <= taken for n, taken in zip(self._whole, order.taken, strict=True)):
            return True
        for times in order.times:
            times.begin()
        self._thread = Thread(target=order.extend, name="log-merge", daemon=True)
        self._thread.start()
        return False

    @property
    def _whole(self) -> list[int]:
        """Lines of each log without a last one that may still be written to."""
        return [log.lines - log.open_end for log in self.logs]

    def line(self, number: int, column: int = 0) -> RawLine | None:
        if not 0 <= number < self.lines:
            return None
        code = self._order.codes[number]
        raw = self.logs[code >> SOURCE].line(code & NUMBER, column)
        return None if raw is None else replace(raw, source=code >> SOURCE)

    def tail(self, count: int, column: int = 0) -> list[RawLine]:
        begin = max(0, self.lines - max(0, count))
        found = (self.line(number, column) for number in range(begin, self.lines))
        return [raw for raw in found if raw is not None]

    def key(self, number: int) -> int:
        return self._order.codes[number]

    def place(self, number: int) -> tuple[Path, int]:
        code = self._order.codes[number]
        return self.logs[code >> SOURCE].place(code & NUMBER)

    def scan(self, query: Query) -> MergedScan:
        order = self._order
        scans = [log.scan(query) for log in self.logs]
        return MergedScan(query, scans, order.position, lambda: len(order.codes))
