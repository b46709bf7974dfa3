"""A growing file of the host as it lies on this machine, and its earlier selves.

    output.log        the newest segment; its size is the offset to go on from
    output.log.1 …    what was mirrored before the host's file was cut short or replaced
    seams.jsonl       one line for each such break, and for a log that is longer than is kept
    mirror.json       which file of the host (inode) each newest segment is a copy of, and by how
                      much the host's clock is ahead of ours

Several mirrors may write into one directory: bytes go to the offset they came from, through a
descriptor of the segment they belong to, and only one of them turns a segment over.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.jobdir import write_atomic
from remote.agent.follow import TAIL, mark

SEAMS, FACTS, LOCK = "seams.jsonl", "mirror.json", ".mirror.lock"
MAX_SEGMENTS = 50
CLOCK = "clock_offset"  # seconds, host minus this machine
_WHY = {
    "truncated": "cut short on the host",
    "replaced": "replaced by another file on the host",
    "rewritten": "overwritten on the host",
    "capped": "longer on the host than is kept here",
}


@dataclass(frozen=True, slots=True)
class Seam:
    """at: Unix seconds of this machine.  kept: name of the file with the `bytes` before the seam."""

    at: float
    file: str
    why: str
    kept: str
    bytes: int

    @property
    def line(self) -> str:
        """For a log view: where one segment ends and the next begins."""
        what = _WHY.get(self.why, "not the same any more on the host")
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.at))
        kept = f"; the {self.bytes} bytes before are kept in {self.kept}" if self.kept else ""
        return f"── {self.file} was {what} ({when} UTC){kept} ──"


def seams(folder: Path, name: str | None = None) -> list[Seam]:
    """The breaks noted in a mirror, oldest first; of one file if named."""
    try:
        lines = (folder / SEAMS).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            seam = Seam(**json.loads(line))
        except (ValueError, TypeError):
            continue  # torn by a crash
        if name in (None, seam.file):
            found.append(seam)
    return found


def segments(folder: Path, name: str) -> list[Path]:
    """All that is here of one growing file, oldest first; the last is the one that grows."""
    old = [folder / f"{name}.{n}" for n in _numbers(folder, name)]
    return [*old, folder / name]


def _numbers(folder: Path, name: str) -> list[int]:
    ends = (p.name.removeprefix(f"{name}.") for p in folder.glob(f"{name}.*"))
    return sorted(int(end) for end in ends if end.isdigit())


class Copy:
    """The newest segment of one growing file, open for writing. Not thread-safe."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.path = folder / name
        self._turned = len(_numbers(folder, name))
        self._fd = self._open()
        self._ino = int(recall(folder, name) or 0)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def close(self) -> None:
        os.close(self._fd)

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def word(self) -> str:
        """What the follower is told, to go on from here: `output.log=OFFSET:INO:TAIL`."""
        size = self.size
        at = max(0, size - TAIL)
        tail = mark(os.pread(self._fd, size - at, at)) if size else ""
        return f"{self.name}={size}:{self._ino if size else 0}:{tail}"

    def write(self, data: bytes, offset: int) -> None:
        left = memoryview(data)
        while left:
            n = os.pwrite(self._fd, left, offset)
            left, offset = left[n:], offset + n

    def came_from(self, ino: Any) -> None:
        """Note which file of the host the bytes come from."""
        if type(ino) is int and ino != self._ino:
            remember(self.folder, self.name, ino)
            self._ino = ino

    def turn(self, why: str) -> bool:
        """Keep what is here under a number and begin anew. False if another mirror in this folder
        is further: then this one has to begin its stream again.

        The rename comes before the note: a crash in between loses a sentence, not a byte.
        """
        with _alone(self.folder):
            same = os.path.samestat(os.fstat(self._fd), self.path.stat())
            if same:
                number = self._turned + 1
                kept, size = f"{self.name}.{number}", self.size
                self.path.rename(self.folder / kept)
                note(self.folder, Seam(time.time(), self.name, why, kept, size))
            fresh = self._open()
            os.close(self._fd)
            self._fd, self._ino = fresh, 0
            self._turned += 1
            return len(_numbers(self.folder, self.name)) == self._turned

    def kept_bytes(self) -> int:
        """Of all segments together."""
        return sum(p.stat().st_size for p in segments(self.folder, self.name) if p.exists())

    @property
    def worn(self) -> bool:
        return self._turned >= MAX_SEGMENTS


def note(folder: Path, seam: Seam) -> None:
    """Append one seam; a repeated `capped` is noted once."""
    if seam.why == "capped" and any(s.why == "capped" for s in seams(folder, seam.file)):
        return
    with open(folder / SEAMS, "ab", buffering=0) as f:
        f.write(json.dumps(asdict(seam)).encode() + b"\n")


def remember(folder: Path, name: str, value: float) -> None:
    """Keep one number about this mirror."""
    with _alone(folder):
        known = _facts(folder)
        if known.get(name) != value:
            write_atomic(folder / FACTS, json.dumps({**known, name: value}).encode())


def recall(folder: Path, name: str) -> float | None:
    return _facts(folder).get(name)


def _facts(folder: Path) -> dict[str, float]:
    try:
        found = json.loads((folder / FACTS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if type(v) in (int, float)}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Against other mirrors, of this process or another, in the same folder."""
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
