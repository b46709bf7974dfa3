"""The laptop's end of the agent: starting one of its commands, and asking the helper questions."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from core.errors import (
    AcceleratorBusy,
    DiskFull,
    EnvironmentProblem,
    JobActive,
    JobError,
    LinkLost,
    MissingComponent,
    NotFound,
    QAError,
    RouteError,
    UsageError,
)
from remote.agent_zip import agent_zip

MAX_LINE = 1 << 25
START_S = 30.0
LONG = 1 << 16  # bytes; what is shorter finds room on the way in any case
LOOKS = 16


class Duplex(Protocol):
    """Bytes both ways to one command on the host."""

    def send(self, data: bytes) -> None: ...
    def recv(self, timeout: float | None = None) -> bytes:
        """b"" at the end; TimeoutError; LinkLost."""
        ...

    def exit_status(self) -> int | None: ...
    def stderr_tail(self) -> str: ...
    def close(self) -> None: ...


class Carrier(Protocol):
    """What sync, launch, mirror, preflight and readings need of a route."""

    @property
    def alive(self) -> bool: ...
    def agent(self, *words: str, bare: bool = True) -> Duplex: ...
    def helper(self) -> HelperClient: ...


ODD = "connect again; if it stays, look at the host: qa doctor --host NAME"


def plain(text: object, limit: int = 500) -> str:
    """Host text as one harmless line: no controls, no escapes, no end."""
    cleaned = re.sub(
        r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+", " ", str(text)[: limit * 4]
    )
    return cleaned.strip()[:limit]


def error_from(problem: Any) -> QAError:
    """The agent's {code, what, …} as one of our errors."""
    if not isinstance(problem, dict):
        return RouteError("the agent answered in a way this program does not know", try_next=ODD)
    code, what = problem.get("code"), plain(problem.get("what", "it failed"))
    if code == "busy":
        holder = plain(problem.get("holder", "unknown"), 128)
        error = AcceleratorBusy(
            f"{plain(problem.get('accelerator', 'the accelerator'), 64)} is busy with job {holder}",
            why="two jobs never share an accelerator",
            try_next=f"wait for {holder} to end, or stop it: qa jobs stop {holder}",
        )
        error.holder = holder
        return error
    if code == "agent_gone":
        return EnvironmentProblem(
            what,
            why="what a purge of old files takes away is carried over again, and was gone again",
            try_next="set `workdir` of this host in hosts.yaml to a folder that is not purged",
        )
    if code in ("no_job", "not_found"):
        return NotFound(what, try_next="qa jobs list tells what is there")
    if code in ("disk_full", "disk"):
        return DiskFull(
            "the host's disk is full" if code == "disk_full" else what,
            why=what if code == "disk_full" else "",
            try_next="free space below the work folder of the host, then repeat",
        )
    if isinstance(code, str) and code.startswith("slurm_"):
        from remote.slurm.errors import slurm_error

        return slurm_error(code, what, plain(problem.get("why", "")))
    if code == "active":
        return JobActive(what, try_next="stop it first, or wait for its end: qa jobs watch")
    if code == "bad_name":
        return UsageError(what, try_next="a path below the work folder, without .. and links")
    if code == "os":
        return EnvironmentProblem(
            f"on the host: {what}", try_next="look at its work folder: qa doctor --host NAME"
        )
    return JobError(what, try_next="look at the job and at the host: qa jobs list, qa doctor")


def start_agent(stream: Duplex, token: str, python: str) -> Duplex:
    """Wait until the agent command on `stream` is ready, sending the agent first if it is missing.

    What the remote shell printed before is dropped. Raises MissingComponent (no usable Python),
    EnvironmentProblem (work folder not writable), LinkLost.
    """
    marker = f"\n{token} ".encode()
    buffer = b""
    until = time.monotonic() + START_S
    while True:
        at = buffer.find(marker)
        end = buffer.find(b"\n", at + len(marker)) if at >= 0 else -1
        if end >= 0:
            word, _, more = buffer[at + len(marker) : end].partition(b" ")
            buffer = buffer[end + 1 :]
            if word == b"READY":
                return _Rest(stream, buffer)
            if word != b"NEED":
                raise EnvironmentProblem(
                    "the agent cannot be placed on the host",
                    why=plain(more.decode("utf-8", "replace")),
                    try_next="check `workdir` of this host in hosts.yaml: it must be writable",
                )
            z = agent_zip()
            stream.send(b"%d\n" % len(z.data) + z.data)
            continue
        try:
            data = stream.recv(timeout=max(0.1, until - time.monotonic()))
        except TimeoutError:
            raise EnvironmentProblem(
                f"the agent did not start within {START_S:.0f} s",
                try_next="the host may be overloaded or its home folder stuck; try again",
            ) from None
        if not data:
            raise _not_started(stream, python)
        buffer = buffer[-(1 << 16) :] + data


