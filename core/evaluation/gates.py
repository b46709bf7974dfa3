"""Gates: targets with an action if missed, judged on intervals, and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from core import locations
from core.errors import UsageError
from core.evaluation.metrics import SystemScore, items
from core.evaluation.paired import Comparison, compare_items
from core.evaluation.regressions import Regressions
from core.evaluation.serving import Served, served_at
from core.evaluation.statistics import (
    Bound,
    Proportion,
    Verdict,
    holm,
    items_needed,
    verdict,
    wilson,
)
from core.settings import Settings, load, validate

Decision = Literal["GO", "NO-GO", "UNDECIDED"]
METRICS = (
    "accuracy accuracy_attempted citation_presence citation_precision citation_recall "
    "citation_right fabricated fabricated_answers wrong_entity malformed stale deferral right_tool "
    "tool_named false_refusal wrong_but_cited unsupported confabulated canaries latency_p95 "
    "probe_facts probe_citation_right"
).split()


class Gate(Settings):
    """One target. Exactly one of at_least, at_most (0..1) and below_s (seconds, latency only).

    at_rate: requests a second at which the server's latency counts; None: the lowest that was measured.
    """

    id: str
    title: str
    metric: str
    at_least: float | None = Field(None, gt=0, lt=1)
    at_most: float | None = Field(None, gt=0, lt=1)
    below_s: float | None = Field(None, gt=0)
    at_rate: float | None = Field(None, gt=0)
    margin: float = Field(0.0, ge=0, lt=1)
    optional: bool = False
    action: str

    @model_validator(mode="after")
    def _one_limit(self) -> Gate:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; one of: {', '.join(METRICS)}")
        given = [n for n in ("at_least", "at_most", "below_s") if getattr(self, n) is not None]
        wanted = ["below_s"] if self.metric == "latency_p95" else ["at_least", "at_most"]
        if len(given) != 1 or given[0] not in wanted:
            raise ValueError(f"{self.metric} needs exactly one of {' or '.join(wanted)}")
        if self.at_rate is not None and self.metric != "latency_p95":
            raise ValueError(f"at_rate belongs to latency_p95, not to {self.metric}")
        return self

    def bound(self, confidence: float) -> Bound:
        if self.below_s is not None:
            return Bound(0.95, True, self.margin, confidence)
        target = self.at_least if self.at_least is not None else self.at_most
        assert target is not None  # by _one_limit
        return Bound(target, self.at_least is not None, self.margin, confidence)

    @property
    def target(self) -> str:
        """As people read it: "≥ 95 %", "< 1.5 s"."""
        if self.below_s is not None:
            return f"< {self.below_s:g} s"
        sign, value, way = ("≥", self.at_least, "−") if self.at_least else ("≤", self.at_most, "+")
        margin = f" ({way}{self.margin * 100:g} % margin)" if self.margin else ""
        return f"{sign} {(value or 0) * 100:g} %{margin}"


class RetrievalRule(Settings):
    """GO needs the retrieval column, and a candidate that beats it by a paired test."""

    required: bool = True
    metric: Literal["accuracy"] = "accuracy"
    alpha: float = Field(0.05, gt=0, lt=1)
    action: str


class RegressionRule(Settings):
    """Against the previous version: more severe regressions than `at_most` need a person."""

    at_most: int = Field(default=0, ge=0)
    action: str = "Read these answers; release only if a person accepts every one of them"


class Gates(Settings):
    confidence: float = Field(0.95, gt=0.5, lt=1)
    gates: tuple[Gate, ...] = Field(min_length=1)
    retrieval: RetrievalRule
    regressions: RegressionRule | None = RegressionRule()

    @model_validator(mode="after")
    def _ids_differ(self) -> Gates:
        ids = [g.id for g in self.gates]
        if len(set(ids)) != len(ids) or {"retrieval", "regressions"} & set(ids):
            raise ValueError(
                "every gate needs an id of its own, and none may be 'retrieval' or 'regressions'"
            )
        return self


def load_gates(path: Path | None = None) -> Gates:
    """The gates of a YAML file; configs/gates.yaml if none is given. Raises SettingsError."""
    return load(path or locations.configs() / "gates.yaml", Gates)


def gates_from(data: Any, origin: str = "gates") -> Gates:
    """Gates that travelled inside a job. Raises SettingsError."""
    return validate(data, Gates, origin=origin)


@dataclass(frozen=True, slots=True)
class GateResult:
    """One row of the page. estimate, low, high: 0..1, or seconds for latency; None: no such value.

    n_needed: further items that would decide if they came out like those so far; 0 when decided,
    None when no number would or nothing was measured.  waived: the reason somebody stated for going
    on in spite of the verdict; the verdict itself stays.
    """

    gate: str
    title: str
    metric: str
    target: str
    verdict: Verdict
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    n_needed: int | None
    action: str
    detail: str
    waived: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(first: SystemScore, second: SystemScore) -> Comparison:
    """Both systems on the items both were asked."""
    return compare_items(items(first, second))


def compare_all(first: SystemScore, others: Mapping[str, SystemScore]) -> dict[str, Comparison]:
    """`compare` with each of the others; holm_p is corrected over all of them."""
    found = {name: compare(first, other) for name, other in others.items()}
    corrected = holm({name: c.p_value for name, c in found.items()})
    return {name: replace(c, holm_p=corrected[name]) for name, c in found.items()}


def judge(
    gates: Gates,
    candidate: SystemScore,
    probe: Mapping[str, Proportion],
    against_retrieval: Comparison | None,
    reason: str = "",
    lost: Regressions | None = None,
    serving: Mapping[str, Any] | None = None,
    served_as: Collection[str] = (),
) -> list[GateResult]:
    """All gates of one candidate.

    probe: "facts", "citation_right" on unseen wording, if measured.  lost: against the previous
    version; None, where it was not asked, leaves that gate out.  serving: latency.json, if the
    candidate was measured at a server; served_as: its names there.
    """
    results = []
    for gate in gates.gates:
        if gate.metric == "latency_p95":
            served = served_at(serving, served_as, gate.at_rate)
            results.append(_latency(gate, candidate, gates.confidence, served))
            continue
        p = candidate.metrics.get(gate.metric)
        if gate.metric.startswith("probe_"):
            p = probe.get(gate.metric.removeprefix("probe_"))
        if gate.optional and p is None:
            continue
        results.append(_proportion(gate, p or wilson(0, 0), gates.confidence, candidate))
    if gates.retrieval.required:
        results.append(_retrieval(gates.retrieval, against_retrieval, reason))
    if gates.regressions is not None and lost is not None:
        results.append(_regressions(gates.regressions, lost))
    return results


def decide(results: Sequence[GateResult]) -> Decision:
    """One FAIL is NO-GO; GO needs PASS everywhere. What is waived does not count."""
    verdicts = [r.verdict for r in results if not r.waived]
    if "FAIL" in verdicts:
        return "NO-GO"
    return "GO" if results and all(v == "PASS" for v in verdicts) else "UNDECIDED"


def gate_of(gates: Gates, metric: str) -> Gate | None:
    return next((g for g in gates.gates if g.metric == metric), None)


def weak_categories(parts: Mapping[str, Proportion], bound: Bound) -> list[tuple[str, Proportion]]:
    """Categories on the wrong side of the target as observed, the worst first: by the lower bound
    where more is better, by the upper one where less is.
    """

    def badness(p: Proportion) -> float:
        return (p.low or 0.0) if bound.at_least else -(p.high or 0.0)

    weak = [
        (name, p)
        for name, p in parts.items()
        if p.estimate is not None
        and (p.estimate < bound.target if bound.at_least else p.estimate > bound.target)
    ]
    return sorted(weak, key=lambda item: (badness(item[1]), item[0]))


def _proportion(gate: Gate, p: Proportion, confidence: float, system: SystemScore) -> GateResult:
    bound = gate.bound(confidence)
    result = verdict(p, bound)
    needed = items_needed(p, bound)
    shown = wilson(p.k, p.n, confidence, p.n_effective)
    detail = f"{p.k} of {p.n}" if p.n else "not measured: nothing of this kind in the answers"
    if result == "UNDECIDED" and p.n:
        detail += (
            f"; {needed} more like these would decide"
            if needed
            else "; at this rate no number of items would decide"
        )
    action = gate.action
    parts = system.categories if gate.metric == "accuracy" else system.parts.get(gate.metric, {})
    weak = weak_categories(parts, bound) if result != "PASS" and len(parts) > 1 else []
    if weak:
        action += ": " + ", ".join(f"{name} ({w.k}/{w.n})" for name, w in weak)
    return GateResult(
        gate.id,
        gate.title,
        gate.metric,
        gate.target,
        result,
        shown.estimate,
        shown.low,
        shown.high,
        p.n,
        needed,
        action,
        detail,
    )


def _latency(
    gate: Gate, candidate: SystemScore, confidence: float, served: Served | None
) -> GateResult:
    """By the server's own figures where there are any, else by the answers that were given alone."""
    assert gate.below_s is not None  # by Gate._one_limit
    if served is not None:
        p, p95 = served.within(gate.below_s), (served.p95, served.low, served.high)
        where = f"at the server, {served.rate:g} requests a second"
    else:
        found = candidate.latency.as_dict()
        p = candidate.latency.faster_than(gate.below_s)
        p95 = (found["latency_p95"], found["latency_p95_low"], found["latency_p95_high"])
        where = "one at a time on the host"
    bound = gate.bound(confidence)
    result = verdict(p, bound)
    needed = items_needed(p, bound)
    detail = "not measured"
    if p.n:
        detail = f"{p.k} of {p.n} answers within {gate.below_s:g} s, {where}"
        if result == "UNDECIDED":
            detail += f"; {needed} more like these would decide" if needed else ""
    return GateResult(
        gate.id,
        gate.title,
        gate.metric,
        gate.target,
        result,
        *p95,
        p.n,
        needed,
        gate.action,
        detail,
    )


