"""Versions and deployments as stored, and the changes of state that keep to the rules.

    training ─▶ candidate ─▶ evaluated ─▶ approved ─▶ deployed ─▶ archived ─▶ deployed …
                    │            └───────────────────────▲
    failed ◀── any of them but deployed       quarantined ◀─▶ candidate or evaluated

A version's status follows from what was done with it. There is no way to set it to a word: each step
is a function with preconditions, and the database refuses any other step.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import NotFound, Refused
from core.pairs import canonical_json
from core.registry import audit
from core.registry.store import Registry, clean, utc_now

Status = Literal[
    "training",
    "candidate",
    "evaluated",
    "approved",
    "deployed",
    "archived",
    "failed",
    "quarantined",
]
Environment = Literal["staging", "production"]
ENVIRONMENTS: tuple[Environment, ...] = ("staging", "production")
BumpPart = Literal["first", "major", "minor", "patch"]

STEPS: Mapping[Status, tuple[Status, ...]] = {
    "training": ("candidate", "failed"),
    "candidate": ("evaluated", "failed", "quarantined", "archived"),
    "evaluated": ("approved", "deployed", "failed", "quarantined", "archived"),
    "approved": ("evaluated", "deployed", "failed", "quarantined", "archived"),
    "deployed": ("archived",),
    "archived": ("deployed", "failed", "quarantined"),
    "quarantined": ("candidate", "evaluated", "failed"),
    "failed": (),
}
"""Where a status may lead. The same list stands in the database as a trigger (m003_release)."""


class _LazyJson:
    """A field that is parsed when it is first asked for: a list of versions shows none of them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, version: Version, owner: object = None) -> dict[str, Any]:
        value = version.__dict__[self.name]
        if isinstance(value, str):
            value = version.__dict__[self.name] = json.loads(value)
        found: dict[str, Any] = value
        return found

    def __set__(self, version: Version, value: object) -> None:
        version.__dict__[self.name] = value


@dataclass(frozen=True)
class Version:
    """One model version with every field of the design, and how to make it again.

    training_config, eval_metrics, reproducibility: JSON objects.  created_at: end of training.
    bump_part, bump_reason: why it has this number.  parent_version: what it was compared with.
    """

    model_version: str
    number: tuple[int, int, int]
    base_model: str
    dataset_version: str
    training_config: dict[str, Any]
    eval_metrics: dict[str, Any]
    created_at: str
    created_by: str
    status: Status
    bump_part: BumpPart
    bump_reason: str
    parent_version: str | None
    reproducibility: dict[str, Any]
    train_job: str | None
    eval_job: str | None
    adapter_path: str | None
    adapter_sha256: str | None
    note: str


for _name in ("training_config", "eval_metrics", "reproducibility"):
    setattr(Version, _name, _LazyJson(_name))
