"""How a transfer goes: bytes, rate, time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int, str], None]  # bytes done, bytes in all, file name
SPAN_S = 5.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """done, total: bytes.  rate: bytes/s over the last seconds.  eta: s, None if it cannot be said."""

    done: int
    total: int
    rate: float
    eta: float | None
    name: str


def rated(
    show: Callable[[Transfer], None], clock: Callable[[], float] = time.monotonic
) -> Progress:
    """A Progress that adds rate and time left. What was there at the first call counts for neither."""
    seen: deque[tuple[float, int]] = deque()

    def step(done: int, total: int, name: str) -> None:
        now = clock()
        seen.append((now, done))
        while len(seen) > 2 and now - seen[0][0] > SPAN_S:
            seen.popleft()
        spent, moved = now - seen[0][0], done - seen[0][1]
        rate = moved / spent if spent > 0 else 0.0
        show(Transfer(done, total, rate, (total - done) / rate if rate > 0 else None, name))

    return step


class Tally:
    """Bytes done of a total, told to a Progress. wire: bytes that really travelled."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.done, self.wire = total, 0, 0
        self._progress = progress

    def add(self, n: int, name: str, wire: int | None = None) -> None:
        """n: bytes of the file that are there now.  wire: bytes that travelled for them."""
        self.done += n
        self.wire += n if wire is None else wire
        if self._progress:
            self._progress(self.done, self.total, name)