def _not_started(stream: Duplex, python: str) -> QAError:
    code, said = stream.exit_status(), plain(stream.stderr_tail())
    if code in (126, 127):
        return MissingComponent(
            f"the host has no usable Python at {python!r}",
            why=said,
            try_next="set `python` of this host in hosts.yaml to a Python 3.8 or newer",
        )
    if code is None or code < 0:
        return LinkLost("the link was cut while the agent started", try_next="connect again")
    return EnvironmentProblem(
        f"the agent ended at once (exit code {code})",
        why=said,
        try_next="check `python` and `workdir` of this host in hosts.yaml",
    )


class _Rest:
    """A stream of which the first bytes were read already."""

    def __init__(self, stream: Duplex, first: bytes) -> None:
        self._stream = stream
        self._first = first
        self.send = stream.send
        self.exit_status = stream.exit_status
        self.stderr_tail = stream.stderr_tail
        self.close = stream.close

    def recv(self, timeout: float | None = None) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return self._stream.recv(timeout)


class HelperClient:
    """Questions to the helper. Any thread may ask; answers come back by number.

    Whoever waits for an answer reads, one at a time and for all of them: an answer that a thread of its
    own has read would wait for another one to wake.
    anew: another helper in the place of one whose files were removed from the host.
    """

    def __init__(self, stream: Duplex, anew: Callable[[], HelperClient] | None = None) -> None:
        self._stream = stream
        self._anew = anew
        self._numbers = itertools.count(1)
        self._replies: dict[int, dict[str, Any] | None] = {}  # None: still to come
        self._turn = threading.Condition(threading.Lock())
        self._send_lock = threading.Lock()
        self._reads = False  # somebody does
        self._closed = False
        self._buffer = bytearray()

    @property
    def alive(self) -> bool:
        """Also looks whether the end has come since the last answer; does not wait for it."""
        for _ in range(LOOKS):
            if self._closed or not self._takes_turn():
                break
            if not self._read(0.0):
                break
        return not self._closed

    def call(self, op: str, *, timeout: float = 20.0, **values: Any) -> Any:
        """Ask and wait. Raises LinkLost, RouteError (no answer in time), or what the agent says."""
        reply = self._asked(op, timeout, values)
        if self._anew is not None and _gone(reply):
            self.close()
            reply = self._anew()._asked(op, timeout, values)
        if "error" in reply:
            raise error_from(reply["error"])
        return reply.get("ok")

    def _asked(self, op: str, timeout: float, values: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        line = json.dumps({"id": number, "op": op, **values}).encode() + b"\n"
        until = time.monotonic() + timeout
        with self._turn:
            if self._closed:
                raise _lost()
            self._replies[number] = None
        try:
            if len(line) > LONG:  # the helper reads no further while nobody takes what it answers
                threading.Thread(
                    target=self._settle, args=(number, until), name="helper-answers", daemon=True
                ).start()
            with self._send_lock:
                self._stream.send(line)
            self._settle(number, until)
            reply = self._replies[number]
        except (LinkLost, OSError, EOFError) as e:
            self._end()
            raise _lost() from e
        finally:
            with self._turn:
                self._replies.pop(number, None)
        if reply is not None:
            return reply
        if self._closed:
            raise _lost()
        raise RouteError(
            f"the host did not answer {op!r} within {timeout:.0f} s",
            try_next="it may be overloaded; try again",
        )

    def close(self) -> None:
        self._stream.close()
        self._end()

    def _settle(self, number: int, until: float) -> None:
        """Until the answer is here, or does not come in time, or nobody wants it any more."""
        while True:
            with self._turn:
                while True:
                    left = until - time.monotonic()
                    if self._closed or left <= 0 or self._replies.get(number, {}) is not None:
                        return
                    if not self._reads:
                        break
                    self._turn.wait(left)
                self._reads = True
            self._read(left)

    def _takes_turn(self) -> bool:
        """False where another one reads."""
        with self._turn:
            if self._reads:
                return False
            self._reads = True
            return True

    def _read(self, seconds: float) -> bool:
        """What comes first; for who has taken the turn, which ends here. False where nothing came."""
        came = False
        try:
            data = self._stream.recv(seconds)
            came = bool(data) and self._take(data)
            if not came:
                self._end()
        except TimeoutError:
            pass
        except (QAError, OSError, EOFError):
            self._end()
        finally:
            with self._turn:
                self._reads = False
                self._turn.notify_all()
        return came

    def _take(self, data: bytes) -> bool:
        """False if no answer is that long."""
        self._buffer += data
        if b"\n" not in data:
            return len(self._buffer) <= MAX_LINE
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            try:
                reply = json.loads(line)
            except (ValueError, RecursionError):
                continue
            number = reply.get("id") if isinstance(reply, dict) else None
            if isinstance(number, int):
                with self._turn:
                    if number in self._replies:
                        self._replies[number] = reply
        return True

    def _end(self) -> None:
        with self._turn:
            self._closed = True
            self._turn.notify_all()


def _gone(reply: dict[str, Any]) -> bool:
    error = reply.get("error")
    return isinstance(error, dict) and error.get("code") == "agent_gone"


def _lost() -> LinkLost:
    return LinkLost(
        "the link to the host was cut",
        why="running jobs are not touched by this",
        try_next="connect again; the log goes on where it stopped",
    )