_COLUMNS = (
    "model_version, major, minor, patch, base_model, dataset_version, training_config, eval_metrics,"
    " created_at, created_by, status, bump_part, bump_reason, parent_version, reproducibility,"
    " train_job, eval_job, adapter_path, adapter_sha256, note"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's verdict as it stood at a promotion."""

    gate: str
    metric: str | None
    target: str | None
    verdict: str | None
    estimate: float | None
    low: float | None
    high: float | None
    n: int | None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version being live in an environment, from a promotion or a rollback until ended_at.

    kind: a return is a rollback that undid the last switch inside its window.
    replaced: the version that was live before, or None.  override_reason: why it was let out
    although the verdict was not GO.  evidence: what it was judged on, name → hash or id.
    """

    id: int
    environment: Environment
    model_version: str
    kind: Literal["promotion", "rollback", "return"]
    started_at: str
    ended_at: str | None
    who: str
    reason: str
    verdict: str | None
    override_reason: str | None
    evaluation_id: int | None
    scores_sha256: str | None
    replaced: str | None
    gates: tuple[Gate, ...]
    evidence: Mapping[str, str] = field(default_factory=dict)


def name_of(number: tuple[int, int, int]) -> str:
    """(1, 2, 0) → access-qa-v1.2.0"""
    return "access-qa-v{}.{}.{}".format(*number)


def get(reg: Registry, model_version: str) -> Version:
    """Raises NotFound, naming the newest versions."""
    row = reg.one(f"SELECT {_COLUMNS} FROM versions WHERE model_version = ?", (model_version,))
    if row is None:
        near = ", ".join(v.model_version for v in list(reg, limit=5))
        hint = f"the newest are: {near}" if near else "there are no versions yet"
        raise NotFound(f"no version {model_version!r}", try_next=hint)
    return _version(row)


def list(reg: Registry, *, limit: int = 100) -> tuple[Version, ...]:
    """Highest number first."""
    sql = f"SELECT {_COLUMNS} FROM versions ORDER BY major DESC, minor DESC, patch DESC LIMIT ?"
    return tuple(_version(r) for r in reg.rows(sql, (limit,)))


def status_of(reg: Registry, model_version: str) -> Status:
    """The status alone, for checks in a hurry. Raises NotFound."""
    row = reg.one("SELECT status FROM versions WHERE model_version = ?", (model_version,))
    return get(reg, model_version).status if row is None else row[0]  # get: says what there is


def evaluated(
    reg: Registry,
    model_version: str,
    eval_metrics: Mapping[str, Any],
    job_id: str | None,
    *,
    same_scores: bool = False,
) -> None:
    """A candidate that has scores. A version further on keeps its status and takes the scores, but
    approvals of other scores are void, and with them the status `approved`.

    Called by evaluations.save in its transaction. Raises NotFound, Refused (still training).
    """
    status = status_of(reg, model_version)
    if status == "training":
        raise Refused(f"{model_version} is still training", try_next="evaluate it when it is done")
    reg.execute(
        "UPDATE versions SET eval_metrics = ?, eval_job = ? WHERE model_version = ?",
        (canonical_json(eval_metrics), job_id, model_version),
    )
    if status == "candidate":
        set_status(reg, model_version, status, "evaluated", why="scores were stored")
    elif not same_scores:
        void_approvals(reg, model_version, "the scores have changed")


def fail(reg: Registry, model_version: str, who: str, reason: str) -> Version:
    """Mark a version as failed: it can never go live. Refused while it is live."""
    return _take_out(reg, model_version, "failed", who, reason)


def quarantine(reg: Registry, model_version: str, who: str, reason: str) -> Version:
    """Keep a suspect version from going live. Its approvals are void. Refused while it is live."""
    return _take_out(reg, model_version, "quarantined", who, reason)


def release_from_quarantine(reg: Registry, model_version: str, who: str, reason: str) -> Version:
    """Let a version back onto the path: evaluated if it has scores, else a candidate."""
    need_reason(reason, f"releasing {model_version} from quarantine")
    with reg.writing():
        status = status_of(reg, model_version)
        if status != "quarantined":
            raise Refused(f"{model_version} is {status}, not in quarantine")
        sql = "SELECT 1 FROM evaluations WHERE model_version = ? LIMIT 1"
        back: Status = "evaluated" if reg.one(sql, (model_version,)) else "candidate"
        set_status(reg, model_version, status, back, who=who, why=reason)
    return get(reg, model_version)


def archive(reg: Registry, model_version: str, who: str, reason: str) -> Version:
    """Put a version aside; it may be promoted again. Refused while it is live, or if it failed."""
    return _take_out(reg, model_version, "archived", who, reason)


def live_in(reg: Registry, model_version: str) -> tuple[str, ...]:
    """The environments where the version is live now."""
    sql = "SELECT environment FROM deployments WHERE model_version = ? AND ended_at IS NULL"
    return tuple(sorted(r[0] for r in reg.rows(sql, (model_version,))))


def set_status(
    reg: Registry,
    model_version: str,
    before: Status,
    after: Status,
    *,
    who: str | None = None,
    why: str,
) -> None:
    """The one place a status is written, with its audit row. Callers check preconditions.

    Nothing is done where it is the status already. Raises Refused for a step that does not exist.
    """
    if before == after:
        return
    if after not in STEPS[before]:
        possible = ", ".join(STEPS[before])
        raise Refused(
            f"{model_version} is {before} and cannot become {after}",
            why=f"from {before} it can only become {possible}"
            if possible
            else f"{before} is final",
        )
    sql = "UPDATE versions SET status = ? WHERE model_version = ?"
    reg.execute(sql, (after, model_version))
    audit.append(reg, "version.status", model_version, who=who, before=before, after=after, why=why)


def void_approvals(reg: Registry, model_version: str, why: str, *, who: str | None = None) -> None:
    """Approvals that no longer count, kept with the reason; `approved` goes back to `evaluated`."""
    sql = (
        "UPDATE approvals SET void_at = ?, void_why = ? WHERE model_version = ? AND void_at IS NULL"
    )
    if reg.execute(sql, (utc_now(), clean(why), model_version)).rowcount > 0:
        audit.append(reg, "version.approvals_void", model_version, who=who, why=why)
    if status_of(reg, model_version) == "approved":
        set_status(reg, model_version, "approved", "evaluated", who=who, why=why)


def need_reason(reason: str | None, what: str) -> None:
    if not (reason or "").strip():
        raise Refused(f"{what} needs a reason", try_next="type why; it is kept in the audit")


def _take_out(reg: Registry, model_version: str, status: Status, who: str, reason: str) -> Version:
    need_reason(reason, f"marking {model_version} as {status}")
    with reg.writing():
        now = status_of(reg, model_version)
        live = live_in(reg, model_version)
        if live:
            raise Refused(
                f"{model_version} is live in {' and '.join(live)}",
                why=f"a live version cannot be {status}",
                try_next="roll back first",
            )
        if now == status:
            raise Refused(f"{model_version} is {status} already")
        if status in ("failed", "quarantined"):
            void_approvals(reg, model_version, f"{status}: {reason}", who=who)
            now = status_of(reg, model_version)
        set_status(reg, model_version, now, status, who=who, why=reason)
    return get(reg, model_version)


def _version(row: sqlite3.Row) -> Version:
    name, major, minor, patch, *rest = row
    return Version(name, (major, minor, patch), *rest)
