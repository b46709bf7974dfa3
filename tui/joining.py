"""Which line of a log tells of a step, and which step a line tells of: the curve and the log as one."""

from __future__ import annotations

import re
from collections.abc import Callable

STEP = re.compile(r"\bstep\s+(\d+)(?:\s*/\s*\d+)?\b")
LOOK = 200  # lines that may lie between two steps

LineText = Callable[[int], str]


def step_of(line: str) -> int | None:
    """The step that a line tells of."""
    found = STEP.search(line[:400])
    return int(found[1]) if found and len(found[1]) < 16 else None


def step_near(text: LineText, number: int) -> int | None:
    """Of line `number`, else of the nearest line above that tells one."""
    for line in range(number, max(-1, number - LOOK), -1):
        found = step_of(text(line))
        if found is not None:
            return found
    return None


def line_of(text: LineText, lines: int, step: float) -> int | None:
    """The line of the first step at or after `step`, in a log whose steps rise; None without any.

    Looks at few lines, however long the log is.
    """
    low, high, best = 0, lines, None
    while low < high:
        middle = (low + high) // 2
        at, found = _next(text, middle, high)
        if found is None:
            high = middle
        elif found < step:
            low = at + 1
        else:
            best, high = at, middle
    return best if best is not None else _last(text, lines)


def _next(text: LineText, start: int, stop: int) -> tuple[int, int | None]:
    """The first line from `start` that tells a step."""
    for line in range(start, min(stop, start + LOOK)):
        found = step_of(text(line))
        if found is not None:
            return line, found
    return start, None


def _last(text: LineText, lines: int) -> int | None:
    """The last line that tells a step, if it is near the end."""
    near = range(lines - 1, max(-1, lines - 1 - LOOK), -1)
    return next((n for n in near if step_of(text(n)) is not None), None)
