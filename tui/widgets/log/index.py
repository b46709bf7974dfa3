"""Where the lines of one growing file are, without holding the file or an offset for each line.

For every full 64 KiB block the number of newlines up to its end is kept: 130 KB for 1 GB of log. Line
n is found by bisection, then one block is read. Files are read with pread, never mapped: a mapped
file that is cut short by its writer ends the process that looks at it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path

BLOCK = 64 * 1024
STEP = 16 * BLOCK
CACHED_BLOCKS = 64
_SAMPLE = 64  # bytes before the counted end that must stay as they were


class OpenFile:
    """A file open for reading by offset; closed when nobody refers to it any more."""

    def __init__(self, path: Path) -> None:
        self._fd = -1
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stat = os.fstat(self._fd)
        self.identity = (stat.st_dev, stat.st_ino)

    def __del__(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes; fewer at the end, none on an error."""
        if length <= 0:
            return b""
        try:
            return os.pread(self._fd, length, offset)
        except OSError:
            return b""

    def fill(self, buffer: bytearray, offset: int) -> int:
        try:
            return os.preadv(self._fd, [buffer], offset)
        except OSError:
            return 0


class LineIndex:
    """Counts the newlines of `file` up to `size`, which its owner raises as the file grows.

    `advance` may run in another thread than the rest.
    """

    def __init__(self, file: OpenFile, size: int) -> None:
        self.file = file
        self.size = size
        self._full: array[int] = array("Q")  # newlines up to the end of each full block
        self._counted = (0, 0, False)  # bytes, newlines, whether the last byte is no newline
        self._mark = b""
        self._busy = threading.Lock()
        self._offsets: OrderedDict[int, tuple[int, array[int]]] = OrderedDict()

    @property
    def indexed(self) -> int:
        """Bytes counted so far."""
        return self._counted[0]

    @property
    def complete(self) -> bool:
        return self.indexed >= self.size

    @property
    def lines(self) -> int:
        """Lines counted so far; a last line without newline counts."""
        _, newlines, open_end = self._counted
        return newlines + open_end

    @property
    def open_end(self) -> bool:
        """Whether the last line may still be written to."""
        return self._counted[2]

    def advance(self, limit: int | None = None, stop: threading.Event | None = None) -> bool:
        """Count at most `limit` bytes on; True once all is counted. One caller at a time counts."""
        if not self._busy.acquire(blocking=False):
            return self.complete
        try:
            buffer = bytearray(STEP)
            left = self.size if limit is None else limit
            while left > 0 and not self.complete and not (stop is not None and stop.is_set()):
                done = self._step(buffer)
                left -= done
                if not done:
                    break  # shorter than it was: whoever looks at the file's size sees it too
            return self.complete
        finally:
            self._busy.release()

    def _step(self, buffer: bytearray) -> int:
        indexed, newlines, _ = self._counted
        got = min(self.file.fill(buffer, indexed), self.size - indexed)
        at = 0
        while at < got:
            piece = min(BLOCK - (indexed + at) % BLOCK, got - at)
            newlines += buffer.count(b"\n", at, at + piece)
            at += piece
            if (indexed + at) % BLOCK == 0:
                self._full.append(newlines)
        if got:
            seen = self._mark + bytes(buffer[max(0, got - _SAMPLE) : got])
            self._mark = seen[-_SAMPLE:]
            self._counted = (indexed + got, newlines, buffer[got - 1] != 10)
        return got

    def rewritten(self) -> bool:
        """Whether the last bytes counted are not in the file any more."""
        if not self._busy.acquire(blocking=False):
            return False
        try:
            mark = self._mark
            return bool(mark) and self.file.read(self.indexed - len(mark), len(mark)) != mark
        finally:
            self._busy.release()

    def span(self, number: int) -> tuple[int, int] | None:
        """Byte offsets of line `number` (from 0) without its newline; None if not counted yet."""
        indexed, newlines, open_end = self._counted
        if number < 0 or number >= newlines + open_end:
            return None
        start = self._newline(number - 1) + 1 if number else 0
        return start, self._newline(number) if number < newlines else indexed

    def newlines_before(self, offset: int) -> int:
        """How many lines end before byte `offset`, which must be counted."""
        block = min(offset // BLOCK, len(self._full))
        before = self._full[block - 1] if block else 0
        begin = block * BLOCK
        return before + self.file.read(begin, offset - begin).count(b"\n")

    def last(self, count: int) -> list[tuple[int, int]]:
        """Spans of the last `count` lines, found from the end without the counting.

        Of lines longer than the part that is read the beginning is not known; the part's is given.
        """
        size = self.size
        window = min(size, max(BLOCK, count * 256))
        begin = size - window
        data = self.file.read(begin, window)
        end = begin + len(data)
        if data.endswith(b"\n"):
            end -= 1
        spans: list[tuple[int, int]] = []
        while len(spans) < count and end >= begin and data:
            at = data.rfind(b"\n", 0, end - begin)
            if at < 0:
                if begin == 0 or not spans:
                    spans.append((begin, end))
                break
            spans.append((begin + at + 1, end))
            end = begin + at
        return spans[::-1]

    def _newline(self, nth: int) -> int:
        """Byte offset of the newline number `nth` (from 0)."""
        block = bisect_right(self._full, nth)
        before = self._full[block - 1] if block else 0
        ends = self._newlines_in(block)
        if nth - before >= len(ends):
            return self.indexed  # rewritten under us
        return block * BLOCK + ends[nth - before]

    def _newlines_in(self, block: int) -> array[int]:
        """Where the newlines of a block are; kept for the blocks used last."""
        length = min(BLOCK, self.indexed - block * BLOCK)
        known = self._offsets.get(block)
        if known is not None and known[0] == length:
            self._offsets.move_to_end(block)
            return known[1]
        data = self.file.read(block * BLOCK, length)
        offsets, at = array("H"), -1
        for part in data.split(b"\n")[:-1]:
            at += len(part) + 1
            offsets.append(at)
        self._offsets[block] = (length, offsets)
        if len(self._offsets) > CACHED_BLOCKS:
            self._offsets.popitem(last=False)
        return offsets
