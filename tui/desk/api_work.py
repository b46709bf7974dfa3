"""What the Jobs screen may ask: every job, what it was given, what it left, why it failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tui.desk.api import JobRow
from tui.desk.marks import writes


@dataclass(frozen=True, slots=True)
class Listed:
    """Every job, newest first. problem: why the host could not be asked; then it is the last known."""

    rows: tuple[JobRow, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """What a failure usually means. number: of `line` in the log, counted from 0; None if it is not
    in the log but in the state's reason."""

    what: str
    try_next: str
    line: str
    number: int | None


@dataclass(frozen=True, slots=True)
class About:
    """One job. settings: (dotted name, value).  inputs: (name, path on the host).  logs: here, what
    exists.  became: the version it trained or evaluated, or ""."""

    job_id: str
    requested_by: str
    requested_at: str
    command: str
    settings: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    log: Path
    why: Why | None = None
    became: str = ""
    seams: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file the job left. size: bytes.  here: mirrored on this machine with that size."""

    name: str
    size: int
    here: bool


class WorkDesk(Protocol):
    def listed(self) -> Listed: ...
    def about(self, job_id: str) -> About: ...
    def artifacts(self, job_id: str) -> tuple[Artifact, ...]: ...
    @writes
    def fetch(self, job_id: str, name: str) -> Path: ...  # where it is now
    @writes
    def kill(self, job_id: str) -> None: ...
    @writes
    def rerun(self, job_id: str) -> str: ...  # the new job's id
    @writes
    def resume(self, job_id: str) -> str: ...  # the new job's id
    @writes
    def remove(self, job_id: str) -> tuple[str, ...]: ...  # what was done, in words
