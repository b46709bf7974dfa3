"""Evidence for the pilot checklist, and the GO / NO-GO decision it ends in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core.checklist import Action, Item
from core.errors import NotFound, UsageError
from core.registry import audit
from core.registry.store import Registry, clean, utc_now

Outcome = Literal["pass", "fail", "warn", "note"]
State = Literal["open", "done", "failed", "warned"]
DECISION_ITEM = "go-no-go"

_STATES: dict[str, State] = {"pass": "done", "fail": "failed", "warn": "warned"}


@dataclass(frozen=True, slots=True)
class Evidence:
    id: int
    item_id: str
    at: str
    who: str
    outcome: Outcome
    summary: str
    detail: str
    job_id: str | None


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item with its evidence, newest first. A note does not change the state."""

    id: str
    week: int
    week_title: str
    title: str
    checks: str
    action: Action
    state: State
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    at: str
    who: str
    decision: Literal["GO", "NO-GO"]
    reason: str


def items(reg: Registry) -> tuple[ItemState, ...]:
    """All items in their order."""
    found: dict[str, list[Evidence]] = defaultdict(list)
    for row in reg.rows("SELECT * FROM evidence ORDER BY id DESC"):
        found[row["item_id"]].append(Evidence(*row))
    return tuple(
        ItemState(
            row["id"],
            row["week"],
            row["week_title"],
            row["title"],
            row["checks"],
            row["action"],
            _state(found[row["id"]]),
            tuple(found[row["id"]]),
        )
        for row in reg.rows("SELECT * FROM checklist_items WHERE listed = 1 ORDER BY position")
    )


def item(reg: Registry, item_id: str) -> ItemState:
    """Raises NotFound, naming the items there are."""
    known = items(reg)
    for one in known:
        if one.id == item_id:
            return one
    raise NotFound(
        f"no checklist item {item_id!r}", try_next=f"one of: {', '.join(i.id for i in known)}"
    )


def evidence(reg: Registry, item_id: str) -> tuple[Evidence, ...]:
    """Newest first."""
    sql = "SELECT * FROM evidence WHERE item_id = ? ORDER BY id DESC"
    return tuple(Evidence(*row) for row in reg.rows(sql, (item_id,)))


def add_evidence(
    reg: Registry,
    item_id: str,
    outcome: Outcome,
    summary: str,
    detail: str = "",
    who: str | None = None,
    job_id: str | None = None,
) -> Evidence:
    """Store what a check found. Evidence is never changed; newer evidence decides the state.

    Raises NotFound (no such item), UsageError (unknown outcome, empty summary).
    """
    if outcome not in (*_STATES, "note"):
        raise UsageError(f"unknown outcome {outcome!r}", try_next="pass, fail, warn or note")
    if not summary.strip():
        raise UsageError("evidence needs a summary", try_next="say in a line what was found")
    with reg.writing():
        item(reg, item_id)
        who = clean(who or reg.operator)
        values = (item_id, utc_now(), who, outcome, clean(summary), clean(detail), job_id)
        sql = (
            "INSERT INTO evidence (item_id, at, who, outcome, summary, detail, job_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"
        )
        new_id = int(reg.value(sql, values))
        after = {"outcome": outcome, "summary": clean(summary), "job_id": job_id}
        audit.append(reg, "checklist.evidence", item_id, who=who, after=after)
    return Evidence(new_id, *values)


def decide(reg: Registry, decision: str, reason: str, who: str | None = None) -> Decision:
    """Record GO or NO-GO with its reason, as evidence of the last item too.

    Raises UsageError: another word, or no reason.
    """
    if decision not in ("GO", "NO-GO"):
        raise UsageError(f"the decision is GO or NO-GO, not {decision!r}")
    if not reason.strip():
        raise UsageError("a decision needs a reason", try_next="type why")
    with reg.writing():
        who = clean(who or reg.operator)
        made = Decision(utc_now(), who, "GO" if decision == "GO" else "NO-GO", clean(reason))
        before = last_decision(reg)
        reg.execute(
            "INSERT INTO decisions (at, who, decision, reason) VALUES (?, ?, ?, ?)",
            (made.at, made.who, made.decision, made.reason),
        )
        audit.append(
            reg,
            "checklist.decide",
            DECISION_ITEM,
            who=who,
            before=before and before.decision,
            after=made.decision,
            why=reason,
        )
        if any(i.id == DECISION_ITEM for i in items(reg)):
            add_evidence(reg, DECISION_ITEM, "pass", f"{decision}: {reason}", who=who)
    return made


def last_decision(reg: Registry) -> Decision | None:
    """The newest decision, or None."""
    row = reg.one("SELECT at, who, decision, reason FROM decisions ORDER BY id DESC LIMIT 1")
    return None if row is None else Decision(*row)


def take_items(reg: Registry, items: Iterable[Item]) -> None:
    """Make the stored items those of checklist.yaml; items that went keep their evidence."""
    with reg.writing():
        reg.execute("UPDATE checklist_items SET listed = 0")
        for position, i in enumerate(items):
            reg.execute(
                "INSERT INTO checklist_items VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO"
                " UPDATE SET position = excluded.position, week = excluded.week,"
                " week_title = excluded.week_title, title = excluded.title,"
                " checks = excluded.checks, action = excluded.action, listed = 1",
                (i.id, position, i.week, i.week_title, i.title, i.checks, i.action),
            )


def _state(newest_first: list[Evidence]) -> State:
    for one in newest_first:
        if one.outcome in _STATES:
            return _STATES[one.outcome]
    return "open"
