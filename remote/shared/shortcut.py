"""Small output of a command, told to its client by the thread that has read it from the connection.

The thread that carries the output would have to wake for it, which is a tenth of a short question's time.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

from remote.agent.frames import pack

SMALL = 1 << 12  # bytes
UNACKNOWLEDGED = 1 << 16  # bytes that may go this way before the other way makes room for more


class Shortcut:
    """Between a channel and its `BufferedPipe`: taken while nothing is under way by the long way, so
    that the order stays. Never waits: what the client cannot take at once goes the long way.

    To be made before the command starts.  sending: held by whoever writes to the client's socket.
    """

    def __init__(self, channel: Any, sock: socket.socket, sending: threading.Lock) -> None:
        self._sock, self._sending = sock, sending
        self._long_way = channel.in_buffer.feed
        self._guard = threading.Lock()
        self._open = False
        self._under_way = 0  # bytes that go the long way
        self._passed = 0  # bytes that came this way, and are still to be acknowledged
        self.rest = (
            b""  # of a frame of which only the beginning could be sent; guarded by `sending`
        )
        channel.in_buffer.feed = self._feed

    def open(self) -> None:
        """The client has heard that its command was started."""
        with self._guard:
            self._open = True

    def passed(self) -> int:
        """Bytes to acknowledge, once."""
        with self._guard:
            passed, self._passed = self._passed, 0
        return passed

    def arrived(self, size: int) -> None:
        """So many bytes have come to the client by the long way."""
        with self._guard:
            self._under_way = max(0, self._under_way - size)

    def _feed(self, data: bytes) -> None:
        """In the thread of the connection, where all channels would wait."""
        with self._guard:
            if self._open and self._under_way == 0 and self._told(data):
                self._passed += len(data)
                return
            self._under_way += len(data)
        self._long_way(data)

    def _told(self, data: bytes) -> bool:
        if len(data) > SMALL or self._passed + len(data) > UNACKNOWLEDGED:
            return False
        if not self._sending.acquire(blocking=False):
            return False
        try:
            if self.rest:
                return False
            frame = pack({"out": 1}, data)
            sent = self._sock.send(frame, socket.MSG_DONTWAIT)
            self.rest = frame[sent:]
            return True
        except OSError:  # full, or gone
            return False
        finally:
            self._sending.release()
