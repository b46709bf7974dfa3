"""A Series drawn in braille dots: pure, any size, in time proportional to the width."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from tui.series import Series

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # [column][row] of one cell
# which dot columns are drawn: runs differ in shape, not only in colour
SHAPES: dict[str, Callable[[int], bool]] = {
    "whole": lambda column: True,
    "dashed": lambda column: column % 6 < 3,
    "dotted": lambda column: column % 3 == 0,
}


def scale(low: float, high: float, dots: int, *, log: bool) -> Callable[[float], int] | None:
    """Value → dot row counted from the top, for the given bounds; None without usable bounds."""
    if log:
        if high <= 0:
            return None
        low = low if low > 0 else high / 1e6
        low, high = math.log10(low), math.log10(high)
    if high - low < 1e-12 * max(1.0, abs(high)):
        middle = dots // 2
        return lambda value: middle
    factor = (dots - 1) / (high - low)

    def row(value: float) -> int:
        if log:
            value = math.log10(value) if value > 0 else low
        return min(dots - 1, max(0, round((high - value) * factor)))

    return row


def bounds(
    runs: Sequence[Series], window: tuple[float, float], *, log: bool = False
) -> tuple[float, float] | None:
    """Lowest and highest value of all runs at the steps of `window`, both ends included.

    On a logarithmic axis zero and below have no place: the lowest is then above zero.
    """
    low, high = math.inf, -math.inf
    for run in runs:
        start, stop = bisect_left(run.steps, window[0]), bisect_right(run.steps, window[1])
        found = run.bounds(start, stop)
        if found is None or (log and found[1] <= 0):
            continue
        low = min(low, run.least if log and found[0] <= 0 else found[0])
        high = max(high, found[1])
    return (low, high) if low <= high else None


def draw(
    series: Series,
    width: int,
    height: int,
    window: tuple[float, float],
    limits: tuple[float, float],
    *,
    log: bool = False,
    shape: str = "whole",
) -> list[str]:
    """Rows of braille text; blank cells are U+2800.

    The whole width stands for the steps of `window`, the height for the values of `limits`. Each dot
    column spans from its lowest to its highest value; gaps (values that are not finite) stay open.
    """
    columns, dots = width * 2, height * 4
    grid = [bytearray(width) for _ in range(height)]
    to_row = scale(*limits, dots, log=log) if columns >= 2 and height >= 1 else None
    if to_row is not None:
        _curve(series, grid, window, limits[0], to_row, log, SHAPES[shape])
    return ["".join(chr(0x2800 + c) for c in line) for line in grid]


def _curve(
    series: Series,
    grid: list[bytearray],
    window: tuple[float, float],
    floor: float,
    to_row: Callable[[float], int],
    log: bool,
    shown: Callable[[int], bool],
) -> None:
    columns = len(grid[0]) * 2
    first, span = window[0], max(window[1] - window[0], 1e-9)

    def put(column: int, top: int, bottom: int) -> None:
        if shown(column):
            for dot in range(top, bottom + 1):
                grid[dot // 4][column // 2] |= _DOTS[column % 2][dot % 4]

    before: tuple[int, int] | None = None  # column and dot row of the last value drawn
    start = bisect_left(series.steps, first)
    end = bisect_right(series.steps, window[1])
    for column in range(columns):
        edge = first + span * (column + 1) / columns
        last = column == columns - 1
        stop = end if last else bisect_left(series.steps, edge, start, end)
        if stop == start:
            continue
        found = series.bounds(start, stop)
        if found is None or (log and found[1] <= 0):
            before, start = None, stop
            continue
        low, high = found
        top, bottom = to_row(high), to_row(max(low, floor) if log else low)
        opening = series.values[start]
        if before is not None and math.isfinite(opening):
            _connect(put, before, (column, to_row(opening)))
        put(column, top, bottom)
        closing = series.values[stop - 1]
        before = (column, to_row(closing)) if math.isfinite(closing) else None
        start = stop


def _connect(put: Callable[[int, int, int], None], a: tuple[int, int], b: tuple[int, int]) -> None:
    """Dots from a to b, without a hole in any column between."""
    steps = b[0] - a[0]
    if steps <= 0:
        return
    row = a[1]
    for i in range(1, steps + 1):
        following = round(a[1] + (b[1] - a[1]) * i / steps)
        put(a[0] + i, min(row, following), max(row, following))
        row = following
