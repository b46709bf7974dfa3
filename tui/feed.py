"""What a job's events say, folded into the facts and the loss curve a screen shows.

Events arrive in any number and any order of kinds; a field of an unexpected type is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.jobdir import JobDir, read_events
from tui.present.words import number
from tui.series import Series


@dataclass(slots=True)
class Facts:
    """Newest value of everything; None where the job has not said it."""

    phase: str = ""
    step: float | None = None
    max_steps: float | None = None
    epoch: float | None = None
    loss: float | None = None
    lr: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None
    memory_bytes: float | None = None
    done: float | None = None
    total: float | None = None
    what: str = ""
    checkpoint: float | None = None
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    warned: int = 0
    result: dict[str, Any] | None = None

    @property
    def share(self) -> float | None:
        """Of the training steps, else of the counted work: 0..1."""
        for part, whole in ((self.step, self.max_steps), (self.done, self.total)):
            if part is not None and whole:
                return max(0.0, min(1.0, part / whole))
        return None


class JobFeed:
    """Reads a job's events bit by bit. `read` may run in a thread; `apply` is the screen's."""

    def __init__(self, job: JobDir) -> None:
        self.job = job
        self.facts = Facts()
        self.loss = Series()
        self._offset = 0

    def has_news(self) -> bool:
        """Whether the file is longer than what was read: one look, no reading."""
        try:
            return self.job.events.stat().st_size > self._offset
        except OSError:
            return False

    def read(self) -> list[dict[str, Any]]:
        """Events since the last call."""
        events, self._offset = read_events(self.job.events, self._offset)
        return events

    def apply(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            fold(self.facts, event)
            if event.get("kind") == "metric":
                step, loss = number(event.get("step")), event.get("loss")
                if step is not None and isinstance(loss, int | float):
                    self.loss.append(step, float(loss))


_NUMBERS = ("step", "max_steps", "epoch", "lr", "tokens_per_s", "eta_s", "memory_bytes")


def fold(facts: Facts, event: Mapping[str, Any]) -> None:
    """Take one event into the facts."""
    kind = event.get("kind")
    if kind == "metric":
        for name in _NUMBERS:
            if name in event:
                setattr(facts, name, number(event[name]))
        loss = event.get("loss")
        if isinstance(loss, int | float):
            facts.loss = float(loss)  # NaN stays visible
    elif kind == "progress":
        facts.done, facts.total = number(event.get("done")), number(event.get("total"))
        facts.what = str(event.get("what") or "")
        facts.eta_s = number(event.get("eta_s"))
    elif kind == "phase":
        facts.phase = str(event.get("name") or "")
    elif kind == "checkpoint":
        facts.checkpoint = number(event.get("step"))
    elif kind in ("warning", "unreadable"):
        facts.warned += 1
        facts.warnings.append(str(event.get("text") or kind))
    elif kind == "result":
        facts.result = dict(event)
        facts.eta_s = None
