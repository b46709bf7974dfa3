"""Versions: the next number and why, registration; with all a caller needs from the parts below.

The number is `access-qa-v{major}.{minor}.{patch}`: major for another base model or architecture,
minor for more than 10 % new pairs, patch otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import snapshots as domain
from core.errors import Refused, UsageError
from core.pairs import canonical_json
from core.registry import audit, snapshots
from core.registry.promotion import (
    ANY,
    history,
    live,
    promote,
    rollback,
    rollback_target,
    why_not_promote,
    why_not_roll_back,
)
from core.registry.records import (
    ENVIRONMENTS,
    BumpPart,
    Deployment,
    Gate,
    Version,
    archive,
    fail,
    get,
    list,
    live_in,
    name_of,
    quarantine,
)
from core.registry.store import Registry, clean, utc_now

__all__ = [
    "ANY",
    "ENVIRONMENTS",
    "Bump",
    "Deployment",
    "Gate",
    "Version",
    "archive",
    "fail",
    "get",
    "history",
    "list",
    "live",
    "live_in",
    "promote",
    "propose_bump",
    "quarantine",
    "register",
    "rollback",
    "rollback_target",
    "why_not_promote",
    "why_not_roll_back",
]

NEW_PAIRS_FOR_MINOR = 0.10
_ORDER: tuple[BumpPart, ...] = ("patch", "minor", "major")


@dataclass(frozen=True, slots=True)
class Bump:
    """The next version, which part of the number moves, and the reason in words.

    parent: the version it was compared with; None for the first.
    """

    version: str
    number: tuple[int, int, int]
    part: BumpPart
    reason: str
    parent: str | None
    share_new: float | None = None


def propose_bump(
    reg: Registry,
    base_model: str,
    snapshot: domain.Snapshot,
    config: Mapping[str, Any],
    *,
    at_least: BumpPart | None = None,
) -> Bump:
    """Compare with the newest version that has not failed, and say what the next one is called.

    at_least: raise the part; it is never lowered. The first version is access-qa-v1.0.0.
    """
    parent = _parent(reg)
    if parent is None:
        return Bump(name_of((1, 0, 0)), (1, 0, 0), "first", "the first version", None)
    before = (
        snapshot
        if parent.dataset_version == snapshot.dataset_version
        else snapshots.load(reg, parent.dataset_version)
    )
    difference = domain.diff(before, snapshot)
    part, reason = _part(parent, base_model, config, difference)
    if at_least is not None and at_least != "first" and _ORDER.index(at_least) > _ORDER.index(part):
        part, reason = at_least, f"raised by the operator; by the rule it would be {part}: {reason}"
    number = _next(parent.number, part)
    while _taken(reg, number):  # e.g. by a version that failed
        number = _next(number, part)
    share = difference.share_new
    return Bump(name_of(number), number, part, reason, parent.model_version, share)


def register(
    reg: Registry,
    *,
    base_model: str,
    dataset_version: str,
    training_config: Mapping[str, Any],
    created_by: str | None = None,
    created_at: str | None = None,
    bump: Bump | None = None,
    reproducibility: Mapping[str, Any] | None = None,
    train_job: str | None = None,
    adapter_path: str | None = None,
    adapter_sha256: str | None = None,
    note: str = "",
) -> Version:
    """Add a trained version as a candidate.

    bump: a proposal the operator has seen; it must still hold. None: proposed here.
    created_at: when training ended (default now). Registering the outcome of the same train_job
    with the same adapter again gives back the version it has.
    Raises NotFound (no such snapshot), Refused ("changed under you"), UsageError (not JSON).
    """
    try:
        config, repro = canonical_json(training_config), canonical_json(reproducibility or {})
    except (TypeError, ValueError) as e:
        raise UsageError("the training configuration is not plain JSON", why=str(e)) from e
    with reg.writing():
        if train_job is not None and adapter_sha256 is not None:
            sql = "SELECT model_version FROM versions WHERE train_job = ? AND adapter_sha256 = ?"
            same = reg.value(sql, (train_job, adapter_sha256))
            if same is not None:
                return get(reg, same)
        snapshot = snapshots.load(reg, dataset_version)
        raised = bump.part if bump else None
        fresh = propose_bump(reg, base_model, snapshot, training_config, at_least=raised)
        if bump is not None and (bump.version, bump.part) != (fresh.version, fresh.part):
            raise Refused(
                f"the next version is {fresh.version} now, not {bump.version}",
                why="another version was registered since you looked, or the proposal is too low",
                try_next="look again, then register",
            )
        bump = bump or fresh
        who = clean(created_by or reg.operator)
        reg.execute(
            "INSERT INTO versions VALUES"
            " (?, ?, ?, ?, ?, ?, ?, '{}', ?, ?, 'candidate', ?, ?, ?, ?, ?, NULL, ?, ?, ?)",
            (
                bump.version,
                *bump.number,
                base_model,
                dataset_version,
                config,
                created_at or utc_now(),
                who,
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
        }
        audit.append(
            reg, "version.register", bump.version, who=who, after=after, why=clean(bump.reason)
        )
    return get(reg, bump.version)


def _parent(reg: Registry) -> Version | None:
    """The highest version that has not failed; the highest of all where every one has."""
    row = reg.one(
        "SELECT model_version FROM versions ORDER BY status IN ('failed', 'quarantined'),"
        " major DESC, minor DESC, patch DESC LIMIT 1"
    )
    return None if row is None else get(reg, row[0])


def _taken(reg: Registry, number: tuple[int, int, int]) -> bool:
    sql = "SELECT 1 FROM versions WHERE model_version = ?"
    return reg.one(sql, (name_of(number),)) is not None


def _part(
    parent: Version, base_model: str, config: Mapping[str, Any], difference: domain.Diff
) -> tuple[BumpPart, str]:
    if parent.base_model != base_model:
        return "major", f"another base model: {parent.base_model} → {base_model}"
    was, now = _architecture(parent.training_config), _architecture(config)
    if was and now and was != now:
        return "major", f"another architecture: {was} → {now}"
    share = difference.share_new
    new = f"{len(difference.new)} new pairs, {share:.1%} of the snapshot"
    if share > NEW_PAIRS_FOR_MINOR:
        return "minor", f"{new}: more than {NEW_PAIRS_FOR_MINOR:.0%}"
    return "patch", f"{new}: not more than {NEW_PAIRS_FOR_MINOR:.0%}; same base model"


def _architecture(config: Mapping[str, Any]) -> str | None:
    """`model.architecture` (dense, moe) of a recipe, where it says so."""
    model = config.get("model")
    value = model.get("architecture") if isinstance(model, Mapping) else None
    return None if value is None else str(value)


def _next(number: tuple[int, int, int], part: BumpPart) -> tuple[int, int, int]:
    major, minor, patch = number
    if part == "major":
        return (major + 1, 0, 0)
    return (major, minor + 1, 0) if part == "minor" else (major, minor, patch + 1)
