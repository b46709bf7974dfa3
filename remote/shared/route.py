"""A route that another process of this user holds, used from here: no login, no SSH library."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from socket import socket as Socket
from typing import TYPE_CHECKING, Any

from core.errors import LinkLost, QAError
from remote.agent.frames import FrameError, FrameReader, pack
from remote.commands import Commands
from remote.linking.definition import version, way
from remote.linking.told import Told, error_from, read
from remote.shared.duplex import HELLO_S, SharedDuplex, cut, frames_within, greeted
from remote.status import LinkStatus

if TYPE_CHECKING:
    from remote.hosts import Host

OPEN_S = 30.0  # a channel on a slow link


class SharedRoute(Commands):
    """A `Carrier`, like Route; every command is a channel of the owner's connection.

    socket: the owner's.  patience_s: how long a command waits for a link that is being brought back.
    on_lost, on_up: called when the link, or its owner, went or came.
    Calls block and may come from any thread; `status()` never blocks.
    """

    def __init__(self, host: Host, socket: Path, patience_s: float = 0.0) -> None:
        super().__init__()
        self.host = host
        self.socket = socket
        self.patience_s = patience_s
        self.on_lost: list[Callable[[], None]] = []
        self.on_up: list[Callable[[], None]] = []
        self._told = Told()
        self._noting = threading.Lock()
        self._watching: Socket | None = None

    def connect(self) -> bool:
        """Is there an owner, and does it hold the connection to this very host?"""
        try:
            sock, said = greeted(self.socket)
        except (OSError, FrameError, LinkLost):
            return False
        if not self._is_ours(said):
            sock.close()
            return False
        return self._watch(sock)

    def _is_ours(self, said: dict[str, Any]) -> bool:
        """Does the owner that greeted run our code, and lead where we want to go?"""
        return said.get("way") == way(self.host) and said.get("version") == version()

    def _watch(self, sock: Socket) -> bool:
        """Have `sock` tell how the link stands from now on."""
        try:
            sock.sendall(pack({"watch": 1}))
            reader = FrameReader()
            self._note(frames_within(sock, reader, HELLO_S)[-1][1])
        except (OSError, FrameError, LinkLost):
            sock.close()
            return False
        self._watching = sock
        threading.Thread(
            target=self._listen, args=(sock, reader), name="link-watch", daemon=True
        ).start()
        return True

    @property
    def attached(self) -> bool:
        """Is there an owner, whether or not its link is up?"""
        return self._watching is not None

    @property
    def alive(self) -> bool:
        return self._watching is not None and self._told.status.state == "up"

    @property
    def needs_human(self) -> bool:
        """Would logging in again take a person?"""
        return self._told.human

    def status(self) -> LinkStatus:
        return self._told.status

    def ensure(self) -> SharedRoute:
        """Raises LinkLost: only the owner can connect again."""
        if not self.alive:
            raise no_owner(self.host.name)
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
        old = self._told.status
        self._told = replace(self._told, status=LinkStatus("off", old.hops, old.last_heard))

    def __enter__(self) -> SharedRoute:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note(self, body: bytes) -> None:
        """Take over how the link stands, unless something newer is known. Raises FrameError."""
        told = read(body)
        with self._noting:
            before = self._told
            if told.at < before.at:
                return
            self._told = told
        was, now = before.status.state, told.status.state
        if was != now and "up" in (was, now):
            self._call(self.on_up if now == "up" else self.on_lost)

    def _listen(self, sock: Socket, reader: FrameReader) -> None:
        with contextlib.suppress(OSError, FrameError):
            while data := sock.recv(1 << 16):
                for _, body in reader.feed(data):
                    self._note(body)
        sock.close()
        if self._watching is sock:
            self._watching = None
            self._owner_gone()

    def _owner_gone(self) -> None:
        """In the thread that noticed."""
        old = self._told.status
        error = no_owner(self.host.name)
        self._told = replace(self._told, status=LinkStatus("lost", old.hops, old.last_heard, error))
        self._call(self.on_lost)

    def _call(self, calls: list[Callable[[], None]]) -> None:
        for call in list(calls):
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
            sock, _ = greeted(self.socket)
        except TimeoutError as e:
            raise silent(self.host.name) from e
        except (OSError, FrameError) as e:
            raise no_owner(self.host.name) from e
        try:
            sock.sendall(pack({**request, "patience": self.patience_s}))
            reader = FrameReader()
            first, *rest = frames_within(sock, reader, OPEN_S + self.patience_s)
            if "error" in first[0]:
                self._note(first[1])
                raise error_from(first[0]["error"])
            if "ok" not in first[0]:
                raise FrameError("no answer")
        except TimeoutError as e:
            sock.close()
            raise silent(self.host.name) from e
        except (OSError, FrameError) as e:
            sock.close()
            raise cut() from e
        except QAError:
            sock.close()
            raise
        return SharedDuplex(sock, reader, rest, self.host.name)


def no_owner(name: str) -> LinkLost:
    return LinkLost(
        f"the process that held the connection to {name} is gone",
        why="running jobs are not touched by this",
        try_next="connect again",
    )


def silent(name: str) -> LinkLost:
    return LinkLost(
        f"the process that holds the connection to {name} does not answer",
        why="it may have been stopped, or this machine is very busy",
        try_next=f"try again; if it stays: qa hosts disconnect {name}",
    )
