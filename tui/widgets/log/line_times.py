"""The times of the lines of one log, for merging it with others."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from threading import Event

from tui.widgets.log.file import LogFile, Part
from tui.widgets.log.index import STEP
from tui.widgets.log.timeline import BACK_S, Arrivals, Timeline
from tui.widgets.log.times import midnight_before, next_day, stamp


class Times:
    """The time of each line of one log so far, never going back. `read` runs in a thread."""

    def __init__(self, log: LogFile) -> None:
        self.log = log
        self.at: array[float] = array("d")
        self._place = (0, 0)  # part, byte
        self._now = 0.0
        self._midnight: float | None = None
        self._clock = 0.0

    def begin(self) -> None:
        """Before the first read: the day on which a log begins whose times have no date."""
        if self._midnight is None:
            first = Timeline(self.log, self.log.ended, Arrivals()).time_of(0)
            self._midnight = midnight_before(self.log.ended() if first is None else first)

    def read(self, stop: Event) -> None:
        """Take in the lines that are there by now."""
        while not stop.is_set() and self._step():
            pass

    def _step(self) -> bool:
        number, offset = self._place
        part = self.log.parts[number]
        size = part.index.size if part.index is not None else 0
        last = number == len(self.log.parts) - 1
        data = b"" if part.index is None else part.index.file.read(offset, min(STEP, size - offset))
        end = data.rfind(b"\n") + 1
        if end:
            self._take(data[: end - 1].split(b"\n"))
            self._place = (number, offset + end)
        elif len(data) == STEP:  # a line longer than a step: on to its end
            self._take([data])
            self._place = (number, _newline_after(part, offset, size))
        elif not last:
            self._take([data] if data else [])
            self.at.append(self._now)  # the seam
            self._place = (number + 1, 0)
        else:
            return False
        return True

    def _take(self, lines: Sequence[bytes]) -> None:
        out, now = [], self._now
        for line in lines:
            found = stamp(line)
            if found is not None:
                at = found.at if found.dated else self._dated(found.at)
                now = max(now, at)
            out.append(now)
        self._now = now
        self.at.extend(out)

    def _dated(self, clock: float) -> float:
        assert self._midnight is not None
        if clock < self._clock - BACK_S:
            self._midnight = next_day(self._midnight)
        self._clock = clock
        return self._midnight + clock


def _newline_after(part: Part, offset: int, size: int) -> int:
    """The byte after the next newline; the end of the part if there is none yet."""
    assert part.index is not None
    while offset < size:
        data = part.index.file.read(offset, min(STEP, size - offset))
        at = data.find(b"\n")
        if at >= 0 or not data:
            return offset + at + 1 if data else size
        offset += len(data)
    return size
