"""Gathers what a handover note tells, from the registry and from what was mirrored of the jobs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tui.desk.launching import operator
from tui.handover import Change, Shift

if TYPE_CHECKING:
    from core.registry import Registry
    from tui.desk.workbench import Workbench

DAY_S = 86_400.0
READ = 2_000  # rows of the audit at most
EVALUATED = 5  # versions whose gates are looked at, the newest first


def shift(bench: Workbench, since: float | None = None) -> Shift:
    """since: Unix seconds; None: a day ago. Asks the host for nothing."""
    from tui.desk.checklist import rows as items
    from tui.desk.release import live_versions
    from tui.desk.sources import view

    reg = bench.registry()
    now = time.time()
    since = now - DAY_S if since is None else since
    return Shift(
        at=now,
        since=since,
        who=operator(),
        host=bench.host_name,
        link=bench.link(),
        live=live_versions(reg),
        jobs=bench.following.rows(),
        changes=_changes(reg, since),
        unknown=view(reg, "").unknown,
        gates=_gates(reg),
        items=items(reg),
        decision=bench.overview().decision,
    )


def _changes(reg: Registry, since: float) -> list[Change]:
    from core.registry import audit

    start = datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds")
    start = start.replace("+00:00", "Z")
    rows = [e for e in audit.entries(reg, limit=READ) if e.at >= start]
    return [Change(e.at, e.who, e.action, e.subject, e.why) for e in rows[::-1]]


def _gates(reg: Registry) -> dict[str, list[str]]:
    """What does not pass, of the newest versions that were evaluated and are not put aside."""
    from core.registry import evaluations
    from tui.desk.release import rows

    found: dict[str, list[str]] = {}
    open_ = [r for r in rows(reg) if r.verdict and r.status not in ("archived", "failed")]
    for row in open_[:EVALUATED]:
        scores = evaluations.latest(reg, row.model_version)
        gates = scores.scores.get("gates", []) if scores else []
        lines = [
            f"{g.get('title')} ({g.get('target')}): {g.get('verdict')}"
            for g in gates
            if isinstance(g, dict)
            and g.get("verdict") not in ("PASS", None)
            and not g.get("waived")
        ]
        if lines:
            found[row.model_version] = lines
    return found
