"""The tunnel between a channel and a socket keeps every byte and little of them at a time."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from tests.conftest import require


class Channel:
    """Stands in for the SSH channel: remembers what it was told."""

    def __init__(self) -> None:
        self.paused = self.closed = False
        self.written = bytearray()

    def set_write_buffer_limits(self, high: int) -> None: ...

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


async def test_a_reader_that_lags_holds_the_channel_back_and_loses_nothing() -> None:
    from importlib.util import find_spec

    require(find_spec("asyncssh"), "asyncssh")
    from remote.sandbox.tunnel import Tunnel

    near, far = socket.socketpair()
    far.setblocking(False)
    loop = asyncio.get_running_loop()
    tunnel, channel = Tunnel(near), Channel()
    stub: Any = channel
    tunnel.connection_made(stub)
    block, given = os.urandom(1 << 16), bytearray()
    for _ in range(4):  # before the socket is attached
        tunnel.data_received(block, None)
        given += block
    while not channel.paused:
        assert len(given) < 16 << 20, "takes all that it is given"
        await asyncio.sleep(0)
        tunnel.data_received(block, None)
        given += block
    received = bytearray()
    while len(received) < len(given):
        received += await loop.sock_recv(far, 1 << 16)
    await asyncio.sleep(0.01)
    assert received == given
    assert not channel.paused

    tunnel.eof_received()
    assert await loop.sock_recv(far, 1) == b""
    await loop.sock_sendall(far, b"last words")  # one direction is closed, the other is not
    far.close()
    async with asyncio.timeout(30):
        while not channel.closed:
            await asyncio.sleep(0.01)
    assert channel.written == b"last words"
