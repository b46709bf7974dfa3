"""Lines of a growing log by number, over all that is kept of it.

A log that was cut short or replaced goes on in a new file; what came before stays in front of it, as
far as it can still be read, with a line that says where the seam is. The numbers of the lines go on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from tui.widgets.log.index import BLOCK, STEP, LineIndex, OpenFile
from tui.widgets.log.query import Query
from tui.widgets.log.scan import Scan

LINE_CAP = 16 * 1024  # of a longer line a part of this size is read
MAX_PARTS = 51
INLINE = STEP  # bytes that are counted at once; more is counted in a thread


@dataclass(frozen=True, slots=True)
class RawLine:
    """What is read of one line. data: bytes of it.  origin: how many bytes of the line come before
    (0 unless it is longer than LINE_CAP).  length: bytes of the line's last state.  seam: not a line
    of the log, but where one file ends and the next begins.  source: which of several logs."""

    data: bytes = b""
    origin: int = 0
    length: int = 0
    seam: bool = False
    source: int = 0


@dataclass(slots=True)
class Part:
    """One file of the log; `seam` is said after it once another file follows. index: None where
    nothing is left of the file."""

    index: LineIndex | None
    path: Path
    seam: str = ""

    @property
    def lines(self) -> int:
        return self.index.lines if self.index is not None else 0


class LogFile:
    """The log at `path`. To be used from one thread; the counting has its own."""

    sources = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0  # rises when numbers do not mean the same lines any more
        self.parts: list[Part] = []
        self._stop = Event()
        self._counting: Thread | None = None
        self._earlier()

    def close(self) -> None:
        """Ends the counting; what is open is closed with the last one who reads it."""
        self._stop.set()

    def _earlier(self) -> None:
        """The segments that a mirror kept of this log."""
        from remote.segments import SEAMS, segments

        folder = self.path.parent
        older = segments(folder, self.path.name)[:-1] if (folder / SEAMS).is_file() else []
        for path in older[-MAX_PARTS + 1 :]:
            try:
                file = OpenFile(path)
                index = LineIndex(file, path.stat().st_size)
            except OSError:
                continue
            self.parts.append(Part(index, path, self._noted(index)))

    def _noted(self, index: LineIndex) -> str:
        """What the mirror noted about the seam after this file, which it keeps under a number."""
        from remote.segments import seams

        folder = self.path.parent
        try:
            for seam in reversed(seams(folder, self.path.name)):
                stat = (folder / Path(seam.kept or self.path.name).name).stat()
                if (stat.st_dev, stat.st_ino) == index.file.identity:
                    return seam.line
        except OSError:
            pass
        return _seam("replaced by another file")

    # growth

    def look(self) -> bool:
        """Take note of the file's size; True if the log changed."""
        try:
            stat = self.path.stat()
        except OSError:
            return False  # gone, or just being replaced: what is open stays
        index = self._newest
        if index is None or (stat.st_dev, stat.st_ino) != index.file.identity:
            return self._begin()
        if stat.st_size < index.size or (stat.st_size > index.size and index.rewritten()):
            return self._again(stat.st_size)
        if stat.st_size == index.size:
            return False
        index.size = stat.st_size
        return True

    @property
    def _newest(self) -> LineIndex | None:
        return self.parts[-1].index if self.parts else None

    def _begin(self) -> bool:
        """Another file is at the path."""
        try:
            file = OpenFile(self.path)
            size = self.path.stat().st_size
        except OSError:
            return False
        if (last := self._newest) is not None and not self.parts[-1].seam:
            self.parts[-1].seam = self._noted(last)
        self.parts.append(Part(LineIndex(file, size), self.path))
        self._shed()
        return True

    def _again(self, size: int) -> bool:
        """The file was cut short or overwritten: what it held is gone."""
        last = self.parts[-1]
        assert last.index is not None
        fresh = LineIndex(last.index.file, size)
        gone = _seam("cut short; what was before is gone")
        self.parts[-1] = Part(None, self.path, gone)
        self.parts.append(Part(fresh, self.path))
        self.generation += 1
        self._shed()
        return True

    def _shed(self) -> None:
        if len(self.parts) > MAX_PARTS:
            del self.parts[0]
            self.generation += 1

    def count(self) -> bool:
        """Go on counting: a little at once, more in a thread. True once all is counted."""
        if self.complete:
            return True
        missing = self.size - self.indexed
        if self._counting is not None and self._counting.is_alive():
            return False
        if missing <= INLINE:
            for index in self._indexes():
                index.advance()
            return self.complete
        self._counting = Thread(
            target=_count, args=(self._indexes(), self._stop), name="log-index", daemon=True
        )
        self._counting.start()
        return False

    def _indexes(self) -> list[LineIndex]:
        return [p.index for p in self.parts if p.index is not None]

    @property
    def size(self) -> int:
        """Bytes of all parts when last looked at."""
        return sum(i.size for i in self._indexes())

    @property
    def indexed(self) -> int:
        """Bytes counted so far."""
        return sum(i.indexed for i in self._indexes())

    @property
    def complete(self) -> bool:
        return all(i.complete for i in self._indexes())

    @property
    def lines(self) -> int:
        """Lines counted so far, seams among them."""
        return sum(p.lines for p in self.parts) + max(0, len(self.parts) - 1)

    @property
    def open_end(self) -> bool:
        """Whether the last line may still be written to."""
        newest = self._newest
        return newest is not None and newest.open_end

    # lines

    def line(self, number: int, column: int = 0) -> RawLine | None:
        """Line `number` (from 0) around byte `column`; None if there is none, or not yet."""
        for at, part in enumerate(self.parts):
            if number < part.lines:
                assert part.index is not None
                span = part.index.span(number)
                return None if span is None else read_line(part.index.file, *span, column)
            number -= part.lines
            if at < len(self.parts) - 1:
                if number == 0:
                    return RawLine(part.seam.encode(), 0, len(part.seam), seam=True)
                number -= 1
        return None

    def place(self, number: int) -> tuple[Path, int]:
        """The file that holds line `number`, and its number there."""
        for part in self.parts:
            if number <= part.lines:  # a seam counts as the line after its part
                return part.path, number
            number -= part.lines + 1
        return self.path, 0

    def text(self, number: int) -> str:
        """Line `number` as text, without its newline and at most LINE_CAP bytes of it; "" if none."""
        raw = self.line(number)
        return "" if raw is None else raw.data.decode("utf-8", "replace")

    def tail(self, count: int, column: int = 0) -> list[RawLine]:
        """The last `count` lines, read from the end: needs no counting."""
        found: list[RawLine] = []
        for at, part in reversed(list(enumerate(self.parts))):
            if at < len(self.parts) - 1 and len(found) < count:
                found.insert(0, RawLine(part.seam.encode(), 0, len(part.seam), seam=True))
            if part.index is None or len(found) >= count:
                continue
            spans = part.index.last(count - len(found))
            found[:0] = [read_line(part.index.file, *span, column) for span in spans]
        return found[-count:] if count > 0 else []

    def key(self, number: int) -> int:
        """What names the line for as long as `generation` stays."""
        return number

    def scan(self, query: Query) -> Scan:
        """Look for the lines that fit; valid as long as `generation` stays."""
        return Scan(self.parts, query)

    def ended(self) -> float:
        """Unix seconds of the last change."""
        try:
            return self.path.stat().st_mtime
        except OSError:
            return time.time()


