"""Following jobs: the laptop's mirror of each job directory, and waiting for a job in words."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import jobdir, locations
from core.errors import DiskFull, JobFailed, NotFound
from core.jobdir import ENDED, SUCCEEDED, JobDir, JobSpec, JobState, read_events
from tui.desk.api import JobRow, Say
from tui.desk.telling import Progress, clock, last_lines, newest_progress

if TYPE_CHECKING:
    from remote.mirror import Mirror
    from tui.desk.line import Line

__all__ = ["Following", "Progress", "clock", "last_lines"]

DISK_FULL_RETRY_S = 30.0


class Following:
    """One mirror thread for each job that is being followed; ended ones are caught up one by one."""

    def __init__(self, line: Line, on_end: Callable[[str], None] = lambda job_id: None) -> None:
        self._line = line
        self._on_end = on_end
        self._ended: dict[str, JobRow] = {}  # rows of ended jobs do not change
        self._mirrors: dict[str, Mirror] = {}
        self._late: list[str] = []
        self._catching: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def root(self) -> Path:
        return locations.state_dir() / "mirror" / self._line.host_name

    def dir(self, job_id: str) -> JobDir:
        """The mirror of a job; raises NotFound for an id that would leave the mirror's folder."""
        if not job_id or "/" in job_id or job_id.startswith("."):
            raise NotFound(f"no job {job_id!r}", try_next="qa jobs list")
        return JobDir(self.root / job_id)

    # -- mirrors ----------------------------------------------------------------------------

    def expect(self, spec: JobSpec) -> None:
        """Put a job that is about to start into the mirror: its row is there whatever comes next."""
        job = self.dir(spec.id)
        job.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        job.artifacts.mkdir(exist_ok=True)
        if not job.spec_path.exists():
            jobdir.write_atomic(job.spec_path, spec.to_json().encode())

    def settle(self, job_id: str, state: JobState) -> None:
        """Write down how a job stands where no mirror can: one that was just started, or that the
        host does not know."""
        import json
        from dataclasses import asdict

        job = self.dir(job_id)
        if job.path.is_dir():
            jobdir.write_atomic(job.state_path, json.dumps(asdict(state), indent=1).encode())

    def follow(self, job_id: str) -> Mirror:
        """Start mirroring (or go on): from where the local files end."""
        from remote.mirror import Mirror

        with self._lock:
            mirror = self._mirrors.get(job_id)
            if mirror is None or (mirror.done.is_set() and mirror.error is not None):
                path = self.dir(job_id).path
                mirror = Mirror(self._line.route, job_id, path, on_done=self._done)
                self._mirrors[job_id] = mirror
                mirror.start()
            return mirror

    def knows(self, job_id: str) -> bool:
        """Is it mirrored by this desk, or was it?"""
        with self._lock:
            return job_id in self._mirrors or job_id in self._late

    def catch_up(self, job_ids: Sequence[str]) -> None:
        """Mirror ended jobs too, in the background, one after the other."""
        with self._lock:
            self._late += [j for j in job_ids if j not in self._late and j not in self._mirrors]
            if self._late and (self._catching is None or not self._catching.is_alive()):
                self._catching = threading.Thread(
                    target=self._catch_up, name="catch-up", daemon=True
                )
                self._catching.start()

    def _catch_up(self) -> None:
        while not self._closed.is_set():
            with self._lock:
                if not self._late:
                    self._catching = None
                    return
                job_id = self._late.pop(0)
            mirror = self.follow(job_id)
            while not mirror.done.wait(0.5) and not self._closed.is_set():
                pass

    def _done(self, mirror: Mirror) -> None:
        """In the mirror's thread."""
        if mirror.error is None:
            self._on_end(mirror.job_id)
        elif isinstance(mirror.error, DiskFull) and not self._closed.wait(DISK_FULL_RETRY_S):
            self.follow(mirror.job_id)  # there may be room again; nothing was lost

    def forget(self, job_id: str) -> None:
        """Remove the mirror of a job from this machine."""
        with self._lock:
            mirror = self._mirrors.pop(job_id, None)
        if mirror is not None:
            mirror.stop()
        self._ended.pop(job_id, None)
        path = self.dir(job_id).path
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            mirrors = list(self._mirrors.values())
            self._mirrors.clear()
            self._late.clear()
        for mirror in mirrors:  # ask all, then wait for all
            mirror.stop(0)
        for mirror in mirrors:
            mirror.stop()

    # -- waiting ----------------------------------------------------------------------------

    def wait(self, job_id: str, say: Say) -> JobState:
        """Until the job has ended and its last line is here. `say` gets its progress in words."""
        mirror = self.follow(job_id)
        job, offset, told = self.dir(job_id), 0, Progress()
        queued = ""
        while True:
            ended = mirror.done.wait(0.25)
            events, offset = read_events(job.events, offset)
            for event in events:
                line = told.line(event)
                if line:
                    say(line)
            if ended:
                if mirror.error is not None:
                    raise mirror.error
                state = job.state()
                assert state is not None
                return state
            state = mirror.state()
            words = waiting_words(state) if state else ""
            if words != queued:
                queued = words
                say(words or "· started")

    def wait_succeeded(self, job_id: str, say: Say) -> JobState:
        """As `wait`; raises JobFailed with the end of the log unless the job succeeded."""
        state = self.wait(job_id, say)
        if state.status != SUCCEEDED:
            code = (
                f"exit code {state.exit_code}" if state.signal is None else f"signal {state.signal}"
            )
            raise JobFailed(
                f"job {job_id} {state.status} ({state.reason or code})",
                why="\n".join(last_lines(self.dir(job_id).output, 12)),
                try_next=f"read the whole log: qa logs {job_id}",
            )
        return state

    # -- rows -------------------------------------------------------------------------------

    def row(self, job: JobDir) -> JobRow:
        """A job as the mirror knows it."""
        spec, state = job.spec(), job.state() or JobState()
        seam = _newest_seam(job)
        if not state.active:
            return row_of(job.id, spec, state, seam=seam)
        known_at = _mtime(job.state_path) or _mtime(job.spec_path) or time.time()
        progress, offset = newest_progress(job), self._clock_offset(job)
        return row_of(job.id, spec, state, known_at, offset, progress, seam)

    def rows(self) -> list[JobRow]:
        """All mirrored jobs, newest first. Offline too."""
        rows = []
        for path in self.root.glob("*/spec.json"):
            try:
                row = self._ended.get(path.parent.name) or self.row(JobDir(path.parent))
                if row.status in ENDED:
                    self._ended[row.id] = row
                rows.append(row)
            except (OSError, ValueError, TypeError):
                continue  # a mirror that is just being made; the next look will find it
        return newest_first(rows)

    def _clock_offset(self, job: JobDir) -> float:
        """The host's clock minus ours; 0 where it was never heard."""
        mirror = self._mirrors.get(job.id)
        if mirror is not None and mirror.clock_offset is not None:
            return mirror.clock_offset
        from remote.segments import CLOCK, recall

        return recall(job.path, CLOCK) or 0.0


