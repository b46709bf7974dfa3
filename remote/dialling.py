"""TCP to the first hop, so that a dead line shows. Loads no SSH library."""

from __future__ import annotations

import socket
import sys

CONNECT_S = 10.0


def connected(address: str, port: int) -> socket.socket:
    """Raises OSError, UnicodeError."""
    sock = socket.create_connection((address, port), timeout=CONNECT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # What was sent must be acknowledged within this, whatever the pulse finds.
    if sys.platform.startswith("linux"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 3_500)  # ms
    elif sys.platform == "darwin":
        sock.setsockopt(socket.IPPROTO_TCP, 0x80, 4)  # TCP_RXT_CONNDROPTIME, s
    return sock
