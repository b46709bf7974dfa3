"""From an intention ("train this snapshot") to a job on the host: inputs placed, spec settled, started."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import LinkLost, NotFound, QAError
from core.jobdir import FAILED, QUEUED, JobSpec, JobState, new_job_id
from core.whoami import whoami

if TYPE_CHECKING:
    from core.registry import Registry
    from tui.desk.following import Following
    from tui.desk.line import Line

START_TRIES = 3  # over cut links
ROUTINES = {"train": "core.training", "evaluate": "core.evaluation"}


def operator() -> str:
    """Who is at the desk: QA_OPERATOR, else the login name."""
    return whoami()


def now() -> str:
    """ISO 8601, UTC, seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Placed:
    """A file as it lies on the host."""

    name: str
    path: str
    sha256: str


class Launching:
    """Places inputs on the host and starts jobs there."""

    def __init__(
        self,
        line: Line,
        following: Following,
        write: Callable[[Callable[[Registry], object]], object],
    ) -> None:
        """write: does something in the one thread that writes the registry."""
        self._write = write
        self._line = line
        self._following = following
        self._workdir: str | None = None

    def place(self, files: dict[str, Path]) -> dict[str, Placed]:
        """Push files into the host's data folder under their content's hash; skips what is there."""
        from remote.sync import push

        placed, pushes = {}, []
        for name, path in files.items():
            digest = sha256_file(path)
            relative = f"data/{path.stem}-{digest[:12]}{path.suffix}"
            pushes.append((path, relative))
            placed[name] = Placed(name, self.on_host(relative), digest)
        push(self._line.route(), pushes)
        return placed

    def place_rows(self, name: str, rows: list[dict[str, Any]]) -> Placed:
        """Push rows as a JSONL file."""
        with tempfile.TemporaryDirectory() as tmp:
            path = Path(tmp) / f"{name}.jsonl"
            lines = (json.dumps(r, ensure_ascii=False, sort_keys=True) for r in rows)
            path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
            return self.place({name: path})[name]

    def on_host(self, relative: str) -> str:
        return f"{self.workdir()}/{relative}"

    def workdir(self) -> str:
        """The host's work folder as an absolute path."""
        if self._workdir is None:
            self._workdir = str(self._line.route().helper().call("hello")["workdir"])
        return self._workdir

    def job_path(self, job_id: str, relative: str) -> str:
        return self.on_host(f"jobs/{job_id}/{relative}")

    def start(
        self,
        routine: str,
        settings: dict[str, Any],
        inputs: list[Placed],
        note: str,
        *,
        queue: bool = False,
    ) -> str:
        """Start `routine` on the host as a detached job, record it, and follow it. Returns its id.

        queue: wait for a busy accelerator instead of raising AcceleratorBusy.
        """
        spec = self.spec(routine, settings, [asdict(i) for i in inputs], note)
        return self.submit(spec, queue=queue)

    def spec(
        self, routine: str, settings: dict[str, Any], inputs: list[dict[str, str]], note: str
    ) -> JobSpec:
        """What is to be run, with this desk's code, which is placed on the host if it is not there."""
        from remote.sync import push_code

        code = push_code(self._line.route())
        self._line.use_environment()  # a job may have made it since
        host = self._line.host()
        return JobSpec(
            id=new_job_id(routine),
            routine=routine,
            command=[host.python, "-m", ROUTINES[routine], "--job", "."],
            settings=settings,
            inputs=inputs,
            env={**host.env, "PYTHONPATH": code, "PYTHONUNBUFFERED": "1"},
            accelerator=host.accelerator,
            requested_by=operator(),
            requested_at=now(),
            host=self._line.host_name,
            note=note,
        )

    def submit(self, spec: JobSpec, *, queue: bool = False) -> str:
        """Record the job, start it, follow it. Returns its id.

        It is in the registry and in the mirror before the host is asked: a crash or a cut in between
        leaves a row that the next connect settles. A start that is refused leaves no row.
        """
        from core.registry import jobs

        self._write(lambda reg: jobs.record(reg, spec, spec.host))
        self._following.expect(spec)
        try:
            state = self._start(spec, queue)
        except LinkLost:
            raise  # perhaps it runs: the next connect finds out
        except QAError as e:
            refused = JobState(FAILED, reason=f"not started: {e.what}")
            self._write(lambda reg: jobs.update(reg, spec.id, refused))
            self._following.forget(spec.id)
            raise
        # An ended state must come last, from the mirror, after the last line; so must no older one.
        if state.active and not self._following.knows(spec.id):
            self._following.settle(spec.id, state)
        if state.status == QUEUED:
            self._write(lambda reg: jobs.update(reg, spec.id, state))
        self._following.follow(spec.id)
        return spec.id

    def _start(self, spec: JobSpec, queue: bool) -> JobState:
        """A start is safe to repeat: a job is started once."""
        for _ in range(START_TRIES - 1):
            try:
                return self._line.launcher().start(spec, queue=queue)
            except LinkLost:
                continue
        return self._line.launcher().start(spec, queue=queue)


def sha256_file(path: Path) -> str:
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file", try_next="a file of this machine") from None
