"""The pilot checklist as work: run an item's check, store what it found as evidence."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from core.errors import NotFound, QAError, RouteError
from tui.desk.api import EvidenceRow, ItemRow, Outcome, Say
from tui.desk.launching import operator

if TYPE_CHECKING:
    from core.registry import Registry
    from tui.desk.workbench import Workbench


def rows(reg: Registry, running: str | None = None) -> list[ItemRow]:
    """Every item in order, with its evidence, newest first."""
    from core.registry import checklist

    found = []
    for item in checklist.items(reg):
        evidence = tuple(_row(e) for e in checklist.evidence(reg, item.id))
        state = "running" if item.id == running else item.state
        found.append(
            ItemRow(item.id, item.week, item.week_title, item.title, item.checks, state, evidence)
        )
    return found


def run(bench: Workbench, item_id: str, say: Say) -> EvidenceRow:
    """Run the check of one item. What goes wrong becomes evidence too; only Ctrl-C passes through."""
    from tui.desk.checks import CHECKS, Found

    check = CHECKS.get(item_id)
    if check is None:
        raise NotFound(f"no check for item {item_id!r}", try_next=f"one of: {', '.join(CHECKS)}")
    try:
        found = check(bench, say)
    except QAError as e:
        found = Found("fail", e.what, "\n".join(e.lines()[1:]))
    except Exception as e:  # a defect of ours must leave a trace, and must not stop the desk
        where = traceback.format_exc(limit=-6)
        found = Found("fail", f"a defect in this program: {type(e).__name__}: {e}", where)
    return _store(bench, item_id, found.outcome, found.summary, found.detail, found.job_id)


def note(bench: Workbench, item_id: str, text: str) -> EvidenceRow:
    return _store(bench, item_id, "note", text, "", None)


def _store(
    bench: Workbench, item_id: str, outcome: Outcome, summary: str, detail: str, job_id: str | None
) -> EvidenceRow:
    from core.registry import checklist

    def add(reg: Registry) -> EvidenceRow:
        about = (item_id, outcome, summary, detail, operator())
        return _row(checklist.add_evidence(reg, *about, job_id=job_id))

    try:
        return bench.decided(add)
    except RouteError:
        # That the host cannot be reached is evidence too; other operators see it at the next sync.
        return bench.write(add)


def _row(e: Any) -> EvidenceRow:
    return EvidenceRow(e.at, e.who, e.outcome, e.summary, e.detail, e.job_id)
