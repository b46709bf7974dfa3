"""Versions: how one comes into being; with all a caller needs from the parts below.

begin ─▶ training ─▶ trained ─▶ candidate        register: both at once, for a training that ended
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from core.errors import Refused, UsageError
from core.pairs import canonical_json
from core.registry import audit
from core.registry.approvals import Approval, approvals, approve
from core.registry.bumps import Bump, Change, change_between, propose, propose_bump
from core.registry.comparing import Comparison, compare
from core.registry.deployments import history, live
from core.registry.promotion import ANY, Judged, promote, why_not_promote
from core.registry.records import (
    ENVIRONMENTS,
    BumpPart,
    Deployment,
    Gate,
    Status,
    Version,
    archive,
    fail,
    get,
    list,
    live_in,
    quarantine,
    release_from_quarantine,
    set_status,
    status_of,
)
from core.registry.rollback import (
    return_,
    return_target,
    rollback,
    rollback_target,
    why_not_return,
    why_not_roll_back,
)
from core.registry.store import Registry, clean, utc_now

__all__ = [
    "ANY",
    "ENVIRONMENTS",
    "Approval",
    "Bump",
    "BumpPart",
    "Change",
    "Comparison",
    "Deployment",
    "Gate",
    "Judged",
    "Status",
    "Version",
    "approvals",
    "approve",
    "archive",
    "begin",
    "change_between",
    "compare",
    "fail",
    "get",
    "history",
    "list",
    "live",
    "live_in",
    "promote",
    "propose",
    "propose_bump",
    "quarantine",
    "register",
    "release_from_quarantine",
    "return_",
    "return_target",
    "rollback",
    "rollback_target",
    "status_of",
    "trained",
    "why_not_promote",
    "why_not_return",
    "why_not_roll_back",
]


def begin(
    reg: Registry,
    *,
    base_model: str,
    dataset_version: str,
    training_config: Mapping[str, Any],
    created_by: str | None = None,
    bump: Bump | None = None,
    at_least: BumpPart | None = None,
    train_job: str | None = None,
    note: str = "",
) -> Version:
    """Take the next number for a training that starts now. Asked again for its job: the same one.

    bump: a proposal the operator has seen; it must still hold. None: proposed here, not lower
    than `at_least`. Raises NotFound (no such snapshot), Refused ("changed under you"), UsageError.
    """
    with reg.writing():
        same = _of_job(reg, train_job)
        if same is not None:
            return get(reg, same)
        name = _insert(
            reg,
            status="training",
            base_model=base_model,
            dataset_version=dataset_version,
            training_config=training_config,
            created_by=created_by,
            created_at=None,
            bump=bump,
            at_least=at_least,
            reproducibility={},
            train_job=train_job,
            adapter_path=None,
            adapter_sha256=None,
            note=note,
        )
    return get(reg, name)


def in_training(reg: Registry, train_job: str) -> str | None:
    """The version a training job has begun and not ended; None if there is none."""
    return _of_job(reg, train_job, status="training")


def trained(
    reg: Registry,
    model_version: str,
    *,
    adapter_path: str | None,
    adapter_sha256: str | None,
    created_at: str | None = None,
    reproducibility: Mapping[str, Any] | None = None,
    who: str | None = None,
) -> Version:
    """The training has ended well: a candidate. created_at: when it ended (default now).

    Told again of the same adapter: nothing changes. Raises NotFound, Refused (not in training),
    UsageError (not JSON).
    """
    repro = _json(reproducibility or {}, "the reproducibility record")
    with reg.writing():
        status = status_of(reg, model_version)
        if status != "training":
            version = get(reg, model_version)
            if version.adapter_sha256 == adapter_sha256 and adapter_sha256 is not None:
                return version
            raise Refused(
                f"{model_version} is {status}, not in training",
                try_next="a training that ended is registered once",
            )
        reg.execute(
            "UPDATE versions SET created_at = ?, adapter_path = ?, adapter_sha256 = ?,"
            " reproducibility = ? WHERE model_version = ?",
            (created_at or utc_now(), adapter_path, adapter_sha256, repro, model_version),
        )
        after = {
            "adapter_sha256": adapter_sha256,
            "reproducibility_sha256": hashlib.sha256(repro.encode()).hexdigest(),
        }
        audit.append(reg, "version.trained", model_version, who=who, after=after)
        set_status(reg, model_version, status, "candidate", who=who, why="the training has ended")
    return get(reg, model_version)


def register(
    reg: Registry,
    *,
    base_model: str,
    dataset_version: str,
    training_config: Mapping[str, Any],
    created_by: str | None = None,
    created_at: str | None = None,
    bump: Bump | None = None,
    at_least: BumpPart | None = None,
    reproducibility: Mapping[str, Any] | None = None,
    train_job: str | None = None,
    adapter_path: str | None = None,
    adapter_sha256: str | None = None,
    note: str = "",
) -> Version:
    """Add a trained version as a candidate; one that `begin` took for the job becomes it.

    bump, at_least: as for `begin`. created_at: when training ended (default now). Registering the
    outcome of the same train_job with the same adapter again gives back the version it has.
    Raises NotFound (no such snapshot), Refused ("changed under you"), UsageError (not JSON).
    """
    with reg.writing():
        same = _of_job(reg, train_job, adapter_sha256) if adapter_sha256 is not None else None
        if same is not None:
            return get(reg, same)
        begun = _of_job(reg, train_job, status="training")
        if begun is not None:
            return trained(
                reg,
                begun,
                adapter_path=adapter_path,
                adapter_sha256=adapter_sha256,
                created_at=created_at,
                reproducibility=reproducibility,
                who=created_by,
            )
        name = _insert(
            reg,
            status="candidate",
            base_model=base_model,
            dataset_version=dataset_version,
            training_config=training_config,
            created_by=created_by,
            created_at=created_at,
            bump=bump,
            at_least=at_least,
            reproducibility=reproducibility or {},
            train_job=train_job,
            adapter_path=adapter_path,
            adapter_sha256=adapter_sha256,
            note=note,
        )
    return get(reg, name)


def _insert(
    reg: Registry,
    *,
    status: Status,
    base_model: str,
    dataset_version: str,
    training_config: Mapping[str, Any],
    created_by: str | None,
    created_at: str | None,
    bump: Bump | None,
    at_least: BumpPart | None,
    reproducibility: Mapping[str, Any],
    train_job: str | None,
    adapter_path: str | None,
    adapter_sha256: str | None,
    note: str,
) -> str:
    config = _json(training_config, "the training configuration")
    repro = _json(reproducibility, "the reproducibility record")
    raised = bump.part if bump else at_least
    fresh = propose(reg, base_model, dataset_version, training_config, raised)
    if bump is not None and (bump.version, bump.part) != (fresh.version, fresh.part):
        raise Refused(
            f"the next version is {fresh.version} now, not {bump.version}",
            why="another version was registered since you looked, or the proposal is too low",
            try_next="look again, then register",
        )
    bump = bump or fresh
    who = clean(created_by or reg.operator)
    reg.execute(
        "INSERT INTO versions (model_version, major, minor, patch, base_model, dataset_version,"
        " training_config, eval_metrics, created_at, created_by, status, bump_part, bump_reason,"
        " parent_version, reproducibility, train_job, adapter_path, adapter_sha256, note)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, '{}', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bump.version,
            *bump.number,
            base_model,
            dataset_version,
            config,
            created_at or utc_now(),
            who,
            status,
            bump.part,
            clean(bump.reason),
            bump.parent,
            repro,
            train_job,
            adapter_path,
            adapter_sha256,
            clean(note),
        ),
    )
    after = {
        "base_model": base_model,
        "dataset_version": dataset_version,
        "adapter_sha256": adapter_sha256,
        "train_job": train_job,
        "bump": bump.part,
        "training_config_sha256": hashlib.sha256(config.encode()).hexdigest(),
    }
    action = "version.begin" if status == "training" else "version.register"
    audit.append(reg, action, bump.version, who=who, after=after, why=clean(bump.reason))
    return bump.version


def _of_job(
    reg: Registry,
    train_job: str | None,
    adapter_sha256: str | None = None,
    status: Status | None = None,
) -> str | None:
    """The version of a training job: with this adapter, or in this status, or of any kind."""
    if train_job is None:
        return None
    sql = "SELECT model_version, adapter_sha256, status FROM versions WHERE train_job = ?"
    for name, adapter, now in reg.rows(sql, (train_job,)):
        if status is None and adapter_sha256 is None:
            return str(name)
        if now == status or (adapter_sha256 is not None and adapter == adapter_sha256):
            return str(name)
    return None


def _json(value: Mapping[str, Any], what: str) -> str:
    try:
        return clean(canonical_json(value))
    except (TypeError, ValueError) as e:
        raise UsageError(f"{what} is not plain JSON", why=str(e)) from e
