"""What a link process does while it is still loading: hear what it is for, and greet the first hop.

TCP and the key exchange only: no question, no secret, no login. That waits for a client to ask.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from remote.dialling import connected

if TYPE_CHECKING:
    from remote.leg import Connect, Greeted, Spot

FRESH_S = 5.0  # servers hang up on those who do not log in


class Ahead:
    """One thread. From the descriptor come [address, port] of the first hop as a line of JSON, then the
    definition; rest: what was read of it already.

    Not from sys.stdin: a thread that waits inside of that aborts the interpreter at its end.
    """

    def __init__(self, descriptor: int, rest: bytes = b"") -> None:
        self._descriptor = descriptor
        self._given = rest
        self._heard, self._told = threading.Event(), threading.Event()
        self._spot: Spot | None = None
        self._greeted: Greeted | None = None
        self._error: Exception | None = None
        self._since = 0.0
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def definition(self) -> bytes:
        """Waits for it; empty if we were started in vain."""
        self._heard.wait()
        return self._given

    def greet(self, spot: Spot) -> None:
        """Returns at once. From here on the SSH library must be loaded."""
        self._spot = spot
        self._told.set()

    def take(self, spot: Spot) -> Greeted:
        """That hop, greeted: what is ready, once, where it is fresh. Raises HostUnreachable."""
        from remote.leg import reached

        if self._spot != spot:
            return reached(spot)
        self._thread.join()
        greeted, self._greeted = self._greeted, None
        error, self._error = self._error, None
        if time.monotonic() - self._since < FRESH_S:
            if greeted is not None:
                return greeted
            if error is not None:
                raise error
        if greeted is not None:
            greeted.close()
        return reached(spot)

    def _run(self) -> None:
        while data := os.read(self._descriptor, 1 << 16):
            self._given += data
        first, _, self._given = self._given.partition(b"\n")
        self._heard.set()
        if not self._given:
            return
        connect = _dialled(*json.loads(first))
        self._told.wait()
        assert self._spot is not None
        from remote.leg import reached

        try:
            self._greeted = reached(self._spot, connect)
        except Exception as e:  # told to whoever takes it
            self._error = e
        self._since = time.monotonic()


def _dialled(address: str, port: int) -> Connect:
    """What came of connecting, for when it is asked for."""
    try:
        sock = connected(address, port)
    except (OSError, UnicodeError) as e:
        error = e

        def fail(*_: object) -> socket.socket:
            raise error

        return fail
    return lambda *_: sock
