"""A Series drawn in braille dots: pure, any size."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

from tui.series import Series

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # [column][row] of one cell


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


def draw(
    series: Series, width: int, height: int, *, last_step: float | None = None, log: bool = False
) -> tuple[list[str], tuple[float, float] | None]:
    """(rows of braille text, (lowest, highest) drawn).

    The whole width stands for steps from the first to `last_step` (default: the newest). Each dot
    column spans from its lowest to its highest value; gaps (values that are not finite) stay open.
    """
    columns, dots = width * 2, height * 4
    grid = [bytearray(width) for _ in range(height)]
    bounds = series.bounds(0, len(series))
    rows = ["".join(chr(0x2800 + c) for c in line) for line in grid]
    if bounds is None or columns < 2 or height < 1:
        return rows, None
    if log:  # zero and below have no place on a logarithmic axis
        smallest = bounds[0]
        if smallest <= 0:
            positive = [v for v in series.values if v > 0 and math.isfinite(v)]
            if not positive:
                return rows, None
            smallest = min(positive)
        bounds = (smallest, bounds[1])
    to_row = scale(*bounds, dots, log=log)
    if to_row is None:
        return rows, None
    first = series.steps[0]
    last = max(series.steps[-1], last_step if last_step is not None else first)
    span = max(last - first, 1e-9)

    def put(column: int, top: int, bottom: int) -> None:
        for dot in range(top, bottom + 1):
            grid[dot // 4][column // 2] |= _DOTS[column % 2][dot % 4]

    before: tuple[int, int] | None = None  # column and dot row of the last value drawn
    start = 0
    for column in range(columns):
        edge = first + span * (column + 1) / columns
        stop = len(series) if column == columns - 1 else bisect_left(series.steps, edge, start)
        if stop == start:
            continue
        found = series.bounds(start, stop)
        if found is None or (log and found[1] <= 0):
            before, start = None, stop
            continue
        low, high = found
        top, bottom = to_row(high), to_row(max(low, bounds[0]) if log else low)
        opening = series.values[start]
        enter = to_row(opening) if math.isfinite(opening) else top
        if before is not None and math.isfinite(opening):
            _connect(put, before, (column, enter))
        put(column, top, bottom)
        closing = series.values[stop - 1]
        before = (column, to_row(closing)) if math.isfinite(closing) else None
        start = stop
    return ["".join(chr(0x2800 + c) for c in line) for line in grid], bounds


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
