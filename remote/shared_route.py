"""A route that another process of this user holds, used from here: no login, no SSH library."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket as Socket
from typing import TYPE_CHECKING, Any

from core import errors
from core.errors import LinkLost, QAError, RouteError
from remote.agent.frames import FrameError, FrameReader, pack
from remote.commands import Commands
from remote.helper_client import plain
from remote.sharing import identity, peer_uid
from remote.status import Hop, LinkStatus

if TYPE_CHECKING:
    from remote.channel import Completed
    from remote.hosts import Host

CHUNK = 1 << 18
HELLO_S = 5.0
OPEN_S = 30.0  # a channel on a slow link
OWNER = "end the program that holds the connection (the app, a followed log), then connect again"


class SharedRoute(Commands):
    """A `Carrier`, like Route; every command is a channel of the owner's connection.

    socket: the owner's.  Calls block and may come from any thread; `status()` never blocks.
    """

    def __init__(self, host: Host, socket: Path) -> None:
        super().__init__()
        self.host = host
        self.socket = socket
        self.on_lost: list[Callable[[], None]] = []
        self._status = LinkStatus()
        self._watching: Socket | None = None

    def connect(self) -> bool:
        """Is there an owner, and does it hold the connection to this very host?"""
        try:
            sock, hello = _greeted(self.socket)
        except (OSError, FrameError, LinkLost):
            return False
        try:
            if hello.get("host") != identity(self.host):
                sock.close()
                return False
            sock.sendall(pack({"watch": 1}))
            reader = FrameReader()
            first = _frames_within(sock, reader, HELLO_S)
            self._note(first[-1][0])
        except (OSError, FrameError, LinkLost):
            sock.close()
            return False
        self._watching = sock
        threading.Thread(
            target=self._watch, args=(sock, reader), name="share-watch", daemon=True
        ).start()
        return True

    @property
    def alive(self) -> bool:
        return self._watching is not None and self._status.state == "up"

    def status(self) -> LinkStatus:
        return self._status

    def ensure(self) -> SharedRoute:
        """Raises LinkLost: only the owner can connect again."""
        if not self.alive:
            raise _no_owner(self.host.name)
        return self

    def close(self) -> None:
        """Leave; the owner's connection stays."""
        sock, self._watching = self._watching, None
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._status = LinkStatus("off", self._status.hops, self._status.last_heard)

    def __enter__(self) -> SharedRoute:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note(self, said: dict[str, Any]) -> None:
        age, hops = said.get("age"), said.get("hops") or []
        heard = time.monotonic() - age if isinstance(age, (int, float)) else None
        state = said.get("status")
        self._status = LinkStatus(
            state if state in ("off", "connecting", "up", "lost", "failed") else "lost",
            tuple(Hop(plain(name, 100), rtt) for name, rtt in hops),
            heard,
            _error(said["error"]) if said.get("error") else None,
        )

    def _watch(self, sock: Socket, reader: FrameReader) -> None:
        with contextlib.suppress(OSError, FrameError, ValueError, TypeError):
            while data := sock.recv(1 << 16):
                for header, _ in reader.feed(data):
                    self._note(header)
        if self._watching is sock:
            self._watching = None
            old = self._status
            self._status = LinkStatus("lost", old.hops, old.last_heard, _no_owner(self.host.name))
            for call in self.on_lost:
                call()

    # -- use --------------------------------------------------------------------------------

    def execute(self, argv: Sequence[str]) -> SharedDuplex:
        """Start a command; its stdin and stdout as a Duplex."""
        return self._ask({"exec": list(argv)})

    def tcp(self, port: int) -> SharedDuplex:
        """A way to a loopback port of the host. Raises RouteError where that is not permitted."""
        return self._ask({"tcp": port})

    def _ask(self, request: dict[str, Any]) -> SharedDuplex:
        try:
            sock, _ = _greeted(self.socket)
        except (OSError, FrameError) as e:
            raise _no_owner(self.host.name) from e
        try:
            sock.sendall(pack(request))
            reader = FrameReader()
            first, *rest = _frames_within(sock, reader, OPEN_S)
            if "error" in first[0]:
                raise _error(first[0]["error"])
            if "ok" not in first[0]:
                raise FrameError("no answer")
        except TimeoutError as e:
            sock.close()
            raise LinkLost("the owner of the connection does not answer", try_next=OWNER) from e
        except (OSError, FrameError) as e:
            sock.close()
            raise _no_owner(self.host.name) from e
        except QAError:
            sock.close()
            raise
        return SharedDuplex(sock, reader, rest, self.host.name)


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
        self._out = bytearray()
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
            raise _cut() from e

    def end_input(self) -> None:
        """The command reads the end; its output may go on."""
        with contextlib.suppress(OSError):
            self._sock.sendall(pack({"eof": 1}))

    def recv(self, timeout: float | None = None) -> bytes:
        """b"" at the end; TimeoutError; LinkLost."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._out and not self._eof:
            self._more(until)
        data = bytes(self._out)
        self._out.clear()
        return data

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
        from remote.channel import Completed

        try:
            while self._code is None:
                self._more(until, keep=True)
                if len(self._out) + len(self._err) > max_output:
                    raise RouteError(
                        f"{name} printed more than {max_output} bytes", try_next="let it print less"
                    )
        except TimeoutError:
            raise RouteError(
                f"{name} did not end in time on the host",
                try_next="the host may be overloaded; try again",
            ) from None
        return Completed(self._code, bytes(self._out), bytes(self._err))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _more(self, until: float | None, keep: bool = False) -> None:
        """Wait for frames. Raises TimeoutError, LinkLost."""
        if self._lost:
            raise _cut()
        try:
            frames = _frames_within(
                self._sock, self._reader, None if until is None else until - time.monotonic()
            )
        except TimeoutError:
            raise
        except (OSError, ValueError, FrameError, LinkLost) as e:
            self._lost = True
            raise _cut() from e
        for header, body in frames:
            self._take(header, body)
        if not keep and len(self._err) > 1 << 16:
            del self._err[:-4096]

    def _take(self, header: dict[str, Any], body: bytes) -> None:
        if "out" in header:
            self._out += body
        elif "err" in header:
            self._err += body
        elif "eof" in header:
            self._eof = True
        elif "exit" in header:
            self._eof = True
            self._code = int(header["exit"])


def _greeted(path: Path) -> tuple[Socket, dict[str, Any]]:
    """Connected, and greeted by a process of ours. Raises OSError, FrameError, LinkLost."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(path))
        if peer_uid(sock) != os.getuid():
            raise PermissionError("another user's socket")
        header = _frames_within(sock, FrameReader(), HELLO_S)[0][0]
        if "hello" not in header:
            raise FrameError("not an owner of a connection")
        return sock, header
    except BaseException:
        sock.close()
        raise


def _frames_within(
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
            raise _cut()
        if frames := reader.feed(data):
            return frames


def _error(said: Any) -> QAError:
    """An owner's error as the same of ours."""
    if not isinstance(said, dict):
        return RouteError("the owner of the connection refused", try_next=OWNER)
    kind = getattr(errors, str(said.get("error")), None)
    known = isinstance(kind, type) and issubclass(kind, QAError)
    words = {k: plain(said.get(k, "")) for k in ("why", "try_next")}
    cls: type[QAError] = kind if known else RouteError  # type: ignore[assignment]
    return cls(plain(said.get("what", "refused")), **words)


def _cut() -> LinkLost:
    return LinkLost(
        "the link to the host was cut",
        why="the connection, or the program that holds it, is gone; jobs are not touched by this",
        try_next="connect again",
    )


def _no_owner(name: str) -> LinkLost:
    return LinkLost(
        f"the program that held the connection to {name} is gone, or has lost it",
        why="running jobs are not touched by this",
        try_next="connect again; where the app is open, from there",
    )
