"""The files of a running job, copied to the laptop as they grow. The size of the copy is the offset
to go on from, so a cut link can neither lose nor double a byte.

Memory stays bounded however fast the host writes: one frame at a time is read and written, and what
is not read fills the channel's window, then the host's pipe, then nothing: the rest waits in the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import threading
import time
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
from remote.segments import CLOCK, Copy, Seam, note, remember

GROWING = (jobdir.OUTPUT, jobdir.EVENTS)
WHOLE = (jobdir.SPEC, jobdir.STATE)
LIMIT = 2 << 30  # bytes of one growing file; a job that runs wild must not fill the laptop
BACKOFF_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
SILENT_S = 20.0  # the follower beats every 2 s
TOUCH_S = 1.0
AGAIN = "it is tried again by itself; the job goes on"


class Mirror:
    """A thread that mirrors one job into the directory `into` until the job has ended.

    route_provider: gives the route to use now; called again after each cut. It may raise a
    RouteError, which is waited out, or another QAError, which ends the mirror.  on_done: called in
    the mirror's thread once `done` is set.
    Bytes are written at the offset they came from: two mirrors of one job do no harm. A file that
    was cut short or replaced on the host begins a new segment: see `remote.segments`.
    """

    def __init__(
        self,
        route_provider: Callable[[], Carrier],
        job_id: str,
        into: Path,
        *,
        workdir: str | None = None,
        limit: int = LIMIT,
        on_done: Callable[[Mirror], None] = lambda mirror: None,
    ) -> None:
        self.job_id = job_id
        self.into = into
        self.done = threading.Event()  # the job has ended and all of it is here, or see `error`
        self.error: QAError | None = None
        self.cuts = 0
        self.bytes = 0  # copied by this object; a screen may watch it for news
        self.seams = 0  # breaks found by this object
        self.heard: float | None = None  # monotonic; when the host last said anything
        self.clock_offset: float | None = None  # the host's clock minus this machine's, seconds
        self.trouble: QAError | None = None  # what is being waited out just now
        self._provide = route_provider
        self._workdir = workdir
        self._limit = limit
        self._stop = threading.Event()
        self._stream: Duplex | None = None
        self._on_done = on_done
        self._thread = threading.Thread(target=self._run, name=f"mirror-{job_id}", daemon=True)

    def start(self) -> Mirror:
        self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the thread; what is here stays and can be gone on from. timeout 0: only ask."""
        self._stop.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        if timeout and self._thread.is_alive() and self._thread is not threading.current_thread():
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
                except (RouteError, FrameError) as e:
                    if self._stop.is_set():
                        return
                    self.cuts += 1
                    self.trouble = (
                        e if isinstance(e, QAError) else RouteError(plain(e), try_next=AGAIN)
                    )
                tries = 0 if self.bytes > before else tries + 1
                pause = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
                self._stop.wait(pause * random.uniform(0.75, 1.25))
        except QAError as e:
            self.error = e
        except OSError as e:
            self.error = _local_error(e, self.into)
        except Exception as e:  # a fault of ours: a thread must not end without a word
            self.error = JobError(
                f"the mirror of {self.job_id} failed",
                why=repr(e),
                try_next=f"it goes on where it stopped: qa logs {self.job_id} --follow",
            )
        finally:
            if not self._stop.is_set() or self.error is not None:
                self.done.set()
                self._on_done(self)

    def _follow_once(self) -> bool:
        """One connection's worth; True when all is here."""
        route = self._provide()
        workdir = self._workdir or route.helper().call("hello")["workdir"]
        copies = {name: Copy(self.into, name) for name in GROWING}
        try:
            words = [copy.word() for copy in copies.values()]
            job = f"{workdir}/jobs/{self.job_id}"
            stream = route.agent("follow", job, str(self._limit), *words)
            self._stream = stream
            try:
                return self._take_all(stream, copies)
            finally:
                self._stream = None
                stream.close()
        finally:
            for copy in copies.values():
                copy.close()

    def _take_all(self, stream: Duplex, copies: dict[str, Copy]) -> bool:
        reader = FrameReader()
        touched = 0.0
        while not self._stop.is_set():
            try:
                data = stream.recv(SILENT_S)
            except TimeoutError:
                raise LinkLost(
                    f"the host has said nothing for {SILENT_S:.0f} s", try_next=AGAIN
                ) from None
            if not data:
                raise LinkLost("the host ended the stream", try_next=AGAIN)
            self.heard, self.trouble = time.monotonic(), None
            for header, body in reader.feed(data):
                if self._take(header, body, copies):
                    return True
            if self.heard - touched > TOUCH_S:
                touched = self.heard
                self._touch()
        return False

    def _touch(self) -> None:
        """The age of the state file is the age of what is known, for other processes too."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.into / jobdir.STATE)

    def _take(self, header: dict[str, Any], body: bytes, copies: dict[str, Copy]) -> bool:
        if "error" in header:
            raise _follow_error(header["error"], self.job_id)
        if header.get("end"):
            return True
        if isinstance(header.get("beat"), (int, float)):
            offset = header["beat"] - time.time()
            if self.clock_offset is None:
                remember(self.into, CLOCK, round(offset, 1))
            self.clock_offset = offset
        elif isinstance(header.get("seam"), str) and header["seam"] in copies:
            self._turn(copies[header["seam"]], plain(header.get("why"), 40))
        elif isinstance(header.get("capped"), str) and header["capped"] in copies:
            copy = copies[header["capped"]]
            note(self.into, Seam(time.time(), copy.name, "capped", "", copy.size))
        else:
            self._write(header, body, copies)
        return False

    def _write(self, header: dict[str, Any], body: bytes, copies: dict[str, Copy]) -> None:
        name, offset = header.get("file"), header.get("offset")
        if name in GROWING:
            copy = copies[str(name)]
            here = copy.size
            if type(offset) is not int or offset > here or offset < 0:
                raise FrameError(f"{name} goes on at {plain(offset)}, not at {here}")
            if offset + len(body) > self._limit:
                raise FrameError(f"{name} is longer than was asked for")
            copy.came_from(header.get("ino"))
            copy.write(body, offset)
        elif name in WHOLE:
            jobdir.write_atomic(self.into / str(name), body)
        self.bytes += len(body)

    def _turn(self, copy: Copy, why: str) -> None:
        """Begin a new segment of a file that is not the same any more on the host."""
        if copy.worn or copy.kept_bytes() > self._limit:
            raise JobError(
                f"{copy.name} of {self.job_id} changes on the host again and again",
                why=f"{copy.kept_bytes()} bytes of it are kept here already",
                try_next=f"see who writes to it there; the copies are in {self.into}",
            )
        self.seams += 1
        if not copy.turn(why):
            raise FrameError("another mirror of this job is further")


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
    return JobError(
        f"the mirror in {into} cannot be written",
        why=str(e),
        try_next="make that folder writable, then open the job again: it goes on where it stopped",
    )


def _json(path: Path) -> Any:
    import json

    return json.loads(path.read_text("utf-8"))
