"""What a job's events say, folded into the facts and the loss curve a screen shows.

Events arrive in any number and any order of kinds; a field of an unexpected type is left out.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.jobdir import JobDir, read_events
from tui.present.words import number
from tui.series import Series

AT_ONCE = 1 << 18  # bytes of events


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
    probe: dict[str, Any] | None = None
    preflight: str = ""
    stop: str = ""

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
        self.lr: array[float] = array("d")  # of each loss, NaN where not said
        self.times: array[float] = array("d")  # Unix seconds by the host's clock, or NaN
        self.probes: dict[str, Series] = {name: Series() for name in PROBED}
        self._offset = 0

    def has_news(self) -> bool:
        """Whether the file is longer than what was read: one look, no reading."""
        try:
            return self.job.events.stat().st_size > self._offset
        except OSError:
            return False

    def read(self) -> list[dict[str, Any]]:
        """Events since the last call, so many that they are soon folded."""
        events, self._offset = read_events(self.job.events, self._offset, AT_ONCE)
        return events

    def load(self) -> JobFeed:
        """Take in all that is there by now: in a thread, before anybody looks at this feed."""
        while self.has_news() and (events := self.read()):
            self.apply(events)
        return self

    def apply(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            fold(self.facts, event)
            if event.get("kind") == "metric":
                step, loss = number(event.get("step")), _loss(event)
                if step is not None and loss is not None:
                    self._metric(step, loss, event)
            elif event.get("kind") == "probe":
                self._probed(event)

    def _metric(self, step: float, loss: float, event: Mapping[str, Any]) -> None:
        self.loss.append(step, loss)
        kept = len(self.loss) - 1  # a resumed run has cut the curve back
        for values, name in ((self.lr, "lr"), (self.times, "t")):
            del values[kept:]
            said = number(event.get(name))
            values.append(math.nan if said is None else said)

    def _probed(self, event: Mapping[str, Any]) -> None:
        step = number(event.get("step"))
        for name, series in self.probes.items():
            found = share(event.get(name))
            if step is not None and found is not None:
                series.append(step, found)


def share(measure: object) -> float | None:
    """The estimate of {"k", "n", "estimate"}, 0..1; None where nothing was asked."""
    if not isinstance(measure, Mapping):
        return None
    found = number(measure.get("estimate"))
    return found if found is not None and 0 <= found <= 1 else None


PROBED = ("recall", "fabricated", "refusal")  # drawn, as shares 0..1
_NUMBERS = ("step", "max_steps", "epoch", "lr", "tokens_per_s", "eta_s", "memory_bytes")


def fold(facts: Facts, event: Mapping[str, Any]) -> None:
    """Take one event into the facts."""
    kind = event.get("kind")
    if kind == "metric":
        for name in _NUMBERS:
            if name in event:
                setattr(facts, name, number(event[name]))
        loss = _loss(event)
        if loss is not None:
            facts.loss = loss
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
    elif kind == "probe":
        facts.probe = dict(event)
    elif kind == "preflight":
        facts.preflight = _preflight(event)
    elif kind == "stop":
        facts.stop = str(event.get("text") or "")
    elif kind == "result":
        facts.result = dict(event)
        facts.eta_s = None


def _loss(event: Mapping[str, Any]) -> float | None:
    """NaN and inf stay visible: of a loss they are news."""
    said = event.get("loss")
    return said if isinstance(said, float) else number(said)


def _preflight(event: Mapping[str, Any]) -> str:
    """`1,458 rows, 2 warnings` of the report that a training writes before its first step."""
    findings = event.get("findings")
    rows = [f for f in findings if isinstance(f, Mapping)] if isinstance(findings, list) else []
    said = [f"{int(number(event.get('rows')) or 0):,} rows"]
    for severity in ("error", "warning"):
        found = sum(f.get("severity") == severity for f in rows)
        said += [f"{found} {severity}{'s' if found > 1 else ''}"] if found else []
    return ", ".join(said)