def read_line(file: OpenFile, start: int, end: int, column: int = 0) -> RawLine:
    """The line at bytes start..end. Of a progress bar drawn over itself with `\\r` the last state;
    of what is longer than LINE_CAP the part around `column`."""
    if end - start <= LINE_CAP:
        data = last_state(file.read(start, end - start))
        return RawLine(data, 0, len(data))
    near = max(start, end - BLOCK)
    tail = file.read(near, end - near)
    bare = tail.rstrip(b"\r")
    end -= len(tail) - len(bare)
    start = near + at + 1 if (at := bare.rfind(b"\r")) >= 0 else start
    length = end - start
    if length <= LINE_CAP:
        return RawLine(file.read(start, length), 0, length)
    half = LINE_CAP // 2
    origin = min(max(0, column), length - 1) // half * half
    return RawLine(
        _whole(file.read(start + origin, min(LINE_CAP, length - origin))), origin, length
    )


def last_state(data: bytes) -> bytes:
    """What a terminal shows of `old\\rnew`: the last part that is not empty."""
    bare = data.rstrip(b"\r")
    return bare[bare.rfind(b"\r") + 1 :]


def _whole(data: bytes) -> bytes:
    """Without the rest of a UTF-8 character that began before; its cells stay free."""
    rest = 0
    while rest < 3 and rest < len(data) and data[rest] & 0xC0 == 0x80:
        rest += 1
    return b" " * rest + data[rest:]


def _count(indexes: list[LineIndex], stop: Event) -> None:
    for index in indexes:
        index.advance(stop=stop)


def _seam(what: str) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    return f"── the file was {what} ({when} UTC) ──"
