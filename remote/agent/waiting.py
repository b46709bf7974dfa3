"""The line of jobs that wait for an accelerator, in the order in which they were submitted.

A place is a file `NUMBER-JOB` that the waiting runner keeps locked: a place whose lock is free belongs
to a runner that is gone, and is passed over. Only the first of the line tries the accelerator's lock.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import Iterator

from remote.agent.problem import check_id


class Place:
    """A held place. It is given up by `leave`, and by the end of the process."""

    def __init__(self, folder: str, name: str, fd: int) -> None:
        self.folder = folder
        self.name = name
        self.fd = fd

    def is_first(self) -> bool:
        return _living(self.folder, tidy=True)[:1] == [self.name]

    def leave(self) -> None:
        with _ordered(self.folder):
            _unlink(os.path.join(self.folder, self.name))
            os.close(self.fd)


def join(locks: str, accelerator: str, job_id: str) -> Place:
    """A place at the end of the line."""
    folder = _folder(locks, accelerator)
    os.makedirs(folder, 0o700, exist_ok=True)
    with _ordered(folder):
        last = max([int(n.split("-", 1)[0]) for n in _names(folder)] or [0])
        name = "%08d-%s" % (last + 1, check_id(job_id))
        fd = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
    return Place(folder, name, fd)


def line(locks: str, accelerator: str) -> list[str]:
    """Ids of the jobs that wait, first come first."""
    return [name.split("-", 1)[1] for name in _living(_folder(locks, accelerator))]


def _folder(locks: str, accelerator: str) -> str:
    return os.path.join(locks, check_id(accelerator) + ".queue")


def _names(folder: str) -> list[str]:
    try:
        return sorted(n for n in os.listdir(folder) if n[:8].isdigit() and n[8:9] == "-")
    except FileNotFoundError:
        return []


def _living(folder: str, tidy: bool = False) -> list[str]:
    names = _names(folder)
    dead = [name for name in names if not _is_held(os.path.join(folder, name))]
    if dead and tidy:
        with _ordered(folder):
            for name in dead:  # asked again: a place is made and locked under the same lock
                if not _is_held(os.path.join(folder, name)):
                    _unlink(os.path.join(folder, name))
    return [name for name in names if name not in dead]


def _is_held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


@contextmanager
def _ordered(folder: str) -> Iterator[None]:
    fd = os.open(os.path.join(folder, ".order"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
