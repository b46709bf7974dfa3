"""A connection to the link process of a host: the one that is there, else one that is started for it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import pickle
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from core.errors import EnvironmentProblem, LinkLost
from remote.agent import procs
from remote.agent.frames import FrameError, pack
from remote.hosts import Host
from remote.linking.definition import Definition, define, version, way
from remote.linking.spawning import dismiss, spare, spawn
from remote.linking.told import error_from
from remote.shared.duplex import greeted
from remote.shared.greeting import peer_pid
from remote.shared.owner import private_folder
from remote.shared.route import silent

START_S = 30.0
LEAVE_S = 5.0
TURN_S = 0.02


def reach(host: Host, path: Path, *, replace: bool) -> socket.socket:
    """Greeted by the link process of that host at `path`, which is started if there is none.

    replace: one of another definition of the host, or of other code, is ended first; else it is refused.
    Two that start at once start one.  Raises LinkLost, EnvironmentProblem.
    """
    try:
        return _reach(host, path, replace)
    finally:
        dismiss(spare(path.with_suffix(".log")))  # what was prepared, and not needed


def _reach(host: Host, path: Path, replace: bool) -> socket.socket:
    until = time.monotonic() + START_S
    while True:
        try:
            sock, said = greeted(path)
        except (ConnectionError, FileNotFoundError, LinkLost):
            if time.monotonic() > until:
                raise EnvironmentProblem(
                    "the link process does not come up", try_next=f"see {define(host, path).log}"
                ) from None
            if not start(host, path):
                time.sleep(TURN_S)  # another one is just coming, or going
            continue
        except TimeoutError:
            raise silent(host.name) from None
        except (OSError, FrameError) as e:
            raise EnvironmentProblem(
                f"{path} is not the socket of a link process of ours",
                why=str(e),
                try_next="remove it, or set QA_STATE to a folder of yours",
            ) from e
        if said.get("way") == way(host) and said.get("version") == version():
            return sock
        with contextlib.closing(sock):
            if not replace or not said.get("link"):
                raise _other(host, said)
            end(sock, said.get("pid"))


def start(host: Host, path: Path) -> bool:
    """False where another one holds the place. Raises EnvironmentProblem."""
    try:
        return _start(host, path)
    except OSError as e:  # no descriptors, no processes, a folder that cannot be written
        raise EnvironmentProblem(
            "the link process could not be started",
            why=str(e),
            try_next=f"see that {path.parent} can be written, and try again",
        ) from e


def _start(host: Host, path: Path) -> bool:
    private_folder(path.parent)
    if _held(path.with_suffix(".lock")):
        return False
    log = path.with_suffix(".log")
    prepared = spare(log)
    starter = prepared or spawn(log)
    definition = define(host, path)
    said = _told(starter, definition)
    if not said and prepared:  # something has ended it meanwhile
        said = _told(spawn(log), definition)
    if "error" in said:
        raise error_from(said["error"])
    if not said:
        raise EnvironmentProblem(
            "the link process ended at once",
            why=definition.log.read_text("utf-8", "replace")[-500:].strip(),
            try_next=f"see {definition.log}",
        )
    return "ready" in said


def _held(lock: Path) -> bool:
    """Is there a link process that only does not listen yet, or any more?"""
    try:
        with open(lock, "r+b") as file:  # NFS locks nothing exclusively that is open to read only
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # whoever listens locks it again, and finds out
    return False


def _told(starter: subprocess.Popen[bytes], definition: Definition) -> dict[str, Any]:
    """What a new link process says of itself; nothing if it has ended."""
    assert starter.stdin and starter.stdout
    host = definition.host
    first = host.jumps[0] if host.jumps else host
    dial = json.dumps([first.address, first.port]).encode()
    with starter:
        with contextlib.suppress(BrokenPipeError), starter.stdin:
            starter.stdin.write(dial + b"\n" + pickle.dumps(definition))
        line = starter.stdout.readline()
    return dict(json.loads(line)) if line.endswith(b"\n") else {}


def end(sock: socket.socket, pid: int | None = None) -> int | None:
    """Have the link process at the other end leave; insist where it does not. Its process id.

    pid: as it says itself, for kernels that do not.
    """
    pid = peer_pid(sock) or pid
    mark = procs.start_mark(pid) if pid else None
    with contextlib.suppress(OSError):
        sock.sendall(pack({"leave": 1}))
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number and pid and mark and procs.start_mark(pid) == mark:
            procs.send_signal(pid, number)
        if _closed(sock):
            break
    return pid


def _closed(sock: socket.socket) -> bool:
    """Does the other end close within a few seconds?"""
    sock.settimeout(LEAVE_S)
    try:
        while sock.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def _other(host: Host, said: dict[str, Any]) -> LinkLost:
    what = "another version of this program" if said.get("way") == way(host) else "other settings"
    return LinkLost(
        f"the link to {host.name} is now held with {what}",
        why="one connection to a host is shared by all programs of this desk",
        try_next="quit this program and start it again",
    )
