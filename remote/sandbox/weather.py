"""The line between the laptop and the jump host, and its weather: delay, a narrow pipe, silence.

Every connection passes through two lanes, one a direction. Bytes wait in a lane as long as the weather
says; a lane that is full stops reading, so whoever sends is held back, as by a real network.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK = 1 << 18
IN_FLIGHT = 4 << 20  # bytes under way in one direction; 40 MB/s at 100 ms
SLICE_S = 0.05  # a narrow pipe gives its bytes out this often


@dataclass(slots=True)
class Weather:
    """What the line does now, to old connections as to new ones.

    delay_s: one way, each way.  rate: bytes a second, each way of each connection; None for as fast
    as it goes.  silent: nothing arrives, nothing is closed.
    """

    delay_s: float = 0.0
    rate: float | None = None
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._open.set()

    @property
    def silent(self) -> bool:
        return not self._open.is_set()

    def fall_silent(self) -> None:
        self._open.clear()

    def speak(self) -> None:
        self._open.set()

    def clear(self) -> None:
        self.delay_s, self.rate = 0.0, None
        self.speak()

    async def pass_through(self, data: bytes, sink: socket.socket) -> None:
        """Send `data` on, in pieces if the pipe is narrow. Raises OSError when the sink is closed."""
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        while rest:
            await self._open.wait()
            if self.rate is None:
                await loop.sock_sendall(sink, rest)
                return
            piece = rest[: max(1, int(self.rate * SLICE_S))]
            rest = rest[len(piece) :]
            await loop.sock_sendall(sink, piece)
            await asyncio.sleep(len(piece) / self.rate)
        await self._open.wait()  # the end of the bytes is news as well


class Wire:
    """One connection: a socket outside, a socket inside, a lane each way. It closes both."""

    def __init__(self, outside: socket.socket, inside: socket.socket, weather: Weather) -> None:
        self._ends = (outside, inside)
        self._weather = weather
        for end in self._ends:
            end.setblocking(False)

    async def run(self) -> None:
        """Until either side has ended; cancelled: at once."""
        outside, inside = self._ends
        lanes = [
            asyncio.ensure_future(_Lane(self._weather).run(*ends))
            for ends in ((outside, inside), (inside, outside))
        ]
        try:
            # SSH half-closes nothing: the end of one direction is the end.
            await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            for end in self._ends:
                end.close()


class _Lane:
    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._waiting: deque[tuple[float, bytes]] = deque()  # (due, bytes); b"" is the end
        self._held = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self, source: socket.socket, sink: socket.socket) -> None:
        reading = asyncio.ensure_future(self._read(source))
        try:
            with suppress(OSError):
                await self._write(sink)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, source: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        data = b"."
        while data:
            try:
                data = await loop.sock_recv(source, CHUNK)
            except OSError:
                data = b""
            self._waiting.append((loop.time() + self._weather.delay_s, data))
            self._held += len(data)
            self._news.set()
            while self._held > IN_FLIGHT:
                self._room.clear()
                await self._room.wait()

    async def _write(self, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            due, data = self._waiting[0]
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            await self._weather.pass_through(data, sink)
            self._waiting.popleft()
            self._held -= len(data)
            self._room.set()
            if not data:
                return
