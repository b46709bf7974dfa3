"""Versions and deployments as stored, and the changes of state that keep to the rules.

A version's status follows from what was done with it: candidate (trained) → evaluated → approved →
deployed → archived; failed and quarantined leave the path. There is no way to set it to a word.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import NotFound, Refused
from core.pairs import canonical_json
from core.registry import audit
from core.registry.store import Registry

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


@dataclass(frozen=True, slots=True)
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

    replaced: the version that was live before, or None.  override_reason: why it was let out
    although the verdict was not GO.
    """

    id: int
    environment: Environment
    model_version: str
    kind: Literal["promotion", "rollback"]
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


def name_of(number: tuple[int, int, int]) -> str:
    """(1, 2, 0) → access-qa-v1.2.0"""
    return "access-qa-v{}.{}.{}".format(*number)


def get(reg: Registry, model_version: str) -> Version:
    """Raises NotFound, naming the newest versions."""
    row = reg.one("SELECT * FROM versions WHERE model_version = ?", (model_version,))
    if row is None:
        near = ", ".join(v.model_version for v in list(reg, limit=5))
        hint = f"the newest are: {near}" if near else "there are no versions yet"
        raise NotFound(f"no version {model_version!r}", try_next=hint)
    return _version(row)


def list(reg: Registry, *, limit: int = 100) -> tuple[Version, ...]:
    """Highest number first."""
    sql = "SELECT * FROM versions ORDER BY major DESC, minor DESC, patch DESC LIMIT ?"
    return tuple(_version(r) for r in reg.rows(sql, (limit,)))


def evaluated(
    reg: Registry, model_version: str, eval_metrics: Mapping[str, Any], job_id: str | None
) -> None:
    """A candidate that has scores. A version further on keeps its status and takes the scores.

    Called by evaluations.save in its transaction. Raises NotFound, Refused (still training).
    """
    version = get(reg, model_version)
    if version.status == "training":
        raise Refused(f"{model_version} is still training", try_next="evaluate it when it is done")
    reg.execute(
        "UPDATE versions SET eval_metrics = ?, eval_job = ? WHERE model_version = ?",
        (canonical_json(eval_metrics), job_id, model_version),
    )
    if version.status == "candidate":
        set_status(reg, version, "evaluated", why="scores were stored")


def fail(reg: Registry, model_version: str, who: str, reason: str) -> Version:
    """Mark a version as failed: it can never go live. Refused while it is live."""
    return _take_out(reg, model_version, "failed", who, reason)


def quarantine(reg: Registry, model_version: str, who: str, reason: str) -> Version:
    """Keep a suspect version from going live. Refused while it is live."""
    return _take_out(reg, model_version, "quarantined", who, reason)


def archive(reg: Registry, model_version: str, who: str, reason: str) -> Version:
    """Put a version aside; it may be promoted again. Refused while it is live, or if it failed."""
    version = get(reg, model_version)
    if version.status in ("failed", "quarantined"):
        raise Refused(f"{model_version} is {version.status}", why="it is out of use already")
    return _take_out(reg, model_version, "archived", who, reason)


def live_in(reg: Registry, model_version: str) -> tuple[str, ...]:
    """The environments where the version is live now."""
    sql = "SELECT environment FROM deployments WHERE model_version = ? AND ended_at IS NULL"
    return tuple(sorted(r[0] for r in reg.rows(sql, (model_version,))))


def set_status(
    reg: Registry, version: Version, status: Status, *, who: str | None = None, why: str
) -> None:
    """The one place a status is written, with its audit row. Callers check preconditions."""
    if version.status == status:
        return
    sql = "UPDATE versions SET status = ? WHERE model_version = ?"
    reg.execute(sql, (status, version.model_version))
    audit.append(
        reg,
        "version.status",
        version.model_version,
        who=who,
        before=version.status,
        after=status,
        why=why,
    )


def need_reason(reason: str | None, what: str) -> None:
    if not (reason or "").strip():
        raise Refused(f"{what} needs a reason", try_next="type why; it is kept in the audit")


def _take_out(reg: Registry, model_version: str, status: Status, who: str, reason: str) -> Version:
    need_reason(reason, f"{status} for {model_version}")
    with reg.writing():
        version = get(reg, model_version)
        live = live_in(reg, model_version)
        if live:
            raise Refused(
                f"{model_version} is live in {' and '.join(live)}",
                why=f"a live version cannot be {status}",
                try_next="roll back first",
            )
        set_status(reg, version, status, who=who, why=reason)
    return get(reg, model_version)


def _version(row: sqlite3.Row) -> Version:
    return Version(
        row["model_version"],
        (row["major"], row["minor"], row["patch"]),
        row["base_model"],
        row["dataset_version"],
        json.loads(row["training_config"]),
        json.loads(row["eval_metrics"]),
        row["created_at"],
        row["created_by"],
        row["status"],
        row["bump_part"],
        row["bump_reason"],
        row["parent_version"],
        json.loads(row["reproducibility"]),
        row["train_job"],
        row["eval_job"],
        row["adapter_path"],
        row["adapter_sha256"],
        row["note"],
    )
