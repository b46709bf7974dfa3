"""From a moment to a line of a log and back.

Lines are asked for the time written in them and found by bisection: a log of a million lines costs
about twenty reads. Where lines have no time, the moments at which the log was seen to grow are used.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Protocol

from tui.widgets.log.file import RawLine
from tui.widgets.log.times import Stamp, midnight_before, next_day, stamp

NEAR = 100  # lines that are looked through for one with a time, each way
SAMPLES = 256  # of a log whose times have no date: where a day begins
BACK_S = 6 * 3600  # a clock that goes back by more has passed midnight
NOTED = 50_000


class Lines(Protocol):
    """What a timeline needs of a log."""

    @property
    def lines(self) -> int: ...

    def line(self, number: int, column: int = 0) -> RawLine | None: ...


class Arrivals:
    """When a growing log had how many lines, at most once a second; the oldest are thinned out."""

    def __init__(self) -> None:
        self._at: array[float] = array("d")
        self._lines: array[int] = array("Q")

    def note(self, unix: float, lines: int) -> None:
        if self._at and (unix - self._at[-1] < 1 or lines == self._lines[-1]):
            return
        self._at.append(unix)
        self._lines.append(lines)
        if len(self._at) > NOTED:
            del self._at[1 : NOTED // 2 : 2], self._lines[1 : NOTED // 2 : 2]

    def line_at(self, unix: float) -> int | None:
        """The first line that came in at or after a moment; None if that was never seen."""
        if len(self._at) < 2 or not self._at[0] <= unix <= self._at[-1] + 1:
            return None
        before = bisect_left(self._at, unix)
        return self._lines[before - 1] if before else 0

    def time_of(self, number: int) -> float | None:
        """When line `number` was seen to come in; None for what was there before."""
        at = bisect_right(self._lines, number)
        return self._at[at] if 0 < at < len(self._at) else None


class Timeline:
    """The times of `log`. ended: gives the Unix seconds of its last change, for times without date."""

    def __init__(self, log: Lines, ended: Callable[[], float], arrivals: Arrivals) -> None:
        self._log = log
        self._ended = ended
        self._arrivals = arrivals
        self._days: tuple[int, list[tuple[int, float, float]]] = (-1, [])

    def time_of(self, number: int) -> float | None:
        """Unix seconds of a line: its own time, else that of the nearest line before it."""
        found = self._near(number)
        if found is None:
            return self._arrivals.time_of(number)
        at, known = found
        return known.at if known.dated else self._clock(at, known.at)

    def line_at(self, unix: float) -> int | None:
        """The first line at or after a moment, the last line if all are earlier; None without times."""
        count = self._log.lines
        if not count or self._near(count - 1) is None:
            return self._arrivals.line_at(unix)
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            at = self.time_of(middle)
            if at is not None and at < unix:
                low = middle + 1
            else:
                high = middle
        return min(low, count - 1)

    def _near(self, number: int) -> tuple[int, Stamp] | None:
        """The nearest line with a time: at or before `number`, else after it."""
        steps = [*range(number, max(-1, number - NEAR), -1)]
        steps += range(number + 1, min(self._log.lines, number + NEAR))
        for at in steps:
            raw = self._log.line(at)
            if raw is not None and not raw.seam and (found := stamp(raw.data)) is not None:
                return at, found
        return None

    def _clock(self, number: int, seconds: float) -> float:
        """Unix seconds of a line that only says the time of day."""
        days = self._midnights()
        index = max(0, bisect_right(days, number, key=lambda day: day[0]) - 1)
        _, midnight, first = days[index]
        if seconds < first - BACK_S:
            midnight = next_day(midnight)
        return midnight + seconds

    def _midnights(self) -> list[tuple[int, float, float]]:
        """Of lines spread over the log: number, the midnight before it, its time of day."""
        count = self._log.lines
        if self._days[0] == count:
            return self._days[1]
        seen: list[tuple[int, int, float]] = []
        day, before = 0, -1.0
        for number in sorted({n * (count - 1) // SAMPLES for n in range(SAMPLES + 1)}):
            raw = self._log.line(number)
            found = stamp(raw.data) if raw is not None and not raw.seam else None
            if found is None or found.dated:
                continue
            if found.at < before - BACK_S:
                day += 1
            before = found.at
            seen.append((number, day, found.at))
        ended = self._ended()
        last = midnight_before(ended)
        if before > ended - last + 60:
            last = next_day(last, -1)  # written before midnight, closed after it
        days = [(n, next_day(last, d - day), at) for n, d, at in seen]
        self._days = (count, days or [(0, last, 0.0)])
        return self._days[1]
