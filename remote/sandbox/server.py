"""The two SSH servers of the sandbox: a jump host on loopback and a GPU host with no port at all.

The jump host passes on one name only. Asked for it, it opens a socket pair and serves the GPU host on
the far end, so there is no address at which that host could be reached another way.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress

import asyncssh

from core.errors import EnvironmentProblem, PortTaken
from remote.sandbox.commands import Machine, Session, host_environment
from remote.sandbox.files import HOST_ALIAS, HOST_PORT, USER, Layout
from remote.sandbox.keys import new_key, prepare

LOOPBACK = "127.0.0.1"
HIGH_WATER = 1 << 20  # bytes held for the slower side of the tunnel


class Servers:
    """Both servers and what can be done to them. `jump_port` is known after `start`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.jump_port = 0
        self.host_up = True
        self._keys = prepare(layout)
        self._jump_key = self._keys.jump
        self._host_key = self._keys.host
        self._machine = Machine(layout, host_environment(layout, os.environ))
        self._listener: asyncssh.SSHAcceptor | None = None
        self._jump_connections: set[asyncssh.SSHServerConnection] = set()
        self._host_connections: set[asyncssh.SSHServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback. Raises PortTaken; port 0 takes a free one."""
        await self._listen(port)

    async def stop(self) -> None:
        """Close everything, in the order in which a caller would be least surprised."""
        if self._listener:
            self._listener.close()
            await self._listener.wait_closed()
        self._machine.end_commands()
        connections = [*self._host_connections, *self._jump_connections]
        for connection in connections:
            connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.gather(*(c.wait_closed() for c in connections))
        self.cut()

    def cut(self) -> None:
        """Drop every connection at once, as a failing network would."""
        for connection in [*self._jump_connections, *self._host_connections]:
            connection.abort()

    def host_down(self) -> None:
        """The GPU host stops answering; the jump host stays."""
        self.host_up = False
        for connection in list(self._host_connections):
            connection.abort()

    def host_comes_up(self) -> None:
        self.host_up = True

    async def change_key(self, which: str) -> None:
        """From now on `host` or `jump` shows another key; the directory keeps the old one."""
        if which == "host":
            self._host_key = new_key()
        elif which == "jump":
            self._jump_key = new_key()
            if self._listener:
                self._listener.close()
                await self._listener.wait_closed()
            await self._listen(self.jump_port)
        else:
            raise ValueError(which)

    # what the connections call

    def open_tunnel(self, host: str, port: int) -> Tunnel:
        """Raises ChannelOpenError for any name but the GPU host's, and for that one while it is down."""
        if (host, port) != (HOST_ALIAS, HOST_PORT):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"only {HOST_ALIAS}:{HOST_PORT}"
            )
        if not self.host_up:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused")
        near, far = socket.socketpair()
        task = asyncio.get_running_loop().create_task(self._serve_host(far))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Tunnel(near)

    def operator_key(self) -> asyncssh.SSHKey:
        return self._keys.operator

    def new_session(self) -> Session:
        return Session(self._machine)

    def jump_connections(self) -> set[asyncssh.SSHServerConnection]:
        return self._jump_connections

    def host_connections(self) -> set[asyncssh.SSHServerConnection]:
        return self._host_connections

    # inside

    async def _listen(self, port: int) -> None:
        try:
            self._listener = await asyncssh.listen(
                LOOPBACK, port, options=self._options(JumpHost, self._jump_key), reuse_address=True
            )
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"port {port} on {LOOPBACK} is taken",
                    why=exc.strerror or "",
                    try_next="leave the port out; the sandbox then takes a free one",
                ) from exc
            raise EnvironmentProblem(
                f"the sandbox cannot listen on {LOOPBACK}:{port}",
                why=exc.strerror or str(exc),
                try_next="check the loopback interface, or leave the port out",
            ) from exc
        self.jump_port = self._listener.get_port()

    async def _serve_host(self, sock: socket.socket) -> None:
        with suppress(asyncssh.Error, OSError):
            await asyncssh.run_server(sock, options=self._options(GpuHost, self._host_key))

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
            allow_scp=False,
            compression_algs=None,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            login_timeout=120,
        )


class _Hop(asyncssh.SSHServer):
    """What both hops have in common: one user, one key, and a place in the set of connections."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._connection: asyncssh.SSHServerConnection

    def connections(self) -> set[asyncssh.SSHServerConnection]:
        raise NotImplementedError

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self.connections().add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections().discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key == self._servers.operator_key()


class JumpHost(_Hop):
    def connections(self) -> set[asyncssh.SSHServerConnection]:
        return self._servers.jump_connections()

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Tunnel:
        return self._servers.open_tunnel(dest_host, dest_port)


class GpuHost(_Hop):
    def connections(self) -> set[asyncssh.SSHServerConnection]:
        return self._servers.host_connections()

    def session_requested(self) -> Session:
        return self._servers.new_session()


class Tunnel(asyncssh.SSHTCPSession[bytes]):
    """A direct-tcpip channel, joined to the near end of a socket pair.

    Whichever side is slow holds back the other: the channel's window on the one side, the socket's
    buffer on the other.
    """

    def __init__(self, near: socket.socket) -> None:
        self._near = near
        self._chan: asyncssh.SSHTCPChannel[bytes]
        self._wire: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._eof = False
        self._gone = False
        self._join: asyncio.Task[None] | None = None

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self._chan = chan
        chan.set_write_buffer_limits(HIGH_WATER)
        self._join = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._wire, _ = await loop.create_connection(lambda: _Near(self), sock=self._near)
        self._wire.set_write_buffer_limits(HIGH_WATER)
        self._wire.writelines(self._early)
        self._early.clear()
        if self._eof:
            self.eof_received()
        if self._gone:
            self._wire.close()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._wire:
            self._wire.write(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        self._eof = True
        if self._wire and self._wire.can_write_eof() and not self._wire.is_closing():
            self._wire.write_eof()
        return True

    def pause_writing(self) -> None:
        if self._wire:
            self._wire.pause_reading()

    def resume_writing(self) -> None:
        if self._wire:
            self._wire.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._wire:
            self._wire.close()

    # the near end

    def from_host(self, data: bytes) -> None:
        if not self._gone:
            self._chan.write(data)

    def host_gone(self) -> None:
        if not self._gone:
            self._chan.close()

    def hold(self) -> None:
        if not self._gone:
            self._chan.pause_reading()

    def go_on(self) -> None:
        if not self._gone:
            self._chan.resume_reading()


class _Near(asyncio.Protocol):
    """The socket's callbacks, passed to its tunnel."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def data_received(self, data: bytes) -> None:
        self._tunnel.from_host(data)

    def pause_writing(self) -> None:
        self._tunnel.hold()

    def resume_writing(self) -> None:
        self._tunnel.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.host_gone()
