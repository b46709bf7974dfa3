"""The second pair of eyes: another operator's approval of a version for an environment.

An approval holds for the scores it was given on. New scores, a quarantine or a failure void it; it
stays on record with the reason.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.errors import Refused
from core.registry import audit, evaluations, records
from core.registry.deployments import OUT_OF_USE, known_environment
from core.registry.records import need_reason
from core.registry.store import Registry, clean, utc_now


@dataclass(frozen=True, slots=True)
class Approval:
    """void_at, void_why: since when and why it does not count any more; None while it does."""

    id: int
    model_version: str
    environment: str
    evaluation_id: int
    scores_sha256: str
    at: str
    who: str
    reason: str
    void_at: str | None
    void_why: str | None


def approve(
    reg: Registry,
    model_version: str,
    environment: str,
    who: str,
    reason: str,
    *,
    scores_sha256: str | None = None,
) -> Approval:
    """Agree to a promotion of the version with its newest scores; `evaluated` becomes `approved`.

    scores_sha256: of the scores the operator has seen; other ones mean "look again".
    Raises NotFound, UsageError (no such environment), Refused with the reason.
    """
    need_reason(reason, "an approval")
    known_environment(environment)
    who = clean(who)
    with reg.writing():
        status = records.status_of(reg, model_version)
        if status in OUT_OF_USE:
            raise Refused(
                f"{model_version} is {status}", why="only evaluated versions can be approved"
            )
        scores = evaluations.latest_head(reg, model_version)
        if scores is None:
            raise Refused(f"{model_version} has no scores", try_next="evaluate it first")
        if scores_sha256 not in (None, scores.scores_sha256):
            raise Refused(
                f"the scores of {model_version} changed under you",
                why="it was evaluated again since you looked",
                try_next="look again, then decide",
            )
        if any(a.who == who for a in valid(reg, model_version, environment, scores.scores_sha256)):
            raise Refused(f"{who} has approved {model_version} for {environment} already")
        sql = (
            "INSERT INTO approvals (model_version, environment, evaluation_id, scores_sha256, at,"
            " who, reason) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"
        )
        values = (model_version, environment, scores.id, scores.scores_sha256, utc_now(), who)
        new_id = int(reg.value(sql, (*values, clean(reason))))
        after = {"environment": environment, "scores_sha256": scores.scores_sha256,
                 "verdict": scores.verdict}  # fmt: skip
        audit.append(reg, "version.approve", model_version, who=who, after=after, why=reason)
        if status == "evaluated":
            why = f"approved for {environment}"
            records.set_status(reg, model_version, status, "approved", who=who, why=why)
    return Approval(new_id, *values, clean(reason), None, None)


def approvals(reg: Registry, model_version: str) -> tuple[Approval, ...]:
    """All of a version, void ones too, newest first."""
    sql = "SELECT * FROM approvals WHERE model_version = ? ORDER BY id DESC"
    return tuple(_approval(r) for r in reg.rows(sql, (model_version,)))


def valid(
    reg: Registry, model_version: str, environment: str, scores_sha256: str
) -> tuple[Approval, ...]:
    """Those that count for a promotion with these scores."""
    rows = reg.rows(
        "SELECT * FROM approvals WHERE model_version = ? AND environment = ? AND scores_sha256 = ?"
        " AND void_at IS NULL ORDER BY id",
        (model_version, environment, scores_sha256),
    )
    return tuple(_approval(r) for r in rows)


def missing(
    reg: Registry, model_version: str, environment: str, scores_sha256: str, needed: int, who: str
) -> Refused | None:
    """Why `who` may not promote yet: too few others have approved. None where they have."""
    if needed <= 0:
        return None
    found = valid(reg, model_version, environment, scores_sha256)
    others = sorted({a.who for a in found} - {clean(who)})
    if len(others) >= needed:
        return None
    have = f"approved so far by {', '.join(others)}" if others else "nobody else has approved it"
    return Refused(
        f"{model_version} needs {needed} approval{'s' if needed > 1 else ''} by somebody else"
        f" before it goes to {environment}",
        why=f"{have}; approvals of other scores do not count",
        try_next=f"another operator: qa versions approve {model_version} --for {environment}"
        " --reason …",
    )


def _approval(row: sqlite3.Row) -> Approval:
    return Approval(*tuple(row))
