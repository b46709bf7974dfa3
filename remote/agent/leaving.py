"""One file on its way out, as frames: its bytes, or its differences from a version the other side has.

On a slow link the bytes are compressed (zlib level 1: standard library at both ends). Used at both ends.
"""

from __future__ import annotations

import time
import zlib
from typing import Any, BinaryIO, Iterator

from remote.agent import delta
from remote.agent.arriving import CHUNK
from remote.agent.problem import Problem

SLOW = 10e6  # bytes/s on the wire: below it compression is tried
FAST = 40e6  # above it, given up
LOOK = 1 << 21  # bytes on the wire between two looks at the rate
PASS = 64  # frames sent as they are after one that did not shrink


class Squeezer:
    """Compresses while the link is slow and the bytes shrink."""

    def __init__(self) -> None:
        self.on = False
        self._since = time.monotonic()
        self._wire = 0
        self._skip = 0

    def pack(self, data: bytes) -> tuple[dict[str, Any], bytes]:
        """(header, payload) for bytes of a file."""
        self._look()
        header: dict[str, Any] = {}
        if self._skip:
            self._skip -= 1
        elif self.on:
            smaller = zlib.compress(data, 1)
            if len(smaller) < 0.9 * len(data):
                header, data = {"z": 1}, smaller
            else:
                self._skip = PASS
        self._wire += len(data)
        return header, data

    def _look(self) -> None:
        if self._wire < LOOK:
            return
        now = time.monotonic()
        rate = self._wire / max(now - self._since, 1e-6)
        self.on = rate < (FAST if self.on else SLOW)
        self._since, self._wire = now, 0


def frames(
    f: BinaryIO,
    size: int,
    squeezer: Squeezer,
    base: dict[bytes, tuple[int, int]] | None = None,
    least: int = delta.LEAST,
) -> Iterator[tuple[dict[str, Any], bytes, int]]:
    """(header, payload, bytes of the file) from where `f` stands up to `size`.

    Raises Problem if the file has become shorter; what is behind `size` is not sent.
    """
    left = size - f.tell()
    if base:
        for data, copies in delta.differences(_First(f, left), least, base):  # type: ignore[arg-type]
            if copies:
                n = sum(length for _, length in copies)
                yield {"copy": len(copies)}, delta.pack_copies(copies), n
                left -= n
            else:
                header, payload = squeezer.pack(data)
                yield header, payload, len(data)
                left -= len(data)
    else:
        while left:
            data = f.read(min(CHUNK, left))
            if not data:
                break
            header, payload = squeezer.pack(data)
            yield header, payload, len(data)
            left -= len(data)
    if left:
        raise Problem("changed", "it became shorter while it was read")


class _First:
    """The first bytes of a file as a file."""

    def __init__(self, f: BinaryIO, left: int) -> None:
        self._f, self._left = f, left

    def read(self, n: int) -> bytes:
        data = self._f.read(min(n, self._left))
        self._left -= len(data)
        return data
