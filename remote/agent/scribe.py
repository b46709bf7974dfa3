"""Writes what a job prints into output.log, so that a full disk does not kill the job.

A process of its own beside the runner: the job's pipe stays read when the runner is killed. While the
disk is full the output waits in memory; what does not fit there is counted, and a line in the log says
how much is missing and when.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from typing import Callable

CHUNK = 1 << 18
PIPE_BYTES = 1 << 20
HELD_BYTES = 8 << 20
RETRY_S = 1.0
DROPPING_S = 0.1  # a pause for each piece of output that has no place any more
LOST = 9  # exit code: some output could not be written
F_SETPIPE_SZ = 1031
MAX_FD = 4096
ASK = signal.SIGUSR2  # not SIGTERM: a scheduler sends that to all processes of a job at once


def pipe() -> tuple[int, int]:
    """A roomy pipe: (read, write)."""
    read, write = os.pipe()
    try:
        fcntl.fcntl(write, F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass  # a limit, or another kernel: it works with less
    return read, write


def start(read: int, path: str) -> int:
    """Fork the scribe of the log `path`; its pid. It ends with the last writer of the pipe, or on
    ASK after one more try."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        ignored = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGUSR1, signal.SIGTERM)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        # Above all the runner's locks and its line to the launcher must not be held from here.
        os.closerange(3, read)
        os.closerange(read + 1, MAX_FD)
        code = carry(read, path)
    finally:
        os._exit(code)


def carry(read: int, path: str) -> int:
    """Until the end of the pipe, or ASK. 0, or LOST."""
    asked: list[int] = []
    signal.signal(ASK, lambda number, frame: asked.append(number))
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    log = Log(lambda: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    log.write(b"")  # a silent job has a log too
    more = True
    while more or log.waits:
        fds = ([read] if more else []) + [wake]
        ready = select.select(fds, [], [], RETRY_S if log.waits else None)[0]
        if read in ready:
            data = os.read(read, CHUNK)
            more = bool(data)
            log.write(data)
        if asked:
            while more and select.select([read], [], [], 0)[0]:
                data = os.read(read, CHUNK)
                more = bool(data)
                log.write(data)
            break
        if log.waits:
            log.flush()
        if log.drops:  # a job that prints without end must not keep a core busy for nothing
            time.sleep(DROPPING_S)
    log.flush()
    return LOST if log.waits else 0


class Log:
    """An append-only file that does not fail: it holds what the disk does not take."""

    def __init__(self, opener: Callable[[], int], held_bytes: int = HELD_BYTES) -> None:
        self._opener = opener
        self._limit = held_bytes
        self._fd: int | None = None
        self._held = bytearray()
        self._missing = 0
        self._since = 0.0

    @property
    def waits(self) -> bool:
        return bool(self._held or self._missing)

    @property
    def drops(self) -> bool:
        return self._missing > 0

    def write(self, data: bytes) -> None:
        if not self.waits:
            data = data[self._put(data) :]
        if self._missing or len(self._held) + len(data) > self._limit:
            self._since = self._since or time.time()
            self._missing += len(data)  # from the first byte that is missing to the mark: no holes
        else:
            self._held += data

    def flush(self) -> None:
        """Try again what is held; then say what is missing."""
        self._put_held()
        if self._held or not self._missing:
            return
        times = [time.strftime("%H:%M:%S", time.gmtime(t)) for t in (self._since, time.time())]
        mark = (
            "\n[%d bytes of output are missing here: the host's disk was full, %s to %s UTC]\n"
            % (
                self._missing,
                times[0],
                times[1],
            )
        )
        self._missing, self._since = 0, 0.0
        self._held += mark.encode()
        self._put_held()

    def _put_held(self) -> None:
        with memoryview(self._held) as view:
            done = self._put(view)
        del self._held[:done]

    def _put(self, data: bytes | memoryview) -> int:
        """How many bytes went to the file."""
        done = 0
        try:
            if self._fd is None:
                self._fd = self._opener()
            with memoryview(data) as view:
                while done < len(data):
                    with view[done:] as rest:
                        done += os.write(self._fd, rest)
        except OSError:
            pass  # no room, quota, a server that is away: all of it may pass
        return done