def _retrieval(rule: RetrievalRule, c: Comparison | None, reason: str) -> GateResult:
    result: Verdict = "UNDECIDED"
    if c is None:
        detail = "the retrieval column is missing: GO is blocked until it is measured"
    else:
        detail = f"better on {c.wins} questions, worse on {c.losses}, p = {c.p_value:.2g} (McNemar)"
        if c.p_value < rule.alpha:
            result = "PASS" if c.wins > c.losses else "FAIL"
        else:
            detail += "; no difference shown either way"
            if c.detectable is not None:
                detail += f", and one below {c.detectable * 100:.0f} points would not show"
    # without the column there is nothing a reason could be weighed against
    waived = reason.strip() if c is not None and result != "PASS" else ""
    return GateResult(
        "retrieval",
        "Better than retrieval",
        rule.metric,
        "better, paired test",
        result,
        (c.wins - c.losses) / c.n if c is not None and c.n else None,
        None,
        None,
        c.n if c is not None else 0,
        0 if result != "UNDECIDED" else None,
        rule.action,
        detail,
        waived,
    )


def _regressions(rule: RegressionRule, lost: Regressions) -> GateResult:
    """No interval decides here: one answer that misleads where the last version did not is a matter
    for a person, so too many are UNDECIDED until one has looked.
    """
    n = len(lost.severe)
    many = n > rule.at_most
    shown = ", ".join(lost.severe[:5]) + (f" and {n - 5} more" if n > 5 else "")
    detail = f"{len(lost.lost)} of {lost.n} questions lost against the previous version, {n} severe"
    if n:
        detail += f" (now contradicted or with an invented source): {shown}"
    return GateResult(
        "regressions",
        "Severe regressions",
        "severe_regressions",
        f"≤ {rule.at_most}, else a person decides",
        "UNDECIDED" if many else "PASS",
        None,
        None,
        None,
        lost.n,
        None if many else 0,
        rule.action,
        detail,
    )


def pick_candidate(names: Sequence[str], wanted: str | None = None) -> str:
    """Which system the gates judge: the one asked for, else tuned, else the last that is no baseline.

    Raises UsageError if `wanted` is not among the systems.
    """
    if wanted is not None:
        if wanted not in names:
            raise UsageError(
                f"no system {wanted!r} to judge", try_next=f"one of: {', '.join(names)}"
            )
        return wanted
    if "tuned" in names:
        return "tuned"
    own = [n for n in names if n not in ("base", "retrieval", "base+retrieval", "previous")]
    return own[-1] if own else names[-1]
