"""What was live at a moment of the past, what it was trained on, and what was known of it then.

All of it from rows that are never changed: deployments, evaluations, decisions, approvals, audit.
Moments are compared as ISO 8601 text in UTC, which is how they are stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import UsageError
from core.registry import audit, deployments, evaluations, records, snapshots
from core.registry.approvals import Approval, approvals
from core.registry.records import ENVIRONMENTS, Deployment, Version
from core.registry.snapshots import SnapshotRow
from core.registry.store import Registry

_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?))?\s*(Z|[+-]\d{2}:?\d{2}|local)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Lived:
    """A version that was live. status: then.  evaluation: the newest of that time, if there was one."""

    environment: str
    deployment: Deployment
    version: Version
    status: str
    snapshot: SnapshotRow
    evaluation: evaluations.Evaluation | None
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """at: ISO 8601, UTC.  live: environment → what was live there, None for nothing.

    decision: the newest GO or NO-GO of that time: {at, who, decision, reason}, or None.
    last: the audit row before that moment, or None.  before_all: the registry begins later.
    future: the moment has not come yet; what is shown is now.
    """

    at: str
    live: dict[str, Lived | None]
    decision: dict[str, str] | None
    last: audit.Entry | None
    before_all: bool
    future: bool


def parse_moment(text: str) -> datetime:
    """2026-01-14T09:00Z, …+02:00, …local, or without a zone: local time. A date alone is its start.

    Raises UsageError.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise _not_a_moment(text)
    day, clock, zone = found.groups()
    try:
        naive = datetime.fromisoformat(f"{day}T{clock or '00:00'}")
        if zone is None or zone.lower() == "local":
            return naive.astimezone().astimezone(UTC)
        offset = "+00:00" if zone.upper() == "Z" else zone
        return datetime.fromisoformat(f"{naive.isoformat()}{offset}").astimezone(UTC)
    except (ValueError, OverflowError, OSError) as e:
        raise _not_a_moment(text) from e


def at(reg: Registry, when: datetime, *, now: datetime | None = None) -> Moment:
    """The registry's world at a moment (aware datetime)."""
    moment = _iso(when)
    last = reg.one("SELECT * FROM audit WHERE at <= ? ORDER BY seq DESC LIMIT 1", (moment,))
    decision = reg.one(
        "SELECT at, who, decision, reason FROM decisions WHERE at <= ? ORDER BY id DESC LIMIT 1",
        (moment,),
    )
    return Moment(
        at=moment,
        live={name: _lived(reg, name, moment) for name in ENVIRONMENTS},
        decision=None if decision is None else {k: decision[k] for k in decision.keys()},  # noqa: SIM118
        last=None if last is None else audit._entry(last),
        before_all=last is None,
        future=when > (now or datetime.now(UTC)),
    )


def _lived(reg: Registry, environment: str, moment: str) -> Lived | None:
    # the newest that had begun; over by then means that nothing was live
    row = reg.one(
        "SELECT id, ended_at FROM deployments WHERE environment = ? AND started_at <= ?"
        " ORDER BY id DESC LIMIT 1",
        (environment, moment),
    )
    if row is None or (row["ended_at"] is not None and row["ended_at"] <= moment):
        return None
    deployment = deployments.get(reg, row["id"])
    version = records.get(reg, deployment.model_version)
    return Lived(
        environment,
        deployment,
        version,
        _status(reg, version, moment),
        snapshots.row(reg, version.dataset_version),
        evaluations.latest(reg, version.model_version, until=moment),
        tuple(a for a in approvals(reg, version.model_version) if _counted(a, environment, moment)),
    )


def _status(reg: Registry, version: Version, moment: str) -> str:
    """From the audit: what the last change before the moment made of it."""
    found = reg.value(
        "SELECT after FROM audit WHERE subject = ? AND action = 'version.status' AND at <= ?"
        " ORDER BY seq DESC LIMIT 1",
        (version.model_version, moment),
    )
    return "candidate" if found is None else str(found).strip('"')


def _counted(a: Approval, environment: str, moment: str) -> bool:
    return (
        a.environment == environment
        and a.at <= moment
        and (a.void_at is None or a.void_at > moment)
    )


def as_dict(moment: Moment) -> dict[str, Any]:
    """For --json and screens: plain values, scores by their headline figures."""
    return {
        "at": moment.at,
        "future": moment.future,
        "before_all": moment.before_all,
        "live": {name: _plain(lived) for name, lived in moment.live.items()},
        "decision": moment.decision,
        "audit": None
        if moment.last is None
        else {"seq": moment.last.seq, "hash": moment.last.hash, "at": moment.last.at},
    }


def _plain(lived: Lived | None) -> dict[str, Any] | None:
    if lived is None:
        return None
    d, v, s, e = lived.deployment, lived.version, lived.snapshot, lived.evaluation
    return {
        "model_version": v.model_version,
        "status": lived.status,
        "since": d.started_at,
        "until": d.ended_at,
        "kind": d.kind,
        "who": d.who,
        "reason": d.reason,
        "verdict": d.verdict,
        "override_reason": d.override_reason,
        "replaced": d.replaced,
        "evidence": dict(d.evidence),
        "approved_by": [a.who for a in lived.approvals],
        "base_model": v.base_model,
        "trained_at": v.created_at,
        "trained_by": v.created_by,
        "adapter_sha256": v.adapter_sha256,
        "dataset": {
            "dataset_version": s.dataset_version,
            "pairs": s.pair_count,
            "source_breakdown": s.source_breakdown,
            "domain_breakdown": s.domain_breakdown,
        },
        "scores": None
        if e is None
        else {
            "at": e.at,
            "verdict": e.verdict,
            "scores_sha256": e.scores_sha256,
            "golden_sha256": e.golden_sha256,
            "metrics": evaluations.metrics_of(e.scores),
        },
    }


def _iso(when: datetime) -> str:
    text = when.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _not_a_moment(text: str) -> UsageError:
    return UsageError(
        f"{text[:60]!r} is not a moment",
        try_next="2026-01-14T09:00 (local), 2026-01-14T09:00Z, 2026-01-14T09:00+02:00, 2026-01-14",
    )
