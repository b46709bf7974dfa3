"""A growing curve that can be drawn at any width in time proportional to the width."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left

FACTOR = 16


class Series:
    """Values over rising steps, with the lowest and highest of every 16, 256, … values.

    Drawing the lowest and highest of each column keeps the one-step spike that a mean would hide.
    A value that is not finite is a gap: it takes a place but no part in any bound. A step that is
    not higher than the last one cuts the curve back to it: a resumed run replaces what it redoes.
    """

    def __init__(self) -> None:
        self.steps: array[float] = array("d")
        self.values: array[float] = array("d")
        self._levels: list[tuple[array[float], array[float]]] = []
        self.version = 0

    def __len__(self) -> int:
        return len(self.values)

    def append(self, step: float, value: float) -> None:
        if self.steps and step <= self.steps[-1]:
            self._cut(bisect_left(self.steps, step))
        self.steps.append(step)
        self.values.append(value)
        self._fill()
        self.version += 1

    def bounds(self, start: int, stop: int) -> tuple[float, float] | None:
        """Lowest and highest finite value of [start, stop), or None if there is none."""
        low, high = math.inf, -math.inf
        at, stop = max(0, start), min(stop, len(self.values))
        while at < stop:
            level, size = -1, 1
            while (
                level + 1 < len(self._levels)
                and at % (size * FACTOR) == 0
                and at + size * FACTOR <= stop
            ):
                level, size = level + 1, size * FACTOR
            if level < 0:
                value = self.values[at]
                if math.isfinite(value):
                    low, high = min(low, value), max(high, value)
            else:
                lows, highs = self._levels[level]
                low = min(low, lows[at // size])
                high = max(high, highs[at // size])
            at += size
        return (low, high) if low <= high else None

    def _fill(self) -> None:
        """Complete the blocks that the newest value closes."""
        size, level = FACTOR, 0
        while len(self.values) % size == 0:
            if level == len(self._levels):
                self._levels.append((array("d"), array("d")))
            lows, highs = self._levels[level]
            if level == 0:
                part = [v for v in self.values[-FACTOR:] if math.isfinite(v)]
                lows.append(min(part, default=math.inf))
                highs.append(max(part, default=-math.inf))
            else:
                below = self._levels[level - 1]
                lows.append(min(below[0][-FACTOR:]))
                highs.append(max(below[1][-FACTOR:]))
            size, level = size * FACTOR, level + 1

    def _cut(self, length: int) -> None:
        steps, values = self.steps[:length], self.values[:length]
        self.steps, self.values, self._levels = array("d"), array("d"), []
        for step, value in zip(steps, values, strict=True):
            self.steps.append(step)
            self.values.append(value)
            self._fill()
