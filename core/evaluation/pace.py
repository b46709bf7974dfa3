"""How fast questions are answered: threads that suit the machine as it is now, and the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from core.evaluation.engines import Engine
from core.evaluation.golden import GoldenQuestion
from core.jobdir import EventWriter

SETTLE_EVERY_S = 60.0


class Threads:
    """Keeps to the number of threads that is fastest, as the rest of the machine comes and goes."""

    def __init__(self, engine: Engine, say: Callable[[str], None]) -> None:
        self._engine, self._say = engine, say
        self._count, self._at = -1, -math.inf
        self.again()

    def again(self) -> None:
        if time.perf_counter() - self._at < SETTLE_EVERY_S:
            return
        count = self._engine.settle()
        if count != self._count and count:
            self._say(f"answering with {count} thread{'s' if count > 1 else ''}")
        self._count, self._at = count, time.perf_counter()


class Progress:
    """Events with the time that is left, judged by this run's own pace."""

    def __init__(self, what: str, total: int, left: int, events: EventWriter) -> None:
        self._what, self._events = what, events
        self._total, self._left = total, left
        self._began, self._given = time.perf_counter(), 0

    def tell(self, answered: int) -> None:
        if not answered:
            return
        self._given += answered
        self._left -= answered
        pace = (time.perf_counter() - self._began) / self._given
        done = self._total - self._left
        self._events.progress(done, self._total, self._what, round(self._left * pace, 1))


def spread(questions: Sequence[GoldenQuestion], n: int) -> list[GoldenQuestion]:
    """n questions at even distances, hence of all categories of a sorted file."""
    n = min(n, len(questions))
    return [questions[k * len(questions) // n] for k in range(n)]
