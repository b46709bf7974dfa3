"""What is live where, what was, and the one switch that changes it.

Every deployment remembers where a rollback from it leads: to what was live before it. A rollback
goes back one step and takes over that step's own way back, so a second rollback goes further back
instead of to and fro.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import UsageError
from core.pairs import canonical_json
from core.registry import audit, records
from core.registry.records import ENVIRONMENTS, Deployment, Gate, Version
from core.registry.store import Registry, clean, utc_now

Kind = Literal["promotion", "rollback", "return"]
OUT_OF_USE = ("training", "candidate", "failed", "quarantined")
"""Statuses from which nothing goes live."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Everything a new deployment is to remember. evaluation_id, verdict, scores: promotions only."""

    kind: Kind
    model_version: str
    environment: str
    who: str
    reason: str
    returns_to: int | None
    verdict: str | None = None
    override: str | None = None
    evaluation_id: int | None = None
    scores_sha256: str | None = None
    gates: tuple[Mapping[str, Any], ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)


def live(reg: Registry, environment: str) -> Version | None:
    """The version that is live in an environment, or None."""
    row = live_row(reg, environment)
    return None if row is None else records.get(reg, row["model_version"])


def live_row(reg: Registry, environment: str) -> sqlite3.Row | None:
    """The deployment of now."""
    sql = "SELECT * FROM deployments WHERE environment = ? AND ended_at IS NULL"
    return reg.one(sql, (environment,))


def history(
    reg: Registry,
    environment: str | None = None,
    *,
    model_version: str | None = None,
    limit: int = 200,
) -> tuple[Deployment, ...]:
    """Promotions, rollbacks and returns, newest first, each with gates and evidence as they stood."""
    wanted = {"d.environment": environment, "d.model_version": model_version}
    given = {column: value for column, value in wanted.items() if value is not None}
    where = " AND ".join(f"{column} = ?" for column in given) or "1"
    rows = reg.rows(f"{_SELECT} WHERE {where} ORDER BY d.id DESC LIMIT ?", (*given.values(), limit))
    return _whole(reg, rows)


def overrides(reg: Registry) -> dict[str, str]:
    """version → the newest reason it was promoted for against its gates. Kept for ever."""
    sql = (
        "SELECT model_version, override_reason FROM deployments WHERE override_reason IS NOT NULL"
        " ORDER BY id"
    )
    return {r[0]: r[1] for r in reg.rows(sql)}


def get(reg: Registry, deployment: int) -> Deployment:
    """One deployment by its number."""
    return _whole(reg, reg.rows(f"{_SELECT} WHERE d.id = ?", (deployment,)))[0]


def gates_hash(gates: Iterable[Gate]) -> str:
    """SHA-256 (hex) of the gates as they are stored with a promotion; it stands in the audit."""
    return hashlib.sha256(canonical_json([_columns(g) for g in gates]).encode()).hexdigest()


def known_environment(environment: str) -> None:
    """Raises UsageError for another word than staging or production."""
    if environment not in ENVIRONMENTS:
        raise UsageError(
            f"no environment {environment!r}", try_next=f"one of: {', '.join(ENVIRONMENTS)}"
        )


