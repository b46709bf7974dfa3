"""A growing curve that can be drawn at any width in time proportional to the width."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left

FACTOR = 16


class Series:
    """Values over rising steps, with the lowest and highest of every 1, 16, 256, … values.

    Drawing the lowest and highest of each column keeps the one-step spike that a mean would hide.
    A value that is not finite is a gap: it takes a place but no part in any bound. A step that is
    not higher than the last one cuts the curve back to it: a resumed run replaces what it redoes.
    """

    def __init__(self) -> None:
        self.steps: array[float] = array("d")
        self.values: array[float] = array("d")
        self._levels: list[tuple[array[float], array[float]]] = []
        self.version = 0
        self.cuts = 0
        self.least = math.inf  # of the finite values above zero, cut ones too

    def __len__(self) -> int:
        return len(self.values)

    def append(self, step: float, value: float) -> None:
        if self.steps and step <= self.steps[-1]:
            self._cut(bisect_left(self.steps, step))
            self.cuts += 1
        self.steps.append(step)
        self.values.append(value)
        if 0 < value < self.least:
            self.least = value
        self._fill(value)
        self.version += 1

    def near(self, step: float) -> int | None:
        """Index of the value whose step is nearest; None while there is none."""
        if not self.steps:
            return None
        after = min(bisect_left(self.steps, step), len(self.steps) - 1)
        before = max(0, after - 1)
        return before if step - self.steps[before] <= self.steps[after] - step else after

    def bounds(self, start: int, stop: int) -> tuple[float, float] | None:
        """Lowest and highest finite value of [start, stop), or None if there is none."""
        low, high = math.inf, -math.inf
        a, b = max(0, start), min(stop, len(self.values))
        for level, (lows, highs) in enumerate(self._levels):
            if a >= b:
                break
            head = tail = b
            if level + 1 < len(self._levels):  # the rest in whole blocks, one level up
                head = min(b, -(-a // FACTOR) * FACTOR)
                tail = max(head, b // FACTOR * FACTOR)
            for x, y in ((a, head), (tail, b)):
                if x < y:
                    low, high = min(low, min(lows[x:y])), max(high, max(highs[x:y]))
            a, b = head // FACTOR, tail // FACTOR
        return (low, high) if low <= high else None

    def _fill(self, value: float) -> None:
        """Take a value in, and complete the blocks that it closes."""
        finite = math.isfinite(value)
        pair = (value, value) if finite else (math.inf, -math.inf)
        for level in range(len(self._levels) + 1):
            if level == len(self._levels):
                self._levels.append((array("d"), array("d")))
            lows, highs = self._levels[level]
            lows.append(pair[0])
            highs.append(pair[1])
            if len(lows) % FACTOR:
                break
            pair = min(lows[-FACTOR:]), max(highs[-FACTOR:])

    def _cut(self, length: int) -> None:
        del self.steps[length:], self.values[length:]
        for lows, highs in self._levels:
            del lows[length:], highs[length:]
            length //= FACTOR  # of the next level the blocks that are still whole


class Smooth:
    """The exponential mean of a Series, brought up to date when asked for; gaps are passed over."""

    def __init__(self, of: Series, weight: float = 0.9) -> None:
        """weight: of what was before, 0..1."""
        self._of, self._weight = of, weight
        self._begin()

    def _begin(self) -> None:
        self._cuts = self._of.cuts
        self._mean, self._mass = 0.0, 0.0
        self._made = Series()

    def series(self) -> Series:
        if self._cuts != self._of.cuts:
            self._begin()
        for index in range(len(self._made), len(self._of)):
            value = self._of.values[index]
            if math.isfinite(value):
                self._mean = self._weight * self._mean + (1 - self._weight) * value
                self._mass = self._weight * self._mass + (1 - self._weight)
                value = self._mean / self._mass
            self._made.append(self._of.steps[index], value)
        return self._made


def ahead(mine: Series, other: Series) -> float | None:
    """How much lower `mine` is at its last step than `other` was there; None past its end."""
    if not len(mine) or not len(other) or other.steps[-1] < mine.steps[-1]:
        return None
    there = other.near(mine.steps[-1])
    if there is None or other.steps[0] > mine.steps[-1]:
        return None
    gap = other.values[there] - mine.values[-1]
    return gap if math.isfinite(gap) else None
