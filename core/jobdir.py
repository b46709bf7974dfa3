"""The job directory: the only thing `core` and `remote` must agree on.

    jobs/<job-id>/
      spec.json       written once by whoever launches
      state.json      written atomically by the runner alone
      output.log      everything the routine prints; append-only
      events.jsonl    one JSON object a line; append-only
      artifacts/      what the job leaves

The same directory serves a local process, a detached process behind the jump host and the laptop's
mirror of either. Readers tolerate a half-written last line and fields they do not know.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

SPEC, STATE, OUTPUT, EVENTS, ARTIFACTS = (
    "spec.json",
    "state.json",
    "output.log",
    "events.jsonl",
    "artifacts",
)

# status words of state.json
QUEUED = "queued"  # waits on the host for its accelerator
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
SUCCEEDED, FAILED, STOPPED, LOST = "succeeded", "failed", "stopped", "lost"
ORPHAN = "orphan"  # its runner is gone, the job still runs and holds its accelerator
ACTIVE = frozenset({QUEUED, STARTING, RUNNING, STOPPING, ORPHAN})
ENDED = frozenset({SUCCEEDED, FAILED, STOPPED, LOST})

EXIT_PREEMPTED = 75  # EX_TEMPFAIL: stopped at a checkpoint, can be resumed


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What is to be run, settled before it starts.

    command: argv on the host; `cwd` is the job directory.  env: added to the host's environment.
    settings: everything the routine needs, fully resolved.  inputs: {name, path, sha256}.
    accelerator: name of the lock to hold while running, or None.  grace_s: SIGTERM to SIGKILL.
    """

    id: str
    routine: str
    command: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: list[dict[str, str]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    accelerator: str | None = None
    grace_s: float = 30.0
    requested_by: str = ""
    requested_at: str = ""
    host: str = ""
    note: str = ""
    contract: int = 1
    nodes: int = 1
    processes: int = 1  # on each node; more than one in all: started by `starter`
    starter: str = "torchrun"  # or "accelerate"

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> JobSpec:
        return cls(**_known(cls, json.loads(text)))


@dataclass(frozen=True, slots=True)
class JobState:
    """Where a job stands. Times are Unix seconds on the host's clock; None where not known yet.

    waiting_for: id of the job that holds the accelerator.  position: 1 is the next one to start.
    """

    status: str = STARTING
    runner_pid: int | None = None
    runner_pid_start: int | None = None  # /proc/PID/stat field 22, clock ticks since boot
    pid: int | None = None
    pid_start: int | None = None
    boot_id: str | None = None
    submitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    log_bytes: int | None = None
    scheduler_id: str = ""  # what the scheduler calls it: "4711", or "4711_2" in an array
    expected_start: float | None = None  # the scheduler's own estimate while it is queued
    queued_at: float | None = None
    waiting_for: str = ""
    position: int | None = None
    node: str = ""

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @classmethod
    def from_json(cls, text: str) -> JobState:
        return cls(**_known(cls, json.loads(text)))


def _known(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {k: v for k, v in data.items() if k in names}


@dataclass(frozen=True, slots=True)
class JobDir:
    """Paths of one job directory and readers of its files."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def spec_path(self) -> Path:
        return self.path / SPEC

    @property
    def state_path(self) -> Path:
        return self.path / STATE

    @property
    def output(self) -> Path:
        return self.path / OUTPUT

    @property
    def events(self) -> Path:
        return self.path / EVENTS

    @property
    def artifacts(self) -> Path:
        return self.path / ARTIFACTS

    def spec(self) -> JobSpec:
        return JobSpec.from_json(self.spec_path.read_text("utf-8"))

    def state(self) -> JobState | None:
        """None before the runner has written it once."""
        try:
            return JobState.from_json(self.state_path.read_text("utf-8"))
        except FileNotFoundError:
            return None

    def create(self, spec: JobSpec) -> JobDir:
        """Make the directory (private) and write spec.json; refuses to reuse an id."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700)
        self.artifacts.mkdir()
        write_atomic(self.spec_path, spec.to_json().encode())
        return self


def new_job_id(routine: str, *, now: float | None = None) -> str:
    """`train-20261122-141530-3f9a`: sorts by time, safe as a file name."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{routine}-{stamp}-{secrets.token_hex(2)}"


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` whole or not at all, also when the machine stops in between."""
    tmp = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}.tmp")
    try:
        with open(tmp, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        tmp.replace(path)
    except BaseException:
        tmp.unlink(missing_ok=True)
        raise


class EventWriter:
    """Append events. Each is one `write` of one line, so a killed process tears at most the last.

    A full disk does not end the routine: what it does not take waits here and is written before the
    next event; past `HELD` bytes events are counted instead, and a warning says how many are missing.
    """

    HELD = 1 << 20

    def __init__(self, path: Path) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  held for the job's life
        self._held = bytearray()
        self._missing = 0

    def emit(self, kind: str, **values: Any) -> None:
        record = {"t": round(time.time(), 3), "kind": kind, **values}
        self._put(json.dumps(record, ensure_ascii=False, allow_nan=True).encode() + b"\n")

    def _put(self, line: bytes) -> None:
        if self._missing and not self._drain():
            self._missing += 1
            return
        if self._missing:
            text = f"{self._missing} events are missing here: the disk was full"
            lost = {"t": round(time.time(), 3), "kind": "warning", "text": text}
            self._missing = 0
            self._held += json.dumps(lost).encode() + b"\n"
        if len(self._held) + len(line) > self.HELD:
            self._missing += 1
            return
        self._held += line
        self._drain()

    def _drain(self) -> bool:
        """Write what waits; False while the disk is full."""
        try:
            while self._held:
                del self._held[: self._file.write(self._held) or 0]
        except OSError as e:
            if e.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return False
        return True

    def phase(self, name: str, **more: Any) -> None:
        self.emit("phase", name=name, **more)

    def metric(self, step: int, **values: Any) -> None:
        """One training step: max_steps, epoch, loss, lr, tokens_per_s, eta_s, memory_bytes."""
        self.emit("metric", step=step, **values)

    def progress(self, done: int, total: int, what: str, eta_s: float | None = None) -> None:
        self.emit("progress", done=done, total=total, what=what, eta_s=eta_s)

    def checkpoint(self, step: int, path: str) -> None:
        self.emit("checkpoint", step=step, path=path)

    def warning(self, text: str) -> None:
        self.emit("warning", text=text)

    def result(self, **values: Any) -> None:
        self.emit("result", **values)

    def close(self) -> None:
        try:
            self._drain()
        finally:
            self._file.close()


def read_events(
    path: Path, offset: int = 0, limit: int | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Whole events from byte `offset`, and the offset to go on from.

    limit: about so many bytes of them, the rest by further calls; None: all.  A last line without
    newline stays for the next call. A line that is not a JSON object is given back as kind
    "unreadable" rather than dropped: a screen must be able to say that it was there.
    """
    try:
        with open(path, "rb") as f:
            if offset > os.fstat(f.fileno()).st_size:
                offset = 0  # cut short or replaced since: what is there now is all new
            f.seek(offset)
            data = f.read() if limit is None else f.read(limit) + f.readline()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return list(_parse(data[:end])), offset + end


def _parse(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict) and isinstance(record.get("kind"), str):
            yield record
        elif line.strip():
            yield {"kind": "unreadable", "text": line[:200].decode("utf-8", "replace")}
