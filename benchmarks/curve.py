"""Drawing a curve of 100,000 points: the pyramid of tui.series against one look at every point.

Each frame is a redraw after a new value, 100 cells wide and 20 high, as while a job runs: with the
run to beat behind it, and zoomed to a tenth. The peer keeps the lowest and the highest value of each
dot column by passing over all points, which is what a curve without a pyramid does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from benchmarks.figures import Figure, median
from tui.series import Series
from tui.widgets import braille

POINTS = 100_000
WIDTH, HEIGHT = 100, 20
FRAMES = 30
FRAME_S = 0.015  # the goal for one redraw


def value(step: int) -> float:
    return 0.35 + 4.1 * math.exp(-step / 6000) + 0.06 * math.sin(step * 1.7)


def filled(points: int) -> Series:
    series = Series()
    for step in range(points):
        series.append(step, value(step))
    return series


def ours(runs: list[Series], window: tuple[float, float]) -> None:
    limits = braille.bounds(runs, window)
    assert limits is not None
    for run in runs:
        braille.draw(run, WIDTH, HEIGHT, window, limits)


def plain(series: Series) -> None:
    """Lowest and highest of each dot column, point by point."""
    columns = WIDTH * 2
    low, high = [math.inf] * columns, [-math.inf] * columns
    span = series.steps[-1] + 1
    for step, number in zip(series.steps, series.values, strict=True):
        column = int(step / span * columns)
        if math.isfinite(number):
            low[column], high[column] = min(low[column], number), max(high[column], number)


def timed(act: Callable[[], None], series: Series, frames: int) -> float:
    """Median seconds of a frame; a value comes in before each."""
    lasted = []
    for _ in range(frames):
        series.append(len(series), value(len(series)))
        began = time.perf_counter()
        act()
        lasted.append(time.perf_counter() - began)
    return median(lasted)


def run() -> list[Figure]:
    mine, ghost = filled(POINTS), filled(POINTS)
    peer = timed(lambda: plain(mine), mine, 5)
    whole = timed(lambda: ours([mine, ghost], (0.0, mine.steps[-1])), mine, FRAMES)
    close = timed(lambda: ours([mine, ghost], (mine.steps[-1] * 0.9, mine.steps[-1])), mine, FRAMES)
    rows = (
        ("curve of 100,000 points and its ghost, redrawn", whole),
        ("the same zoomed to a tenth", close),
    )
    goal = f"the goal of {FRAME_S * 1000:.0f} ms"
    return [
        *(Figure(name, "s", got, goal, FRAME_S, 1.0, FRAMES) for name, got in rows),
        Figure(
            "the same against every point", "s", whole, "one pass of one run", peer, 0.5, FRAMES
        ),
    ]
