"""The way back: to what was live before, step by step; and the return inside the window.

    v1 ─promote─▶ v2 ─rollback─▶ v1 ─return─▶ v2      a return undoes the last switch, and only that

Gates are not asked again: what is gone back to has been live before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

from core.errors import QAError, Refused
from core.registry import deployments, records
from core.registry.deployments import (
    OUT_OF_USE,
    Switch,
    known_environment,
    live_row,
    switch,
)
from core.registry.records import Deployment, Version, need_reason
from core.registry.store import Registry


def why_not_roll_back(reg: Registry, environment: str) -> QAError | None:
    """What `rollback` would raise (apart from a missing reason), or None."""
    try:
        may_roll_back(reg, environment)
    except QAError as e:
        return e
    return None


def rollback_target(reg: Registry, environment: str) -> Version | None:
    """The version a rollback would lead to, or None if there is none."""
    try:
        return records.get(reg, may_roll_back(reg, environment)[1]["model_version"])
    except QAError:
        return None


def rollback(
    reg: Registry,
    environment: str,
    who: str,
    reason: str,
    *,
    expected_live: str | None = None,
    evidence: Mapping[str, str] | None = None,
) -> Deployment:
    """Go back to the version that was live before. Its gates are not asked again.

    The deployment's model_version is live now, `replaced` is what was rolled back.
    expected_live: what must be live now; something else means "look again". None: whatever is.
    Raises UsageError (no such environment), Refused: nothing is live, nothing was live before, or
    the version before has failed or is in quarantine.
    """
    need_reason(reason, "a rollback")
    with reg.writing():
        current, target = may_roll_back(reg, environment)
        unchanged(current, expected_live)
        to = _to("rollback", target, environment, who, reason, evidence)
        new_id = switch(reg, to, current)
    return deployments.get(reg, new_id)


def why_not_return(
    reg: Registry, environment: str, window_s: float, *, now: datetime | None = None
) -> QAError | None:
    """What `return_` would raise, or None."""
    try:
        may_return(reg, environment, window_s, now)
    except QAError as e:
        return e
    return None


def return_target(reg: Registry, environment: str, window_s: float) -> Version | None:
    """The version a return would lead to, or None."""
    try:
        return records.get(reg, may_return(reg, environment, window_s)[1]["model_version"])
    except QAError:
        return None


def return_(
    reg: Registry,
    environment: str,
    who: str,
    window_s: float,
    *,
    expected_live: str | None = None,
    now: datetime | None = None,
    evidence: Mapping[str, str] | None = None,
) -> Deployment:
    """Undo the last switch: back to the version just left, without a reason, inside the window.

    window_s: for how long after the switch. Raises UsageError, Refused: nothing was left, the window
    has closed, or what was left has failed or is in quarantine since.
    """
    with reg.writing():
        current, target = may_return(reg, environment, window_s, now)
        unchanged(current, expected_live)
        why = f"return inside the window, undoing the {_kind(current)} of {current['started_at']}"
        to = _to("return", target, environment, who, why, evidence)
        new_id = switch(reg, to, current)
    return deployments.get(reg, new_id)


def may_roll_back(reg: Registry, environment: str) -> tuple[sqlite3.Row, sqlite3.Row]:
    """The deployment of now, and the one a rollback leads to. Raises what `rollback` raises."""
    known_environment(environment)
    current = live_row(reg, environment)
    if current is None:
        raise Refused(f"nothing is live in {environment}", try_next="promote a version first")
    target = _deployment(reg, current["returns_to"])
    if target is None:
        raise Refused(
            f"nothing was live in {environment} before {current['model_version']}",
            try_next="promote another version instead",
        )
    _sound(reg, target, "which was live before")
    return current, target


def may_return(
    reg: Registry, environment: str, window_s: float, now: datetime | None = None
) -> tuple[sqlite3.Row, sqlite3.Row]:
    """The deployment of now, and the one it replaced. Raises what `return_` raises."""
    known_environment(environment)
    current = live_row(reg, environment)
    if current is None:
        raise Refused(f"nothing is live in {environment}", try_next="promote a version first")
    target = _deployment(reg, current["replaced"])
    if target is None:
        raise Refused(
            f"{current['model_version']} replaced nothing in {environment}",
            why="there is no version to return to",
        )
    age = (now or datetime.now(UTC)) - datetime.fromisoformat(current["started_at"])
    if age.total_seconds() > window_s:
        raise Refused(
            f"the window to return to {target['model_version']} has closed",
            why=f"{environment} was switched {age.total_seconds() / 3600:.1f} h ago, the window is"
            f" {window_s / 3600:g} h",
            try_next="roll back, or promote it, with a reason",
        )
    _sound(reg, target, "which was just left")
    return current, target


def _sound(reg: Registry, target: sqlite3.Row, what: str) -> None:
    status = records.status_of(reg, target["model_version"])
    if status in OUT_OF_USE:
        raise Refused(
            f"{target['model_version']}, {what}, is {status}",
            try_next="promote another version instead",
        )


def unchanged(current: sqlite3.Row, expected_live: str | None) -> None:
    """Raises Refused if another version is live than the operator saw; None: whatever is."""
    if expected_live is not None and current["model_version"] != expected_live:
        raise Refused(
            f"{current['environment']} changed under you: {current['model_version']} is live now",
            why=f"you saw {expected_live} live",
            try_next="look again, then decide",
        )


def _to(
    kind: deployments.Kind,
    target: sqlite3.Row,
    environment: str,
    who: str,
    reason: str,
    evidence: Mapping[str, str] | None,
) -> Switch:
    return Switch(
        kind=kind,
        model_version=target["model_version"],
        environment=environment,
        who=who,
        reason=reason,
        returns_to=target["returns_to"],
        evidence=dict(evidence or {}),
    )


def _kind(row: sqlite3.Row) -> str:
    return "return" if row["returned"] else str(row["kind"])


def _deployment(reg: Registry, number: int | None) -> sqlite3.Row | None:
    return reg.one("SELECT * FROM deployments WHERE id = ?", (number,))
