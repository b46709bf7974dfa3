"""Which version is live where: promotion, rollback, and the history of both.

Every deployment remembers where a rollback from it leads: to what was live before it. A rollback
goes back one step and takes over that step's own way back, so a second rollback goes further back
instead of to and fro.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from core.errors import QAError, Refused, UsageError
from core.registry import audit, evaluations, records
from core.registry.records import ENVIRONMENTS, Deployment, Gate, Version, need_reason
from core.registry.store import Registry, clean, utc_now

_BAD = ("training", "candidate", "failed", "quarantined")


class _Any:
    """Default of `expected_live`: whatever is live."""


ANY: Final = _Any()


def live(reg: Registry, environment: str) -> Version | None:
    """The version that is live in an environment, or None."""
    row = _live_row(reg, environment)
    return None if row is None else records.get(reg, row["model_version"])


def history(
    reg: Registry, environment: str | None = None, *, limit: int = 200
) -> tuple[Deployment, ...]:
    """Promotions and rollbacks, newest first, each with the gates as they stood."""
    where, values = ("", ()) if environment is None else ("WHERE d.environment = ?", (environment,))
    rows = reg.rows(
        "SELECT d.*, p.model_version AS replaced_version FROM deployments AS d"
        f" LEFT JOIN deployments AS p ON p.id = d.replaced {where} ORDER BY d.id DESC LIMIT ?",
        (*values, limit),
    )
    gates: dict[int, list[Gate]] = defaultdict(list)
    if rows:
        sql = (
            "SELECT * FROM deployment_gates WHERE deployment_id BETWEEN ? AND ?"
            " ORDER BY deployment_id, position"
        )
        for g in reg.rows(sql, (rows[-1]["id"], rows[0]["id"])):
            gates[g["deployment_id"]].append(Gate(*tuple(g)[2:]))
    return tuple(_deployment(r, tuple(gates[r["id"]])) for r in rows)


def why_not_promote(
    reg: Registry,
    version: str,
    environment: str,
    gates_verdict: str | None = None,
    override_reason: str | None = None,
    *,
    expected_live: str | _Any | None = ANY,
) -> QAError | None:
    """What `promote` with these values would raise (apart from a missing reason), or None.

    gates_verdict None: the verdict of the newest evaluation, whatever it is.
    """
    try:
        _may_promote(reg, version, environment, gates_verdict, override_reason, expected_live)
    except QAError as e:
        return e
    return None


def promote(
    reg: Registry,
    version: str,
    environment: str,
    who: str,
    reason: str,
    gates_verdict: str | None,
    override_reason: str | None = None,
    *,
    expected_live: str | _Any | None = ANY,
) -> Deployment:
    """Make an evaluated version live in an environment, in place of what is live there.

    gates_verdict: GO, NO-GO or UNDECIDED as the operator saw it; it must still be the verdict of
    the newest evaluation. Anything but GO needs an override_reason, which is kept and shown.
    expected_live: the version (or None) the operator saw live; another one means "look again".
    The gates' verdicts and the hash of the scores are stored with the promotion.
    Raises NotFound, UsageError (no such environment), Refused with the reason.
    """
    need_reason(reason, "a promotion")
    with reg.writing():
        target, evaluation = _may_promote(
            reg, version, environment, gates_verdict, override_reason, expected_live
        )
        override = None if evaluation.verdict == "GO" else clean(override_reason or "")
        before = _live_row(reg, environment)
        new_id = _switch(
            reg,
            target,
            environment,
            kind="promotion",
            who=who,
            reason=reason,
            evaluation=evaluation,
            override=override,
            before=before,
            returns_to=None if before is None else before["id"],
        )
        gates = evaluation.scores.get("gates")
        for position, gate in enumerate(gates if isinstance(gates, list) else []):
            _store_gate(reg, new_id, position, gate if isinstance(gate, Mapping) else {})
    return _get(reg, new_id)


def why_not_roll_back(reg: Registry, environment: str) -> QAError | None:
    """What `rollback` would raise (apart from a missing reason), or None."""
    try:
        _may_roll_back(reg, environment)
    except QAError as e:
        return e
    return None


def rollback_target(reg: Registry, environment: str) -> Version | None:
    """The version a rollback would return to, or None if there is none."""
    if why_not_roll_back(reg, environment) is not None:
        return None
    return records.get(reg, _may_roll_back(reg, environment)[1]["model_version"])


def rollback(reg: Registry, environment: str, who: str, reason: str) -> Deployment:
    """Return to the version that was live before. Its gates are not asked again.

    The deployment's model_version is live now, `replaced` is what was rolled back.
    Raises UsageError (no such environment), Refused: nothing is live, nothing was live before, or
    the version before has failed or is in quarantine.
    """
    need_reason(reason, "a rollback")
    with reg.writing():
        current, target = _may_roll_back(reg, environment)
        new_id = _switch(
            reg,
            records.get(reg, target["model_version"]),
            environment,
            kind="rollback",
            who=who,
            reason=reason,
            evaluation=None,
            override=None,
            before=current,
            returns_to=target["returns_to"],
        )
    return _get(reg, new_id)


def _may_promote(
    reg: Registry,
    version: str,
    environment: str,
    gates_verdict: str | None,
    override_reason: str | None,
    expected_live: str | _Any | None,
) -> tuple[Version, evaluations.Evaluation]:
    _known_environment(environment)
    target = records.get(reg, version)
    current = _live_row(reg, environment)
    now_live = None if current is None else current["model_version"]
    if not isinstance(expected_live, _Any) and expected_live != now_live:
        raise Refused(
            f"{environment} changed under you: {now_live or 'nothing'} is live there now",
            why=f"you saw {expected_live or 'nothing'} live",
            try_next="look again, then decide",
        )
    if now_live == version:
        raise Refused(f"{version} is already live in {environment}")
    if target.status in _BAD:
        hint = "evaluate it first" if target.status == "candidate" else "choose another version"
        raise Refused(f"{version} is {target.status}", why="only evaluated versions go live",
                      try_next=hint)  # fmt: skip
    evaluation = evaluations.latest(reg, version)
    if evaluation is None:
        raise Refused(f"{version} has no scores", try_next="evaluate it first")
    if gates_verdict is not None and gates_verdict != evaluation.verdict:
        raise Refused(
            f"the verdict on {version} is {evaluation.verdict}, not {gates_verdict}",
            why="it was evaluated again since you looked",
            try_next="look again, then decide",
        )
    if evaluation.verdict != "GO" and not (override_reason or "").strip():
        raise Refused(
            f"the gates say {evaluation.verdict} for {version}",
            why="; ".join(_reasons(evaluation.scores)),
            try_next="mend what the gates name, or type an override reason, which stays on record",
        )
    return target, evaluation


def _may_roll_back(reg: Registry, environment: str) -> tuple[sqlite3.Row, sqlite3.Row]:
    _known_environment(environment)
    current = _live_row(reg, environment)
    if current is None:
        raise Refused(f"nothing is live in {environment}", try_next="promote a version first")
    target = reg.one("SELECT * FROM deployments WHERE id = ?", (current["returns_to"],))
    if target is None:
        raise Refused(
            f"nothing was live in {environment} before {current['model_version']}",
            try_next="promote another version instead",
        )
    status = records.get(reg, target["model_version"]).status
    if status in _BAD:
        raise Refused(
            f"{target['model_version']}, which was live before, is {status}",
            try_next="promote another version instead",
        )
    return current, target


def _switch(
    reg: Registry,
    target: Version,
    environment: str,
    *,
    kind: str,
    who: str,
    reason: str,
    evaluation: evaluations.Evaluation | None,
    override: str | None,
    before: sqlite3.Row | None,
    returns_to: int | None,
) -> int:
    """End what is live, begin the new deployment, let both statuses follow, write the audit."""
    now, who, reason = utc_now(), clean(who), clean(reason)
    if before is not None:
        reg.execute("UPDATE deployments SET ended_at = ? WHERE id = ?", (now, before["id"]))
    sql = (
        "INSERT INTO deployments (environment, model_version, kind, started_at, who, reason,"
        " verdict, override_reason, evaluation_id, scores_sha256, replaced, returns_to)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
    )
    values = (
        environment,
        target.model_version,
        kind,
        now,
        who,
        reason,
        None if evaluation is None else evaluation.verdict,
        override,
        None if evaluation is None else evaluation.id,
        None if evaluation is None else evaluation.scores_sha256,
        None if before is None else before["id"],
        returns_to,
    )
    new_id = int(reg.value(sql, values))
    was = None if before is None else before["model_version"]
    after = {
        "model_version": target.model_version,
        "verdict": None if evaluation is None else evaluation.verdict,
        "override_reason": override,
        "scores_sha256": None if evaluation is None else evaluation.scores_sha256,
    }
    audit.append(
        reg,
        "version.promote" if kind == "promotion" else "version.rollback",
        environment,
        who=who,
        before={"model_version": was},
        after=after,
        why=reason,
    )
    records.set_status(reg, target, "deployed", who=who, why=f"{kind} to {environment}")
    if was is not None and not records.live_in(reg, was):
        replaced = records.get(reg, was)
        why = f"replaced in {environment} by {target.model_version}"
        records.set_status(reg, replaced, "archived", who=who, why=why)
    return new_id


def _store_gate(reg: Registry, deployment: int, position: int, gate: Mapping[str, Any]) -> None:
    def text(name: str) -> str | None:
        value = gate.get(name)
        return None if value is None else clean(str(value))

    def number(name: str) -> float | None:
        value = gate.get(name)
        return float(value) if isinstance(value, int | float) else None

    n = gate.get("n")
    values = (
        deployment,
        position,
        text("gate") or f"gate {position + 1}",
        text("metric"),
        text("target"),
        text("verdict"),
        number("estimate"),
        number("low"),
        number("high"),
        int(n) if isinstance(n, int | float) else None,
    )
    reg.execute("INSERT INTO deployment_gates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def _reasons(scores: Mapping[str, Any]) -> list[str]:
    reasons = scores.get("reasons")
    return [clean(str(r)) for r in reasons] if isinstance(reasons, list) else []


def _known_environment(environment: str) -> None:
    if environment not in ENVIRONMENTS:
        raise UsageError(
            f"no environment {environment!r}", try_next=f"one of: {', '.join(ENVIRONMENTS)}"
        )


def _live_row(reg: Registry, environment: str) -> sqlite3.Row | None:
    sql = "SELECT * FROM deployments WHERE environment = ? AND ended_at IS NULL"
    return reg.one(sql, (environment,))


def _get(reg: Registry, deployment: int) -> Deployment:
    row = reg.one(
        "SELECT d.*, p.model_version AS replaced_version FROM deployments AS d"
        " LEFT JOIN deployments AS p ON p.id = d.replaced WHERE d.id = ?",
        (deployment,),
    )
    assert row is not None
    sql = "SELECT * FROM deployment_gates WHERE deployment_id = ? ORDER BY position"
    return _deployment(row, tuple(Gate(*tuple(g)[2:]) for g in reg.rows(sql, (deployment,))))


def _deployment(row: sqlite3.Row, gates: tuple[Gate, ...]) -> Deployment:
    return Deployment(
        row["id"],
        row["environment"],
        row["model_version"],
        row["kind"],
        row["started_at"],
        row["ended_at"],
        row["who"],
        row["reason"],
        row["verdict"],
        row["override_reason"],
        row["evaluation_id"],
        row["scores_sha256"],
        row["replaced_version"],
        gates,
    )
