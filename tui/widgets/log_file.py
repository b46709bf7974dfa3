"""Lines of a growing file by number, without holding the file or an offset for each line.

For every full 64 KiB block the number of newlines up to its end is kept: 130 KB for 1 GB of log. Line
n is found by bisection, then one block is read. All reads are bounded, so a 100 MB line costs no
more than a short one.
"""

from __future__ import annotations

import os
import time
from array import array
from bisect import bisect_left
from collections import OrderedDict
from pathlib import Path

BLOCK = 64 * 1024
STEP = 1024 * 1024
LINE_CAP = 8 * 1024  # of a longer line the beginning is read; of a progress line the end
CACHED_BLOCKS = 64


class LogFile:
    """An index over `path`. Not thread-safe, except `find`, which opens the file on its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes of the file when last looked at
        self.indexed = 0  # bytes counted so far
        self.generation = 0  # rises when the file was replaced or cut short
        self._fd: int | None = None
        self._inode = 0
        self._forget()

    def _forget(self) -> None:
        self.size = self.indexed = 0
        self._before: array[int] = array("Q")  # newlines up to the end of each full block
        self._open_newlines = 0  # newlines in the block that is not full yet
        self._ends_open = False  # last indexed byte is not a newline
        self._blocks: OrderedDict[int, list[int]] = OrderedDict()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def complete(self) -> bool:
        return self.indexed >= self.size

    @property
    def lines(self) -> int:
        """Lines counted so far; a last line without newline counts."""
        return self._newlines() + (1 if self._ends_open else 0)

    def look(self) -> bool:
        """Take note of the file's size; True if it changed."""
        try:
            stat = self.path.stat()
        except OSError:
            changed = self.size > 0
            self.close()
            self._forget()
            return changed
        if self._fd is None or stat.st_ino != self._inode or stat.st_size < self.size:
            self.close()
            self._forget()
            self.generation += 1
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return True
            self._inode = stat.st_ino
            self.size = stat.st_size
            return True
        if stat.st_size == self.size:
            return False
        self.size = stat.st_size
        return True

    def index(self, budget_s: float = 0.008) -> bool:
        """Count on for at most about `budget_s`; True once all of the file is counted."""
        deadline = time.monotonic() + budget_s
        while self.indexed < self.size:
            room = BLOCK - self.indexed % BLOCK
            if room == BLOCK:  # whole blocks at once
                want = min(STEP, self.size - self.indexed)
            else:
                want = min(room, self.size - self.indexed)
            data = self._read(self.indexed, want)
            if not data:
                self.size = self.indexed  # cut short under us; `look` will see it
                break
            self._count(data)
            if time.monotonic() >= deadline:
                break
        return self.complete

    def _count(self, data: bytes) -> None:
        self._blocks.pop(self.indexed // BLOCK, None)
        at = 0
        while at < len(data):
            room = BLOCK - (self.indexed % BLOCK)
            piece = min(room, len(data) - at)
            self._open_newlines += data.count(b"\n", at, at + piece)
            self.indexed += piece
            at += piece
            if self.indexed % BLOCK == 0:
                before = self._before[-1] if self._before else 0
                self._before.append(before + self._open_newlines)
                self._open_newlines = 0
        self._ends_open = not data.endswith(b"\n")

    def _newlines(self) -> int:
        return (self._before[-1] if self._before else 0) + self._open_newlines

    def text(self, number: int) -> str:
        """Line `number` (from 0) without its newline; empty if there is none."""
        start = self._start(number)
        if start is None:
            return ""
        return self._line_at(start)

    def tail(self, count: int) -> list[str]:
        """The last `count` lines, read from the end: needs no index."""
        if count <= 0 or not self.size:
            return []
        window = min(self.size, max(BLOCK, count * 256))
        data = self._read(self.size - window, window)
        parts = data.split(b"\n")
        if parts and parts[-1] == b"":
            parts.pop()
        if window < self.size and len(parts) > 1:
            parts = parts[1:]  # the first one began before the window
        return [_decode(p) for p in parts[-count:]]

    def _start(self, number: int) -> int | None:
        """Byte offset of line `number`."""
        if number < 0 or number >= self.lines:
            return None
        if number == 0:
            return 0
        block = bisect_left(self._before, number)
        before = self._before[block - 1] if block else 0
        ends = self._newline_offsets(block)
        nth = number - before - 1
        if nth >= len(ends):
            return None
        return block * BLOCK + ends[nth] + 1

    def _newline_offsets(self, block: int) -> list[int]:
        """Where the newlines of a block are; kept for the blocks used last."""
        if block in self._blocks:
            self._blocks.move_to_end(block)
            return self._blocks[block]
        begin = block * BLOCK
        data = self._read(begin, min(BLOCK, self.indexed - begin))
        offsets, at = [], data.find(b"\n")
        while at >= 0:
            offsets.append(at)
            at = data.find(b"\n", at + 1)
        self._blocks[block] = offsets
        if len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return offsets

    def _line_at(self, start: int) -> str:
        data = self._read(start, min(LINE_CAP, self.size - start))
        end = data.find(b"\n")
        if end >= 0:
            return _decode(data[:end])
        if b"\r" in data and len(data) == LINE_CAP:
            return _decode(self._progress_end(start))
        return _decode(data)

    def _progress_end(self, start: int) -> bytes:
        """The last state of a long carriage-return line: its last bytes, if the end is near."""
        at, last = start, b""
        for _ in range(64):  # 64 blocks; a longer one shows what is there
            data = self._read(at, min(BLOCK, self.size - at))
            end = data.find(b"\n")
            last = (last + (data if end < 0 else data[:end]))[-LINE_CAP:]
            at += len(data)
            if end >= 0 or not data:
                break
        return last

    def _read(self, offset: int, length: int) -> bytes:
        if self._fd is None or length <= 0:
            return b""
        try:
            return os.pread(self._fd, length, offset)
        except OSError:
            return b""

    def line_of(self, offset: int) -> int:
        """Number of the line that holds byte `offset`, which must be indexed."""
        block = min(offset // BLOCK, len(self._before))
        before = self._before[block - 1] if block else 0
        ends = self._newline_offsets(block)
        return before + bisect_left(ends, offset - block * BLOCK)

    def offset_of(self, number: int) -> int:
        """Byte offset where line `number` starts; the end of the file if there is none."""
        start = self._start(number)
        return self.size if start is None else start


def _decode(data: bytes) -> str:
    if len(data) > LINE_CAP:
        data = data[-LINE_CAP:] if b"\r" in data else data[:LINE_CAP]
    return data.decode("utf-8", "replace")


def find(path: Path, needle: str, start: int, *, backwards: bool = False) -> int | None:
    """Byte offset of the nearest match from `start`, going round once; None if there is none.

    Case does not matter for ASCII letters. Reads 1 MiB at a time, so other threads keep running.
    """
    wanted = needle.encode("utf-8", "replace").lower()
    if not wanted:
        return None
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, min(start, size))
            spans = [(start, size), (0, min(size, start + len(wanted)))]
            if backwards:
                spans = [(0, start), (max(0, start - len(wanted)), size)]
            for low, high in spans:
                found = _scan(file.fileno(), wanted, low, high, backwards)
                if found is not None:
                    return found
    except OSError:
        return None
    return None


def _scan(fd: int, wanted: bytes, low: int, high: int, backwards: bool) -> int | None:
    overlap = len(wanted) - 1
    if backwards:
        end = high
        while end > low:
            begin = max(low, end - STEP)
            at = os.pread(fd, min(high, end + overlap) - begin, begin).lower().rfind(wanted)
            if at >= 0:
                return begin + at
            end = begin
        return None
    begin = low
    while begin < high:
        data = os.pread(fd, min(STEP + overlap, high - begin), begin)
        if not data:
            return None
        at = data.lower().find(wanted)
        if at >= 0:
            return begin + at
        begin += STEP
    return None