def switch(reg: Registry, to: Switch, before: sqlite3.Row | None) -> int:
    """End what is live (`before`), begin the new deployment, let both statuses follow, write the
    audit. Called in the transaction that has checked the preconditions. Returns its number.
    """
    now, who, reason = utc_now(), clean(to.who), clean(to.reason)
    if before is not None:
        reg.execute("UPDATE deployments SET ended_at = ? WHERE id = ?", (now, before["id"]))
    sql = (
        "INSERT INTO deployments (environment, model_version, kind, started_at, who, reason,"
        " verdict, override_reason, evaluation_id, scores_sha256, replaced, returns_to, returned)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
    )
    values = (
        to.environment,
        to.model_version,
        "promotion" if to.kind == "promotion" else "rollback",
        now,
        who,
        reason,
        to.verdict,
        to.override,
        to.evaluation_id,
        to.scores_sha256,
        None if before is None else before["id"],
        to.returns_to,
        int(to.kind == "return"),
    )
    new_id = int(reg.value(sql, values))
    gates = [_gate(gate, position) for position, gate in enumerate(to.gates)]
    if gates:
        values_of = [(new_id, position, *_columns(g)) for position, g in enumerate(gates)]
        sql = "INSERT INTO deployment_gates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        reg.executemany(sql, values_of)
    if to.evidence:
        rows = [(new_id, clean(name), clean(value)) for name, value in to.evidence.items()]
        reg.executemany("INSERT INTO deployment_evidence VALUES (?, ?, ?)", rows)
    was = None if before is None else before["model_version"]
    after: dict[str, Any] = {
        "model_version": to.model_version,
        "verdict": to.verdict,
        "override_reason": to.override,
        "scores_sha256": to.scores_sha256,
    }
    if to.evidence:
        after["evidence"] = {clean(name): clean(value) for name, value in to.evidence.items()}
    if gates:
        after["gates_shown_sha256"] = gates_hash(gates)
    action = {"promotion": "version.promote", "rollback": "version.rollback"}
    audit.append(
        reg,
        action.get(to.kind, "version.return"),
        to.environment,
        who=who,
        before={"model_version": was},
        after=after,
        why=reason,
    )
    status = records.status_of(reg, to.model_version)
    why = f"{to.kind} to {to.environment}"
    records.set_status(reg, to.model_version, status, "deployed", who=who, why=why)
    if was is not None and not records.live_in(reg, was):
        why = f"replaced in {to.environment} by {to.model_version}"
        records.set_status(reg, was, records.status_of(reg, was), "archived", who=who, why=why)
    return new_id


def withdraw(reg: Registry, current: sqlite3.Row, who: str, reason: str) -> None:
    """End what is live with nothing in its place: a first version that its server refused."""
    name, environment = current["model_version"], current["environment"]
    sql = "UPDATE deployments SET ended_at = ? WHERE id = ?"
    reg.execute(sql, (utc_now(), current["id"]))
    audit.append(
        reg,
        "version.withdraw",
        environment,
        who=who,
        before={"model_version": name},
        after={"model_version": None},
        why=reason,
    )
    if not records.live_in(reg, name):
        status = records.status_of(reg, name)
        records.set_status(reg, name, status, "archived", who=who, why=reason)


_SELECT = (
    "SELECT d.*, p.model_version AS replaced_version FROM deployments AS d"
    " LEFT JOIN deployments AS p ON p.id = d.replaced"
)


def _whole(reg: Registry, rows: list[sqlite3.Row]) -> tuple[Deployment, ...]:
    gates: dict[int, list[Gate]] = defaultdict(list)
    evidence: dict[int, dict[str, str]] = defaultdict(dict)
    if rows:
        span = (rows[-1]["id"], rows[0]["id"])
        sql = "SELECT * FROM {} WHERE deployment_id BETWEEN ? AND ? ORDER BY deployment_id, {}"
        for g in reg.rows(sql.format("deployment_gates", "position"), span):
            gates[g["deployment_id"]].append(Gate(*tuple(g)[2:]))
        for e in reg.rows(sql.format("deployment_evidence", "name"), span):
            evidence[e["deployment_id"]][e["name"]] = e["value"]
    return tuple(_deployment(r, gates[r["id"]], evidence[r["id"]]) for r in rows)


def _deployment(row: sqlite3.Row, gates: Iterable[Gate], evidence: Mapping[str, str]) -> Deployment:
    return Deployment(
        row["id"],
        row["environment"],
        row["model_version"],
        "return" if row["returned"] else row["kind"],
        row["started_at"],
        row["ended_at"],
        row["who"],
        row["reason"],
        row["verdict"],
        row["override_reason"],
        row["evaluation_id"],
        row["scores_sha256"],
        row["replaced_version"],
        tuple(gates),
        evidence,
    )


def _columns(g: Gate) -> tuple[str | float | None, ...]:
    return (g.gate, g.metric, g.target, g.verdict, g.estimate, g.low, g.high, g.n)


def _gate(gate: Mapping[str, Any], position: int) -> Gate:
    """A gate's row of the scores in the types of the table."""

    def text(name: str) -> str | None:
        value = gate.get(name)
        return None if value is None else clean(str(value))

    def number(name: str) -> float | None:
        value = gate.get(name)
        return float(value) if isinstance(value, int | float) else None

    n = gate.get("n")
    return Gate(
        text("gate") or f"gate {position + 1}",
        text("metric"),
        text("target"),
        text("verdict"),
        number("estimate"),
        number("low"),
        number("high"),
        int(n) if isinstance(n, int | float) else None,
    )
