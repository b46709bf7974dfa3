"""Scratch files that several processes of one user make, share and clear away.

Who uses a file holds a lock on it, which ends with the process, however it ends: what nobody holds
may go. On a file system without such locks nothing is ever taken for unused.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """No other process takes or clears away files of the folder meanwhile. Keep it short."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def hold(path: Path, *, new: bool = False) -> int:
    """A descriptor that keeps the file in use until it is closed. Within a `turn` of its folder.

    new: make it.  Raises OSError, e.g. FileNotFoundError, FileExistsError.
    """
    fd = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def remove_unused(paths: Iterable[Path]) -> None:
    """Remove those that nobody holds. Within a `turn` of their folder."""
    for path in paths:
        with suppress(OSError):
            fd = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(fd)
