"""What the Train screen may ask: what a training would take and whether it can teach; earlier runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tui.series import Series


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """problem: why its file cannot be used, or ""."""

    name: str
    model: str
    profiles: tuple[str, ...] = ()
    profile: str = ""
    about: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator is about to start. overrides: key=value.  accept: rule → reason."""

    recipe: str
    smoke: bool = False
    overrides: tuple[str, ...] = ()
    accept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LintRow:
    """severity: error, warning or note.  settings: what would mend it, for --set."""

    rule: str
    severity: str
    message: str
    reason: str
    source: str
    fix: str = ""
    settings: tuple[str, ...] = ()
    accepted: str = ""

    @property
    def stops(self) -> bool:
        return self.severity == "error" and not self.accepted


@dataclass(frozen=True, slots=True)
class WayOut:
    """A change that would make it fit. peak: bytes afterwards; verdict: PASS, TIGHT, NO."""

    text: str
    settings: tuple[str, ...]
    peak: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Price:
    """Seconds, hours, bytes. basis: where it comes from, in words; assumed: from no run here."""

    low_s: float
    high_s: float
    gpu_hours: float
    disk: int
    disk_peak: int
    steps: int
    tokens: int
    basis: str
    assumed: bool


@dataclass(frozen=True, slots=True)
class Held:
    """One figure of a finished run: "peak_bytes" (bytes) or "wall_s" (seconds), said before and measured."""

    job_id: str
    figure: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        return self.measured / self.predicted - 1


@dataclass(frozen=True, slots=True)
class Missed:
    """How far predictions of a figure were typically off on one kind of machine ("" = not known).

    error: a share, 0..1.  runs: over how many.
    """

    machine: str
    figure: str
    error: float
    runs: int


@dataclass(frozen=True, slots=True)
class PlanView:
    """Memory in bytes: parts add up to the predicted peak of one process; free: of one accelerator.

    verdict: PASS, TIGHT, NO or UNKNOWN.  past: of earlier predictions, by kind of machine; held: each
    of them, the newest run first.  busy: id of the job that holds the accelerator.
    command: what would run there.
    """

    wish: Wish
    profile: str
    base: str
    parameters: int
    trainable: int
    host: str
    launcher: str
    data: str
    pairs: int
    facts: int
    per_fact: float
    deferrals: float
    parts: tuple[tuple[str, int], ...]
    free: int | None
    verdict: str
    ways_out: tuple[WayOut, ...]
    notes: tuple[str, ...]
    price: Price | None
    lint: tuple[LintRow, ...]
    past: tuple[Missed, ...] = ()
    promises: tuple[str, ...] = ()
    busy: str = ""
    command: str = ""
    held: tuple[Held, ...] = ()

    @property
    def peak(self) -> int:
        return sum(size for _, size in self.parts)

    @property
    def blocking(self) -> tuple[str, ...]:
        """Rules with an error that nobody accepted."""
        return tuple(dict.fromkeys(f.rule for f in self.lint if f.stops))


@dataclass(frozen=True, slots=True)
class PreflightRow:
    """One thing found in the rows by the real tokenizer. rows: where, as file, line and id."""

    severity: str
    text: str
    why: str = ""
    try_next: str = ""
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PreflightView:
    """known: False where the tokenizer is not on this machine.  longest: tokens."""

    known: bool
    rows: int = 0
    markers: int = 0
    template: str = ""
    longest: int | None = None
    findings: tuple[PreflightRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Ghost:
    """An earlier run to be held against. label: its version, else its job."""

    label: str
    loss: Series


@dataclass(frozen=True, slots=True)
class Behind:
    """What was said before a job started: predicted peak in bytes and seconds; the run to beat."""

    job_id: str
    peak: int | None = None
    low_s: float | None = None
    high_s: float | None = None
    ghost: Ghost | None = None


class PlansDesk(Protocol):
    def recipes(self) -> Sequence[RecipeRow]: ...
    def plan(self, wish: Wish) -> PlanView: ...
    def preflight(self, wish: Wish) -> PreflightView: ...  # seconds; in a process of its own
    def behind(self, job_id: str) -> Behind: ...
