"""How a moment is written: local time, UTC, or how long ago. One way for the whole program.

Like the locale it belongs to the process: `use` is called by the app alone, and `qa` commands keep the
local time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

WAYS = ("local", "utc", "age")
NAMED = {"local": "local time", "utc": "UTC", "age": "how long ago"}

_way = "local"
_now: Callable[[], float] = time.time


def use(way: str, now: Callable[[], float] = time.time) -> None:
    """way: one of WAYS, anything else means local time.  now: Unix seconds."""
    global _way, _now
    _way = way if way in WAYS else "local"
    _now = now


def way() -> str:
    return _way


def following(way: str) -> str:
    return WAYS[(WAYS.index(way) + 1) % len(WAYS)] if way in WAYS else WAYS[0]


def now() -> float:
    """Unix seconds, of the clock that `use` was given."""
    return _now()


def written(at: datetime, way: str, *, year: bool = True, seconds: bool = False) -> str:
    """Date and time of day to the minute, local or in UTC.

    at: aware, or naive local time.  year: False where there is little room.
    """
    shape = ("%Y-" if year else "") + "%m-%d %H:%M" + (":%S" if seconds else "")
    if way == "utc":
        return at.astimezone(UTC).strftime(shape) + "Z"
    return at.astimezone().strftime(shape)
