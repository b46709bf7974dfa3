"""The two SSH servers of the sandbox: a jump host on loopback and a GPU host with no port at all.

The jump host passes on one name only. Asked for it, it opens a socket pair and serves the GPU host on
the far end, so there is no address at which that host could be reached another way. In front of the
jump host lies the line with its weather.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import os
import socket
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import suppress
from typing import Literal

import asyncssh

from core.errors import EnvironmentProblem, PortTaken
from remote.sandbox.commands import Session
from remote.sandbox.files import HOST_ALIAS, HOST_PORT, PASSCODE, USER, Layout
from remote.sandbox.keys import new_key, prepare, sign
from remote.sandbox.machine import Machine, host_environment
from remote.sandbox.tunnel import Tunnel
from remote.sandbox.weather import Weather, Wire

LOOPBACK = "127.0.0.1"
HopName = Literal["host", "jump"]
GRACE_S = 1.0  # for commands to end, then again for connections to close
Challenge = tuple[str, str, str, list[tuple[str, bool]]]  # title, text, language, prompts
LOGIN_S = 180.0  # a person may have to find a telephone


Admits = Literal["key", "certificate", "nobody"]


class Servers:
    """Both servers and what can be done to them. `jump_port` is known after `start`.

    second_factor: the jump host asks questions instead of taking a key.  approves: what becomes of a
    right second factor; after `approval_s`.  admits: what the operator's key is worth.
    """

    def __init__(self, layout: Layout, *, second_factor: bool = False) -> None:
        self.layout = layout
        self.jump_port = 0
        self.jump_connections: set[asyncssh.SSHServerConnection] = set()
        self.host_connections: set[asyncssh.SSHServerConnection] = set()
        self.keys = prepare(layout)
        self.machine = Machine(layout, host_environment(layout, os.environ))
        self.weather = Weather()
        self.second_factor = second_factor
        self.approves = True
        self.approval_s = 0.0
        self.admits: Admits = "key"
        self.host_is_up = True
        self.changed_keys: dict[str, asyncssh.SSHKey] = {}
        self._listening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; port 0 takes a free one. Raises PortTaken, EnvironmentProblem."""
        try:
            listener = socket.create_server((LOOPBACK, port), backlog=128)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"port {port} on {LOOPBACK} is taken",
                    why="another program listens there",
                    try_next="leave the port out: the sandbox then takes a free one",
                ) from exc
            raise EnvironmentProblem(
                f"the sandbox cannot listen on {LOOPBACK}:{port}",
                why=exc.strerror or str(exc),
                try_next="leave the port out, and check that the loopback interface is up",
            ) from exc
        listener.setblocking(False)
        self.jump_port = listener.getsockname()[1]
        self._listening = self._begin(self._accept(listener), self._tasks)

    async def stop(self) -> None:
        """No new connections; commands end; connections close."""
        await self._stop_listening()
        await self.machine.end_commands(GRACE_S)
        connections = [*self.host_connections, *self.jump_connections]
        for connection in connections:
            connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await asyncio.gather(*(c.wait_closed() for c in connections))
        await self.cut()

    async def cut(self) -> None:
        """Drop every connection at once, as a failing network would."""
        wires = list(self._wires)
        for wire in wires:
            wire.cancel()
        for connection in [*self.jump_connections, *self.host_connections]:
            connection.abort()
        await asyncio.gather(*wires, return_exceptions=True)

    def kill(self, which: HopName) -> None:
        """End that hop's connections, as if the processes that serve them were killed."""
        hop = self.jump_connections if which == "jump" else self.host_connections
        for connection in list(hop):
            connection.abort()

    def host_down(self) -> None:
        """The GPU host is gone; the jump host stays."""
        self.host_is_up = False
        self.kill("host")

    def host_comes_up(self) -> None:
        self.host_is_up = True

    async def reboot(self, down_s: float = 0.0) -> None:
        """All that runs on the GPU host dies; it is back after `down_s`."""
        self.host_down()
        await self.machine.reboot()
        asyncio.get_running_loop().call_later(down_s, self.host_comes_up)

    async def jump_down(self) -> None:
        """The jump host is gone: its connections end, its port refuses."""
        await self._stop_listening()
        await self.cut()

    async def jump_comes_up(self) -> None:
        if not self.jump_is_up:
            await self.start(self.jump_port)

    @property
    def jump_is_up(self) -> bool:
        return self._listening is not None

    def change_key(self, which: HopName) -> None:
        """From now on that hop shows another key; the directory keeps the old one."""
        self.changed_keys[which] = new_key()

    def admit(self, who: Admits, certified_for_s: float = 0.0) -> None:
        """Take the operator's key as it is, or with a certificate alone, or not at all."""
        self.admits = who
        self.layout.certificate.unlink(missing_ok=True)
        if who == "certificate":
            sign(self.layout, self.keys, certified_for_s)

    def open_tunnel(self, host: str, port: int) -> Tunnel:
        """Raises ChannelOpenError for any name but the GPU host's, and for that while it is down."""
        if (host, port) != (HOST_ALIAS, HOST_PORT):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"only {HOST_ALIAS}:{HOST_PORT}"
            )
        if not self.host_is_up:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused")
        near, far = socket.socketpair()
        key = self.changed_keys.get("host", self.keys.host)
        self._begin(self._serve(far, self._options(GpuHost, key)), self._tasks)
        return Tunnel(near)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    sock, _ = await loop.sock_accept(listener)
                except OSError:  # no descriptor left, or the client has gone again
                    await asyncio.sleep(0.1)
                    continue
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                near, far = socket.socketpair()
                self._begin(Wire(sock, near, self.weather).run(), self._wires)
                key = self.changed_keys.get("jump", self.keys.jump)
                self._begin(self._serve(far, self._options(JumpHost, key)), self._tasks)

    async def _serve(
        self, sock: socket.socket, options: asyncssh.SSHServerConnectionOptions
    ) -> None:
        with suppress(asyncssh.Error, OSError):  # a client that does not get in is its own affair
            await asyncssh.run_server(sock, options=options)

    def _begin(
        self, work: Coroutine[None, None, None], among: set[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        return task

    async def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _options(
        self, kind: type[JumpHost] | type[GpuHost], key: asyncssh.SSHKey
    ) -> asyncssh.SSHServerConnectionOptions:
        return asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: kind(self),
            server_host_keys=[key],
            server_version="sandbox",
            encoding=None,
            line_editor=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            compression_algs=None,
            password_auth=False,
            host_based_auth=False,
            gss_host=None,
            login_timeout=LOGIN_S,
        )


class _Hop(asyncssh.SSHServer):
    """What both hops have in common: one user and one key."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        wanted = self._servers.keys.operator
        return self._servers.admits == "key" and username == USER and key == wanted

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        ca = self._servers.keys.ca.convert_to_public()
        return self._servers.admits == "certificate" and username == USER and key == ca

    def kbdint_auth_supported(self) -> bool:
        return False


class JumpHost(_Hop):
    """Passes on one name. With a second factor: a password, then a passcode, instead of the key."""

    def __init__(self, servers: Servers) -> None:
        super().__init__(servers)
        self._password_given = False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._servers.jump_connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._servers.jump_connections.discard(self._connection)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Tunnel:
        return self._servers.open_tunnel(dest_host, dest_port)

    def public_key_auth_supported(self) -> bool:
        return not self._servers.second_factor

    def kbdint_auth_supported(self) -> bool:
        return self._servers.second_factor

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Challenge:
        self._password_given = False
        return "sandbox jump host", "", "", [("Password: ", False)]

    def validate_kbdint_response(
        self, username: str, responses: Sequence[str]
    ) -> bool | Challenge | Awaitable[bool]:
        answer = responses[0] if len(responses) == 1 else ""
        if self._password_given:
            return self._second_factor(answer)
        password = self._servers.keys.password
        if username != USER or not hmac.compare_digest(answer.encode(), password.encode()):
            return False
        self._password_given = True
        return "second factor", "1. Approve on the telephone", "", [("Passcode or option: ", True)]

    async def _second_factor(self, answer: str) -> bool:
        await asyncio.sleep(self._servers.approval_s)  # until the telephone is found
        return self._servers.approves and answer == PASSCODE


class GpuHost(_Hop):
    """Takes sessions."""

    def __init__(self, servers: Servers) -> None:
        super().__init__(servers)
        self._sessions: set[Session] = set()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._servers.host_connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._servers.host_connections.discard(self._connection)

    def session_requested(self) -> Session | Literal[False]:
        most = self._servers.machine.max_sessions
        if most is not None and len(self._sessions) >= most:
            return False
        session = Session(self._servers.machine, self._sessions.discard)
        self._sessions.add(session)
        return session
