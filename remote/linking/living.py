"""The link processes of this state folder: which there are, and ending one."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import LinkLost
from remote.agent.frames import FrameError, FrameReader, pack
from remote.helper_client import plain
from remote.linking.starting import end
from remote.linking.told import Told, read
from remote.shared.duplex import HELLO_S, frames_within, greeted
from remote.shared.greeting import peer_uid
from remote.shared.owner import run_folder, socket_named
from remote.status import Hop


@dataclass(frozen=True, slots=True)
class Living:
    """One process that holds a link. clients: uses of it just now.  since: Unix seconds."""

    host: str
    pid: int
    state: str
    hops: tuple[Hop, ...]
    heard_s: float | None
    clients: int
    since: float
    needs_you: bool


def living() -> Iterator[Living]:
    """Those that answer. Connects to no host."""
    for path in _sockets():
        with contextlib.suppress(OSError, FrameError, LinkLost):
            sock, said = greeted(path)
            with sock:
                sock.sendall(pack({"look": 1}))
                told = read(frames_within(sock, FrameReader(), HELLO_S)[-1][1])
            yield _living(said, told)


def disconnect(host_name: str) -> list[int]:
    """End the link processes of that host, those too that do not answer any more; their process ids.

    Jobs on the host go on.
    """
    ended: list[int | None] = []
    for path in _sockets():
        try:
            sock, said = greeted(path)
        except TimeoutError:
            if path == socket_named(host_name):
                ended.append(_insist(path))
            continue
        except (OSError, FrameError, LinkLost):
            continue
        with sock:
            if said.get("name") == host_name and said.get("link"):
                ended.append(end(sock, said.get("pid")))
    return [pid for pid in ended if pid]


def _insist(path: Path) -> int | None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(HELLO_S)
        sock.connect(str(path))
        sock.settimeout(None)
        return end(sock) if peer_uid(sock) == os.getuid() else None
    return None


def _sockets() -> list[Path]:
    return sorted(run_folder().glob("*.sock"))


def _living(said: dict[str, Any], told: Told) -> Living:
    heard = told.status.last_heard
    return Living(
        plain(said.get("name", ""), 100),
        int(said.get("pid", 0)),
        told.status.state,
        told.status.hops,
        None if heard is None else max(0.0, time.monotonic() - heard),
        max(0, int(said.get("clients", 0)) - 1),  # not counting this look
        float(said.get("since", 0.0)),
        told.status.needs_you,
    )