def row_of(
    job_id: str,
    spec: JobSpec,
    state: JobState,
    known_at: float | None = None,
    clock_offset: float = 0.0,
    progress: tuple[float | None, float | None] = (None, None),
    seam: str = "",
) -> JobRow:
    """known_at: when, by this machine's clock, the host last said so; None of an ended job."""
    end = state.ended_at
    if end is None and known_at is not None:
        end = known_at + clock_offset
    elapsed = None
    if state.started_at is not None and end is not None:
        elapsed = max(0.0, end - state.started_at)
    return JobRow(
        job_id,
        spec.routine,
        spec.host,
        state.status,
        state.submitted_at,
        state.started_at,
        state.ended_at,
        state.exit_code,
        state.reason,
        spec.note,
        *progress,
        None if known_at is None else max(0.0, time.time() - known_at),
        elapsed,
        state.waiting_for,
        state.position,
        state.scheduler_id or "",
        state.expected_start,
        seam,
    )


def _newest_seam(job: JobDir) -> str:
    from remote.segments import SEAMS, seams

    if not (job.path / SEAMS).exists():
        return ""
    found = seams(job.path, jobdir.OUTPUT)
    return found[-1].line if found else ""


def newest_first(rows: Sequence[JobRow]) -> list[JobRow]:
    """By submission; one that is not submitted yet is newer than all."""
    return sorted(rows, key=lambda r: (r.submitted_at or float("inf"), r.id), reverse=True)


def waiting_words(state: JobState) -> str:
    """ "" unless the job is queued."""
    if state.status != jobdir.QUEUED:
        return ""
    place = f"number {state.position} in line" if state.position else "queued"
    return f"· {place}; {state.waiting_for or 'another job'} has the accelerator"


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
