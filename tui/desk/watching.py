"""Watching jobs from a command: changes of state and lines of progress, as records, to their end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import RouteError
from core.jobdir import read_events
from tui.desk.telling import Progress

if TYPE_CHECKING:
    from remote.mirror import Mirror
    from tui.desk.workbench import Workbench

POLL_S = 0.2
LOOK_S = 5.0  # for jobs that were started meanwhile


@dataclass(slots=True)
class _Watched:
    mirror: Mirror
    told: Progress = field(default_factory=Progress)
    offset: int = 0
    last: tuple[Any, ...] = ()


def watch(bench: Workbench, job_ids: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Records {t, job, kind, …} until all have ended; without ids: all active jobs, also those that
    start meanwhile.

    kind "state": status, reason, exit_code, position, waiting_for; "progress": text; "link": text,
    when the host cannot be reached and when it can again; "error": text, a mirror that cannot go on.
    """
    watched: dict[str, _Watched] = {}
    for job_id in job_ids or _active(bench):
        watched[job_id] = _Watched(bench.following.follow(job_id))
    looked, trouble = time.monotonic(), ""
    while watched:
        for job_id, job in list(watched.items()):
            ended = job.mirror.done.wait(POLL_S / len(watched))
            yield from _news(bench, job_id, job)
            if ended:
                del watched[job_id]
        words = next((j.mirror.trouble.what for j in watched.values() if j.mirror.trouble), "")
        if words != trouble:
            trouble = words
            yield _record("", "link", text=words or "the host is there again")
        if not job_ids and time.monotonic() - looked > LOOK_S:
            looked = time.monotonic()
            try:
                for job_id in _active(bench):
                    if job_id not in watched:
                        watched[job_id] = _Watched(bench.following.follow(job_id))
            except RouteError:
                continue


def _active(bench: Workbench) -> list[str]:
    return [job_id for job_id, state in bench.line.launcher().list() if state.active]


def _news(bench: Workbench, job_id: str, job: _Watched) -> Iterator[dict[str, Any]]:
    state = job.mirror.state()
    events, job.offset = read_events(bench.following.dir(job_id).events, job.offset)
    for event in events:
        line = job.told.line(event)
        if line:
            yield _record(job_id, "progress", text=line)
    if state is not None:
        now = (state.status, state.reason, state.position, state.waiting_for)
        if now != job.last:
            job.last = now
            yield _record(
                job_id,
                "state",
                status=state.status,
                reason=state.reason,
                exit_code=state.exit_code,
                position=state.position,
                waiting_for=state.waiting_for,
            )
    if job.mirror.done.is_set() and job.mirror.error is not None:
        yield _record(job_id, "error", text=job.mirror.error.what)


def _record(job_id: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"t": round(time.time(), 3), "job": job_id, "kind": kind, **more}
