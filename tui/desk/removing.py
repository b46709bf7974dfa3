"""Removing a job: its directory on the host, and its mirror here too. Never what is still needed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from core.errors import JobActive, NotFound, QAError, Refused

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def remove(bench: Workbench, job_id: str, *, here: bool = False) -> list[str]:
    """Delete the job's directory on the host; here: its mirror on this machine too. What was done,
    in words. The registry's row of the job stays.

    Unless the mirror goes too, it is brought up to date first, so that the log is not lost.
    Raises JobActive, NotFound, Refused (a version's adapter, or an active job, needs it).
    """
    mirror = bench.following.dir(job_id).path
    launcher = bench.line.launcher()
    try:
        state = launcher.state(job_id)
    except NotFound:
        if not here or not mirror.is_dir():
            raise
        _check_needed(bench, job_id)
        bench.following.forget(job_id)
        return [f"{job_id} was not on {bench.host_name} any more", _gone(mirror)]
    if state.active:
        raise JobActive(
            f"job {job_id} is still active ({state.status})",
            try_next=f"stop it first: qa jobs stop {job_id}",
        )
    _keep_outcome(bench, job_id, fetch_log=not here)
    _check_needed(bench, job_id)
    launcher.remove(job_id)
    done = [f"{job_id} is removed from {bench.host_name}"]
    if here:
        bench.following.forget(job_id)
        done.append(_gone(mirror))
    else:
        done.append(f"its mirror stays: {mirror}")
    return done


def _gone(mirror: object) -> str:
    return f"its mirror is removed: {mirror}"


def _keep_outcome(bench: Workbench, job_id: str, *, fetch_log: bool) -> None:
    """What the job came to is stored before its files go: a version, scores, the end of its log."""
    from tui.desk.outcomes import settle

    following = bench.following.follow(job_id)
    following.done.wait()
    if following.error is not None and fetch_log:
        raise following.error
    with contextlib.suppress(QAError):  # e.g. its results were removed by hand: nothing to keep
        settle(bench, job_id)


def _check_needed(bench: Workbench, job_id: str) -> None:
    """Raises Refused if a registered version's adapter lies in the job, or an active job reads it."""
    from core.registry import versions

    for version in versions.list(bench.registry()):
        if version.train_job == job_id or f"/jobs/{job_id}/" in (version.adapter_path or ""):
            raise Refused(
                f"job {job_id} holds the adapter of {version.model_version}",
                why="without it that version can be neither evaluated, served nor rolled back to",
                try_next="keep it; evaluations, and trainings that became no version, can go",
            )
    for row in bench.following.rows():
        if row.age_s is None or row.id == job_id:  # an ended one
            continue
        if f"/jobs/{job_id}/" in bench.following.dir(row.id).spec().to_json():
            raise Refused(
                f"the active job {row.id} reads from {job_id}",
                try_next=f"wait for its end, or stop it: qa jobs stop {row.id}",
            )
