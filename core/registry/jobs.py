"""What jobs were started where, and how they stood when last seen. The job directory is the truth;
this is the operator's list of them, readable without the host.

Rows here are observations, not decisions: they have no audit rows, and those of several operators
are merged (observations.py).
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass

from core.errors import NotFound
from core.jobdir import STARTING, JobSpec, JobState
from core.pairs import canonical_json
from core.registry.store import Registry, utc_now


@dataclass(frozen=True, slots=True)
class JobRecord:
    """recorded_at, updated_at: ISO 8601 on this machine's clock; the state's times are the host's."""

    id: str
    routine: str
    host: str
    status: str
    spec: JobSpec
    state: JobState
    requested_by: str
    recorded_at: str
    updated_at: str


def record(reg: Registry, spec: JobSpec, host: str) -> JobRecord:
    """Remember a job that is about to be started. Recording it again changes nothing."""
    with reg.writing():
        row = reg.one("SELECT * FROM jobs WHERE id = ?", (spec.id,))
        if row is not None:
            return _record(row)
        now = utc_now()
        who = spec.requested_by or reg.operator
        values = (spec.id, spec.routine, host, STARTING, spec.to_json(), "{}", who, now, now)
        reg.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    return get(reg, spec.id)


def update(reg: Registry, job_id: str, state: JobState) -> JobRecord:
    """Store a newer state. Raises NotFound."""
    text = canonical_json(asdict(state))
    with reg.writing():
        before = get(reg, job_id)
        if canonical_json(asdict(before.state)) != text or before.status != state.status:
            sql = "UPDATE jobs SET status = ?, state = ?, updated_at = ? WHERE id = ?"
            reg.execute(sql, (state.status, text, utc_now(), job_id))
    return get(reg, job_id)


def get(reg: Registry, job_id: str) -> JobRecord:
    """Raises NotFound."""
    row = reg.one("SELECT * FROM jobs WHERE id = ?", (job_id,))
    if row is None:
        raise NotFound(f"no job {job_id!r} in the registry", try_next="see `qa jobs list`")
    return _record(row)


def list(reg: Registry, *, limit: int = 200) -> tuple[JobRecord, ...]:
    """Newest first."""
    sql = "SELECT * FROM jobs ORDER BY recorded_at DESC, id DESC LIMIT ?"
    return tuple(_record(r) for r in reg.rows(sql, (limit,)))


def _record(row: sqlite3.Row) -> JobRecord:
    state = JobState.from_json(row["state"])
    return JobRecord(
        row["id"],
        row["routine"],
        row["host"],
        row["status"],
        JobSpec.from_json(row["spec"]),
        state if json.loads(row["state"]) else JobState(row["status"]),
        row["requested_by"],
        row["recorded_at"],
        row["updated_at"],
    )
