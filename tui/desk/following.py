"""Following jobs: the laptop's mirror of each job directory, and waiting for a job in words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import JobFailed, NotFound
from core.jobdir import ENDED, SUCCEEDED, JobDir, JobState, read_events
from tui.desk.api import JobRow, Say

if TYPE_CHECKING:
    from remote.mirror import Mirror
    from tui.desk.line import Line


class Following:
    """One mirror thread for each job that is being followed."""

    def __init__(self, line: Line, on_end: Callable[[str], None] = lambda job_id: None) -> None:
        self._line = line
        self._on_end = on_end
        self._ended: dict[str, JobRow] = {}  # rows of ended jobs do not change
        self._mirrors: dict[str, Mirror] = {}
        self._lock = threading.Lock()

    @property
    def root(self) -> Path:
        return locations.state_dir() / "mirror" / self._line.host_name

    def dir(self, job_id: str) -> JobDir:
        """The mirror of a job; raises NotFound for an id that would leave the mirror's folder."""
        if not job_id or "/" in job_id or job_id.startswith("."):
            raise NotFound(f"no job {job_id!r}")
        return JobDir(self.root / job_id)

    def follow(self, job_id: str) -> Mirror:
        """Start mirroring (or go on): from where the local files end."""
        from remote.mirror import Mirror

        with self._lock:
            mirror = self._mirrors.get(job_id)
            if mirror is None or (mirror.done.is_set() and mirror.error is not None):
                mirror = Mirror(self._line.route, job_id, self.dir(job_id).path)
                mirror.start()
                self._mirrors[job_id] = mirror
                threading.Thread(target=self._watch, args=(mirror,), daemon=True).start()
            return mirror

    def _watch(self, mirror: Mirror) -> None:
        mirror.done.wait()
        if mirror.error is None:
            self._on_end(mirror.job_id)

    def wait(self, job_id: str, say: Say) -> JobState:
        """Until the job has ended and its last line is here. `say` gets its progress in words."""
        mirror = self.follow(job_id)
        job, offset, told = self.dir(job_id), 0, Progress()
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

    def row(self, job: JobDir) -> JobRow:
        """A job as the mirror knows it."""
        spec, state = job.spec(), job.state() or JobState()
        progress, eta = _progress(job) if state.active else (None, None)
        return JobRow(
            job.id,
            spec.routine,
            spec.host,
            state.status,
            state.submitted_at,
            state.started_at,
            state.ended_at,
            state.exit_code,
            state.reason,
            spec.note,
            progress,
            eta,
        )

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
        return sorted(rows, key=lambda r: r.submitted_at or time.time(), reverse=True)

    def close(self) -> None:
        with self._lock:
            for mirror in self._mirrors.values():
                mirror.stop()
            self._mirrors.clear()


class Progress:
    """Turns a job's events into a few lines for a person: a phase each, then about every tenth (`parts`)."""

    def __init__(self, parts: int = 10) -> None:
        self._parts = parts
        self._told: set[tuple[Any, int]] = set()

    def line(self, event: dict[str, Any]) -> str | None:
        kind = event["kind"]
        if kind == "phase":
            return f"· {event.get('name')}"
        if kind == "warning":
            return f"▲ {event.get('text')}"
        if kind == "metric":
            return self._share(
                "train",
                event.get("step"),
                event.get("max_steps"),
                f"step {event.get('step')}/{event.get('max_steps')}  loss {_number(event.get('loss'))}"
                f"  lr {_number(event.get('lr'))}  {_number(event.get('tokens_per_s'))} tokens/s"
                f"  ETA {clock(event.get('eta_s'))}",
            )
        if kind == "progress":
            what, done, total = event.get("what"), event.get("done"), event.get("total")
            if not done:
                return None
            return self._share(what, done, total, f"{what}: {done}/{total} answered")
        return None

    def _share(self, what: Any, done: Any, total: Any, line: str) -> str | None:
        if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
            return None
        now = (what, int(self._parts * done / total))
        if now in self._told:
            return None
        self._told.add(now)
        return line


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "–"


def clock(seconds: Any) -> str:
    """65 → "1:05"; not a number → "–"."""
    if not isinstance(seconds, (int, float)) or not seconds >= 0:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes}:{rest:02d}"
        if minutes < 60
        else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    )


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log, read from its last 16 KiB."""
    try:
        with open(path, "rb") as f:
            f.seek(0, 2)
            f.seek(max(0, f.tell() - 16384))
            return f.read().decode("utf-8", "replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def _progress(job: JobDir) -> tuple[float | None, float | None]:
    """Share done (0..1) and seconds left, from the newest counting event in the last 16 KiB."""
    for line in reversed(last_lines(job.events, 40)):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict):
            continue
        done, total = (
            event.get("step", event.get("done")),
            event.get("max_steps", event.get("total")),
        )
        if isinstance(done, (int, float)) and isinstance(total, (int, float)) and total > 0:
            eta = event.get("eta_s")
            return min(1.0, done / total), eta if isinstance(eta, (int, float)) else None
    return None, None
