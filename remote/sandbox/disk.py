"""A small disk for the GPU host, so that it can be full without harm to this machine's own.

It is a tmpfs, which only root may mount. What is on it is gone when it is taken away.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from core.errors import EnvironmentProblem, UsageError

FILLER = ".filler"


class SmallDisk:
    """size: bytes."""

    def __init__(self, where: Path, size: int) -> None:
        self.where = where
        self.size = size

    @property
    def mounted(self) -> bool:
        return self.where.is_mount()

    @property
    def full(self) -> bool:
        return self.mounted and (self.where / FILLER).exists()

    def mount(self) -> None:
        """What is mounted there already stays, with its content. Raises EnvironmentProblem."""
        if self.mounted:
            return
        options = f"size={self.size},mode=0700"
        done = self._run("mount", "-t", "tmpfs", "-o", options, "qa-sandbox", str(self.where))
        if done:
            raise EnvironmentProblem(
                "the sandbox's host cannot have a small disk here",
                why=done,
                try_next="run as root on Linux (only root may mount), or leave --disk out",
            )

    def unmount(self) -> None:
        """Unless a job still uses it."""
        if self.mounted:
            self._run("umount", str(self.where))

    def fill(self) -> None:
        """Not a byte is left."""
        fd = os.open(self.where / FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            piece = 1 << 20
            while piece:
                try:
                    os.write(fd, b"\0" * piece)
                except OSError:
                    piece //= 2
        finally:
            os.close(fd)

    def free(self) -> None:
        (self.where / FILLER).unlink(missing_ok=True)

    def _run(self, *argv: str) -> str:
        """What it said if it failed."""
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as exc:
            return str(exc)
        return (done.stderr.strip() or f"{argv[0]} failed") if done.returncode else ""


def parse_size(text: str) -> int:
    """`64M` → bytes. Raises UsageError."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, factor = text.strip().upper().removesuffix("IB").removesuffix("B"), 1
    if number[-1:] in units:
        number, factor = number[:-1], units[number[-1]]
    try:
        size = int(float(number) * factor)
    except (ValueError, OverflowError):
        size = 0
    if size < 1 << 20:
        raise UsageError(
            f"{text!r} is no size for a disk", try_next="at least one mebibyte: 1M, 64M, 2G"
        )
    return size
