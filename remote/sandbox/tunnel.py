"""A direct-tcpip channel of the jump host, joined to one end of a socket pair.

Whichever side is slow holds back the other: by the channel's window on the one hand, by the socket's
buffer on the other. Nothing grows with the size of what passes through.
"""

from __future__ import annotations

import asyncio
import socket

import asyncssh

HIGH_WATER = 1 << 20  # bytes held for the slower side


class Tunnel(asyncssh.SSHTCPSession[bytes]):
    """The channel's side. near: our end; whoever serves the other end closes it when done."""

    def __init__(self, near: socket.socket) -> None:
        self._near = near
        self._chan: asyncssh.SSHTCPChannel[bytes]
        self._wire: asyncio.Transport | None = None
        self._early: list[bytes] = []  # what came before the socket was attached to the loop
        self._eof = False
        self._gone = False
        self._held = False
        self._joining: asyncio.Task[None] | None = None

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self._chan = chan
        chan.set_write_buffer_limits(HIGH_WATER)
        self._joining = asyncio.get_running_loop().create_task(self._join())

    async def _join(self) -> None:
        loop = asyncio.get_running_loop()
        wire, _ = await loop.create_connection(lambda: _Near(self), sock=self._near)
        wire.set_write_buffer_limits(HIGH_WATER)
        for data in self._early:
            wire.write(data)
        self._early.clear()
        self._wire = wire
        if self._eof:
            self.eof_received()
        if self._gone:
            wire.close()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._wire:
            self._wire.write(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        self._eof = True
        if self._wire and not self._wire.is_closing():
            self._wire.write_eof()
        return True  # the host may go on talking

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

    # the socket's side

    def from_host(self, data: bytes) -> None:
        if not self._gone and not self._chan.is_closing():
            self._chan.write(data)

    def host_gone(self) -> None:
        if not self._gone:
            self._chan.close()

    def hold(self) -> None:
        self._held = True
        if not self._gone:
            self._chan.pause_reading()

    def go_on(self) -> None:
        self._held = False
        # Later, not here: we are inside the socket's write loop, and the channel answers at once
        # with all that it held back.
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if not self._gone and not self._held:
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
