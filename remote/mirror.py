"""The files of a running job, copied to the laptop as they grow. The size of the copy is the offset
to go on from, so a cut link can neither lose nor double a byte.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core import jobdir
from core.errors import (
    AuthenticationFailed,
    DiskFull,
    HostKeyChanged,
    HostKeyUnknown,
    JobError,
    LinkLost,
    NotFound,
    QAError,
    RouteError,
)
from core.jobdir import JobState
from remote.agent.frames import FrameError, FrameReader
from remote.helper_client import Carrier, Duplex, error_from, plain
from remote.launch import state_from

GROWING = (jobdir.OUTPUT, jobdir.EVENTS)
WHOLE = (jobdir.SPEC, jobdir.STATE)
LIMIT = 2 << 30  # bytes of one growing file; a job that runs wild must not fill the laptop
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Mirror:
    """A thread that mirrors one job into the directory `into` until the job has ended.

    route_provider: gives the route to use now; called again after each cut. It may raise a
    RouteError, which is waited out, or another QAError, which ends the mirror.
    Bytes are written at the offset they came from: two mirrors of one job do no harm.
    """

    def __init__(
        self,
        route_provider: Callable[[], Carrier],
        job_id: str,
        into: Path,
        *,
        workdir: str | None = None,
        limit: int = LIMIT,
    ) -> None:
        self.job_id = job_id
        self.into = into
        self.done = threading.Event()  # the job has ended and all of it is here, or see `error`
        self.error: QAError | None = None
        self.cuts = 0
        self.bytes = 0  # copied by this object; a screen may watch it for news
        self._provide = route_provider
        self._workdir = workdir
        self._limit = limit
        self._stop = threading.Event()
        self._stream: Duplex | None = None
        self._thread = threading.Thread(target=self._run, name=f"mirror-{job_id}", daemon=True)

    def start(self) -> Mirror:
        self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the thread; what is here stays and can be gone on from."""
        self._stop.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def state(self) -> JobState | None:
        """The newest state mirrored so far."""
        try:
            return state_from(_json(self.into / jobdir.STATE))
        except (OSError, ValueError):
            return None

    # -- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self.into.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.into / jobdir.ARTIFACTS).mkdir(exist_ok=True)
            tries = 0
            while not self._stop.is_set():
                state = self.state()
                if state is not None and not state.active:
                    break  # the ended state is written last of all: everything is here
                before = self.bytes
                try:
                    if self._follow_once():
                        break
                except (HostKeyChanged, HostKeyUnknown, AuthenticationFailed):
                    raise  # waiting does not mend these
                except (RouteError, FrameError):
                    if self._stop.is_set():
                        return
                    self.cuts += 1
                tries = 0 if self.bytes > before else tries + 1
                self._stop.wait(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
        except QAError as e:
            self.error = e
        except OSError as e:
            self.error = _local_error(e, self.into)
        except Exception as e:  # a fault of ours: a thread must not end without a word
            self.error = JobError(f"the mirror of {self.job_id} failed", why=repr(e))
        finally:
            if not self._stop.is_set() or self.error is not None:
                self.done.set()

    def _follow_once(self) -> bool:
        """One connection's worth; True when all is here."""
        route = self._provide()
        workdir = self._workdir or route.helper().call("hello")["workdir"]
        offsets = [f"{name}={_size(self.into / name)}" for name in GROWING]
        job = f"{workdir}/jobs/{self.job_id}"
        stream = route.agent("follow", job, str(self._limit), *offsets)
        self._stream = stream
        try:
            reader = FrameReader()
            while not self._stop.is_set():
                data = stream.recv()
                if not data:
                    raise LinkLost("the host ended the stream")
                for header, body in reader.feed(data):
                    if self._take(header, body):
                        return True
            return False
        finally:
            self._stream = None
            stream.close()

    def _take(self, header: dict[str, Any], body: bytes) -> bool:
        if "error" in header:
            raise _follow_error(header["error"], self.job_id)
        if header.get("end"):
            return True
        name, offset = header.get("file"), header.get("offset")
        if name in GROWING:
            path = self.into / str(name)
            here = _size(path)
            if type(offset) is not int or offset > here or offset < 0:
                raise FrameError(f"{name} goes on at {plain(offset)}, not at {here}")
            if offset + len(body) > self._limit:
                raise FrameError(f"{name} is longer than was asked for")
            _write_at(path, body, offset)
        elif name in WHOLE:
            jobdir.write_atomic(self.into / str(name), body)
        self.bytes += len(body)
        return False


def _follow_error(problem: Any, job_id: str) -> QAError:
    error = error_from(problem)
    if isinstance(error, NotFound):
        return NotFound(
            f"job {job_id} is not on the host any more",
            try_next="what was mirrored before can still be read",
        )
    return error


def _local_error(e: OSError, into: Path) -> QAError:
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"the disk of this machine is full: {into}",
            try_next="free space, then open the job again: it goes on where it stopped",
        )
    return JobError(f"the mirror in {into} cannot be written", why=str(e))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write_at(path: Path, data: bytes, offset: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        left = memoryview(data)
        while left:
            n = os.pwrite(fd, left, offset)
            left, offset = left[n:], offset + n
    finally:
        os.close(fd)


def _json(path: Path) -> Any:
    import json

    return json.loads(path.read_text("utf-8"))
