"""From an intention ("train this snapshot") to a job on the host: inputs placed, spec settled, started."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from core.jobdir import JobSpec, new_job_id

if TYPE_CHECKING:
    from core.registry import Registry
    from tui.desk.following import Following
    from tui.desk.line import Line

ROUTINES = {"train": "core.training", "evaluate": "core.evaluation"}


def operator() -> str:
    """Who is at the desk: QA_OPERATOR, else the login name."""
    return os.environ.get("QA_OPERATOR") or getpass.getuser()


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

    def __init__(self, line: Line, following: Following) -> None:
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
        self, reg: Registry, routine: str, settings: dict[str, Any], inputs: list[Placed], note: str
    ) -> str:
        """Start `routine` on the host as a detached job, record it, and follow it. Returns its id."""
        from core.registry import jobs
        from remote.sync import push_code

        host = self._line.host()
        code = push_code(self._line.route())
        spec = JobSpec(
            id=new_job_id(routine),
            routine=routine,
            command=[host.python, "-m", ROUTINES[routine], "--job", "."],
            settings=settings,
            inputs=[asdict(i) for i in inputs],
            env={**host.env, "PYTHONPATH": code, "PYTHONUNBUFFERED": "1"},
            accelerator=host.accelerator,
            requested_by=operator(),
            requested_at=now(),
            host=self._line.host_name,
            note=note,
        )
        jobs.record(reg, spec, spec.host)
        self._line.launcher().start(spec)
        self._following.follow(spec.id)
        return spec.id


def sha256_file(path: Path) -> str:
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
