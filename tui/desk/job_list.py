"""All jobs of a host: what it says now, beside what was mirrored here before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from core.errors import NotFound, UsageError
from core.jobdir import LOST, JobSpec, JobState
from tui.desk.api import JobRow
from tui.desk.following import newest_first, row_of
from tui.desk.outcomes import STARTING_S
from tui.desk.telling import newest_progress

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def asked(bench: Workbench) -> list[JobRow]:
    """Newest first, after one question to the host. Raises RouteError."""
    from remote.launch import specs_of

    mirrored = {row.id: row for row in bench.following.rows()}
    route = bench.line.route()
    told = dict(bench.line.launcher().list())
    at = time.time()
    offset = _clock_offset(bench)
    unknown = [job_id for job_id in told if job_id not in mirrored]
    specs = specs_of(route, unknown)
    rows = []
    for job_id, state in told.items():
        row = mirrored.get(job_id)
        if row is not None and row.age_s is None:
            rows.append(row)  # it has ended, and all of it is here
            continue
        job = bench.following.dir(job_id)
        spec = job.spec() if row is not None else specs.get(job_id) or _nameless(bench, job_id)
        now = (at, offset, newest_progress(job)) if state.active else ()
        rows.append(row_of(job_id, spec, state, *now))
    rows += [_missing(row) for job_id, row in mirrored.items() if job_id not in told]
    return newest_first(rows)


def find(rows: list[JobRow], name: str) -> str:
    """The id meant by an id, its unique beginning, or its unique last part. Raises NotFound,
    UsageError (several)."""
    ids = [row.id for row in rows]
    if name in ids:
        return name
    hits = [i for i in ids if name and (i.startswith(name) or i.endswith(f"-{name}"))]
    if len(hits) == 1:
        return hits[0]
    if hits:
        few = ", ".join(hits[:5]) + (" …" if len(hits) > 5 else "")
        raise UsageError(f"{name!r} could be {len(hits)} jobs: {few}", try_next="give more of it")
    raise NotFound(f"no job {name!r} is known", try_next="qa jobs list")


def _clock_offset(bench: Workbench) -> float:
    """Seconds the host's clock is ahead of ours, good to half a round trip."""
    before = time.time()
    answer = bench.line.route().helper().call("ping")
    there = answer.get("now") if isinstance(answer, dict) else None
    return there - (before + time.time()) / 2 if isinstance(there, (int, float)) else 0.0


def _nameless(bench: Workbench, job_id: str) -> JobSpec:
    return JobSpec(job_id, job_id.split("-")[0], [], host=bench.host_name)


def _missing(row: JobRow) -> JobRow:
    """A row of the mirror that the host does not list: removed there, or about to start."""
    if row.age_s is None or row.age_s < STARTING_S:
        return row
    reason = "the host does not know it any more"
    spec = JobSpec(row.id, row.routine, [], host=row.host, note=row.note)
    times = (row.submitted_at, row.started_at)
    return row_of(
        row.id, spec, JobState(LOST, submitted_at=times[0], started_at=times[1], reason=reason)
    )
