"""The first words on a shared connection, and who the kernel says is at the other end."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote.shared.owner import Sharing


def peer_uid(sock: socket.socket) -> int:
    """Who is at the other end, as the kernel says."""
    if hasattr(socket, "SO_PEERCRED"):
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", data)[1])
    data = sock.getsockopt(0, 1, 76)  # macOS, BSD: SOL_LOCAL, LOCAL_PEERCRED, struct xucred
    return int(struct.unpack_from("=II", data)[1])


def peer_pid(sock: socket.socket) -> int | None:
    """Which process is at the other end, as the kernel says; None where it does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", data)[0])


def hello(owner: Sharing) -> dict[str, Any]:
    """What an owner says to everyone who connects, and what a client holds against its own."""
    host = owner.route.host
    return {
        "hello": 1,
        "name": host.name,
        "way": owner.way,
        "version": owner.version,
        "pid": os.getpid(),
        "link": owner.is_process,
        "clients": owner.clients,
        "since": owner.since,
    }
