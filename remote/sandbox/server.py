"""The two SSH servers of the sandbox: a jump host on loopback and a GPU host with no port at all.

The jump host passes on one name only. Asked for it, it opens a socket pair and serves the GPU host on
the far end, so there is no address at which that host could be reached another way.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

import asyncssh

from core.errors import EnvironmentProblem, PortTaken
from remote.sandbox.commands import Machine, Session, host_environment
from remote.sandbox.files import HOST_ALIAS, HOST_PORT, PASSCODE, USER, Layout
from remote.sandbox.keys import new_key, prepare
from remote.sandbox.tunnel import Tunnel

LOOPBACK = "127.0.0.1"
GRACE_S = 1.0  # for commands to end, then again for connections to close
LOGIN_S = 180.0  # a person may have to find a telephone


class Servers:
    """Both servers and what can be done to them. `jump_port` is known after `start`."""

    def __init__(self, layout: Layout, *, second_factor: bool = False) -> None:
        self.jump_port = 0
        self.jump_connections: set[asyncssh.SSHServerConnection] = set()
        self.host_connections: set[asyncssh.SSHServerConnection] = set()
        self.machine = Machine(layout, host_environment(layout, os.environ))
        self.keys = prepare(layout)
        self.second_factor = second_factor
        self._jump_key, self._host_key = self.keys.jump, self.keys.host
        self._host_up = True
        self._listener: asyncssh.SSHAcceptor | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; port 0 takes a free one. Raises PortTaken, EnvironmentProblem."""
        try:
            self._listener = await asyncssh.listen(
                LOOPBACK, port, options=self._options(JumpHost, self._jump_key)
            )
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
        self.jump_port = self._listener.get_port()

    async def stop(self) -> None:
        """No new connections; commands end; connections close."""
        self._stop_listening()
        await self.machine.end_commands(GRACE_S)
        connections = [*self.host_connections, *self.jump_connections]
        for connection in connections:
            connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await asyncio.gather(*(c.wait_closed() for c in connections))
        self.cut()

    def cut(self) -> None:
        """Drop every connection at once, as a failing network would."""
        for connection in [*self.jump_connections, *self.host_connections]:
            connection.abort()

    def host_down(self) -> None:
        """The GPU host is gone; the jump host stays."""
        self._host_up = False
        for connection in list(self.host_connections):
            connection.abort()

    def host_comes_up(self) -> None:
        self._host_up = True

    async def change_key(self, which: str) -> None:
        """From now on `host` or `jump` shows another key; the directory keeps the old one."""
        if which == "host":
            self._host_key = new_key()
        else:
            self._jump_key = new_key()
            self._stop_listening()
            await self.start(self.jump_port)

    def open_tunnel(self, host: str, port: int) -> Tunnel:
        """Raises ChannelOpenError for any name but the GPU host's, and for that while it is down."""
        if (host, port) != (HOST_ALIAS, HOST_PORT):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"only {HOST_ALIAS}:{HOST_PORT}"
            )
        if not self._host_up:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused")
        near, far = socket.socketpair()
        task = asyncio.get_running_loop().create_task(self._serve_host(far))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return Tunnel(near)

    async def _serve_host(self, sock: socket.socket) -> None:
        with suppress(asyncssh.Error, OSError):  # a client that does not get in is its own affair
            await asyncssh.run_server(sock, options=self._options(GpuHost, self._host_key))

    def _stop_listening(self) -> None:
        if self._listener:
            self._listener.close()  # at once; waiting would be for the open connections (Python 3.12)
            self._listener = None

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
        return username == USER and key == self._servers.keys.operator

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

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        self._password_given = False
        return "sandbox jump host", "", "", [("Password: ", False)]

    def validate_kbdint_response(
        self, username: str, responses: Sequence[str]
    ) -> bool | tuple[str, str, str, list[tuple[str, bool]]]:
        answer = responses[0] if len(responses) == 1 else ""
        if self._password_given:
            return answer == PASSCODE
        password = self._servers.keys.password
        if username != USER or not hmac.compare_digest(answer.encode(), password.encode()):
            return False
        self._password_given = True
        return "second factor", "1. Approve on the telephone", "", [("Passcode or option: ", True)]


class GpuHost(_Hop):
    """Takes sessions."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._servers.host_connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._servers.host_connections.discard(self._connection)

    def session_requested(self) -> Session:
        return Session(self._servers.machine)
