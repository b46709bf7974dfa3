"""Finding a job that was: the newest of a kind, and what one was told to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import NotFound
from core.jobdir import JobDir, JobSpec

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def spec_of(bench: Workbench, job_id: str) -> JobSpec:
    """From the mirror, else from the host. Raises NotFound."""
    from remote.launch import specs_of

    try:
        return bench.following.dir(job_id).spec()
    except (FileNotFoundError, ValueError):
        found = specs_of(bench.line.route(), [job_id])
    if job_id not in found:
        raise NotFound(f"no job {job_id!r} here or on the host", try_next="qa jobs list")
    return found[job_id]


def find_job(bench: Workbench, routine: str, *, smoke: bool | None = None) -> JobDir:
    """The newest job of a routine that succeeded. Raises NotFound."""
    for row in bench.following.rows():
        job = bench.following.dir(row.id)
        if row.routine != routine or row.status != "succeeded":
            continue
        if smoke is None or bool(job.spec().settings.get("smoke")) == smoke:
            return job
    raise NotFound(
        f"no {routine} job has succeeded yet", try_next="run the earlier checklist items first"
    )
