"""The client's end of one channel of a shared connection, and how its frames are read."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections import deque
from pathlib import Path
from socket import socket as Socket
from typing import Any

from core.errors import LinkLost, RouteError
from remote.agent.frames import FrameError, FrameReader, pack
from remote.commands import Completed
from remote.shared.greeting import peer_uid

CHUNK = 1 << 18
HELLO_S = 5.0


class SharedDuplex:
    """One channel of the shared connection. One thread may read while another writes."""

    def __init__(
        self,
        sock: Socket,
        reader: FrameReader,
        first: list[tuple[dict[str, Any], bytes]],
        host: str,
    ) -> None:
        self._sock, self._reader, self._host = sock, reader, host
        self._out: deque[bytes] = deque()
        self._err = bytearray()
        self._eof = False
        self._code: int | None = None
        self._lost = False
        for header, body in first:
            self._take(header, body)

    def send(self, data: bytes) -> None:
        try:
            for at in range(0, len(data), CHUNK):
                self._sock.sendall(pack({"in": 1}, data[at : at + CHUNK]))
        except OSError as e:
            raise cut() from e

    def end_input(self) -> None:
        """The command reads the end; its output may go on."""
        with contextlib.suppress(OSError):
            self._sock.sendall(pack({"eof": 1}))

    def recv(self, timeout: float | None = None) -> bytes:
        """b"" at the end; TimeoutError; LinkLost."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._out and not self._eof:
            self._more(until)
        return self._out.popleft() if self._out else b""

    def exit_status(self) -> int | None:
        """Waits a little: it comes after the end of the output."""
        with contextlib.suppress(TimeoutError, LinkLost):
            until = time.monotonic() + 5.0
            while self._code is None:
                self._more(until)
        return self._code

    def stderr_tail(self) -> str:
        return bytes(self._err[-4096:]).decode("utf-8", "replace")

    def collect(self, until: float, max_output: int, name: str) -> Completed:
        """stdout and stderr to their end."""
        try:
            while self._code is None:
                self._more(until, keep=True)
                if sum(map(len, self._out)) + len(self._err) > max_output:
                    raise RouteError(
                        f"{name} printed more than {max_output} bytes", try_next="let it print less"
                    )
        except TimeoutError:
            raise RouteError(
                f"{name} did not end in time on the host",
                try_next="the host may be overloaded; try again",
            ) from None
        return Completed(self._code, b"".join(self._out), bytes(self._err))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _more(self, until: float | None, keep: bool = False) -> None:
        """Wait for frames. Raises TimeoutError, LinkLost."""
        if self._lost:
            raise cut()
        try:
            frames = frames_within(
                self._sock, self._reader, None if until is None else until - time.monotonic()
            )
        except TimeoutError:
            raise
        except (OSError, ValueError, FrameError, LinkLost) as e:
            self._lost = True
            raise cut() from e
        for header, body in frames:
            self._take(header, body)
        if not keep and len(self._err) > 1 << 16:
            del self._err[:-4096]

    def _take(self, header: dict[str, Any], body: bytes) -> None:
        if "out" in header and body:
            self._out.append(body)
        elif "err" in header:
            self._err += body
        elif "eof" in header:
            self._eof = True
        elif "exit" in header:
            self._eof = True
            self._code = int(header["exit"])


def greeted(path: Path) -> tuple[Socket, dict[str, Any]]:
    """Connected, and greeted by a process of ours. Raises OSError, FrameError, LinkLost."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(HELLO_S)  # one that does not answer has a full backlog some day
        try:
            sock.connect(str(path))
        except BlockingIOError as e:
            raise TimeoutError(str(e)) from e
        sock.settimeout(None)
        if peer_uid(sock) != os.getuid():
            raise PermissionError("another user's socket")
        header = frames_within(sock, FrameReader(), HELLO_S)[0][0]
        if "hello" not in header:
            raise FrameError("not an owner of a connection")
        return sock, header
    except BaseException:
        sock.close()
        raise


def frames_within(
    sock: Socket, reader: FrameReader, seconds: float | None
) -> list[tuple[dict[str, Any], bytes]]:
    """At least one frame. Raises TimeoutError, OSError, FrameError, LinkLost at the end."""
    until = None if seconds is None else time.monotonic() + seconds
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    while True:
        wait = None if until is None else max(0.0, until - time.monotonic()) * 1000
        if not poll.poll(wait):
            raise TimeoutError
        data = sock.recv(1 << 18)
        if not data:
            raise cut()
        if frames := reader.feed(data):
            return frames


def cut() -> LinkLost:
    return LinkLost(
        "the link to the host was cut",
        why="the connection, or the process that holds it, is gone; jobs are not touched by this",
        try_next="connect again",
    )
