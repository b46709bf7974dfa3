"""The next version's number, and why: access-qa-v{major}.{minor}.{patch}.

Major for another base model or architecture, minor for more than 10 % new pairs, patch otherwise. The
operator may raise the part, never lower it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import snapshots as domain
from core.errors import UsageError
from core.registry import snapshots
from core.registry.records import BumpPart, Version, get, name_of
from core.registry.store import Registry

NEW_PAIRS_FOR_MINOR = 0.10
PARTS: tuple[BumpPart, ...] = ("patch", "minor", "major")
_NO_PARENT = ("failed", "quarantined", "training")


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


@dataclass(frozen=True, slots=True)
class Change:
    """What one snapshot has against another, in numbers. share_new: of its pairs, 0..1."""

    added: int
    removed: int
    changed: int
    new: int
    share_new: float


NO_CHANGE = Change(0, 0, 0, 0, 0.0)
_CHANGES_KEPT = 1000
_changes: dict[tuple[str, str], Change] = {}  # ids name content, so this holds for any registry


def propose_bump(
    reg: Registry,
    base_model: str,
    snapshot: domain.Snapshot,
    config: Mapping[str, Any],
    *,
    at_least: BumpPart | None = None,
) -> Bump:
    """Compare with the newest sound version, and say what the next one is called.

    at_least: raise the part; it is never lowered. The first version is access-qa-v1.0.0.
    """
    return propose(reg, base_model, snapshot.dataset_version, config, at_least, snapshot)


def propose(
    reg: Registry,
    base_model: str,
    dataset_version: str,
    config: Mapping[str, Any],
    at_least: BumpPart | None = None,
    snapshot: domain.Snapshot | None = None,
) -> Bump:
    """propose_bump by the snapshot's id; its pairs are read only where they must be compared.

    snapshot: the same, where it is in hand and perhaps not stored. Raises NotFound, UsageError.
    """
    if at_least not in (None, "first", *PARTS):
        raise UsageError(f"no part {at_least!r} of a version", try_next="patch, minor or major")
    if snapshot is None:
        snapshots.row(reg, dataset_version)
    parent = _parent(reg)
    if parent is None:
        return Bump(name_of((1, 0, 0)), (1, 0, 0), "first", "the first version", None)
    change = change_between(reg, parent.dataset_version, dataset_version, snapshot)
    part, reason = _part(parent, base_model, config, change)
    if at_least is not None and at_least != "first" and PARTS.index(at_least) > PARTS.index(part):
        part, reason = at_least, f"raised by the operator; by the rule it would be {part}: {reason}"
    number = _next(parent.number, part)
    while _taken(reg, number):  # e.g. by a version that failed
        number = _next(number, part)
    return Bump(name_of(number), number, part, reason, parent.model_version, change.share_new)


def change_between(
    reg: Registry, before: str, after: str, snapshot: domain.Snapshot | None = None
) -> Change:
    """From one stored snapshot to another, in numbers.

    snapshot: `after`, where it is in hand. Snapshots never change, so an answer is kept for the
    life of the process: reading 250,000 pairs takes a second. Raises NotFound.
    """
    if before == after:
        return NO_CHANGE
    known = _changes.get((before, after))
    if known is None:
        there = snapshot if snapshot is not None and snapshot.id == after else None
        found = domain.diff(snapshots.load(reg, before), there or snapshots.load(reg, after))
        known = Change(
            len(found.added),
            len(found.removed),
            len(found.changed),
            len(found.new),
            found.share_new,
        )
        if len(_changes) >= _CHANGES_KEPT:
            _changes.clear()
        _changes[before, after] = known
    return known


def _parent(reg: Registry) -> Version | None:
    """The highest version that is sound; the highest of all where none is.

    One still in training does not count: nobody knows yet what becomes of it.
    """
    order = "ORDER BY major DESC, minor DESC, patch DESC LIMIT 1"  # the unique index, backwards
    marks = ", ".join("?" * len(_NO_PARENT))
    row = reg.one(
        f"SELECT model_version FROM versions WHERE status NOT IN ({marks}) {order}", _NO_PARENT
    ) or reg.one(f"SELECT model_version FROM versions {order}")
    return None if row is None else get(reg, row[0])


def _taken(reg: Registry, number: tuple[int, int, int]) -> bool:
    sql = "SELECT 1 FROM versions WHERE model_version = ?"
    return reg.one(sql, (name_of(number),)) is not None


def _part(
    parent: Version, base_model: str, config: Mapping[str, Any], change: Change
) -> tuple[BumpPart, str]:
    if parent.base_model != base_model:
        return "major", f"another base model: {parent.base_model} → {base_model}"
    was, now = _architecture(parent.training_config), _architecture(config)
    if was and now and was != now:
        return "major", f"another architecture: {was} → {now}"
    new = f"{change.new} new pairs, {change.share_new:.1%} of the snapshot"
    if change.share_new > NEW_PAIRS_FOR_MINOR:
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
