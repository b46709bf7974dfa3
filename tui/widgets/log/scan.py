"""Looks for the lines of a log that fit a query, in a thread, and goes on as the log grows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING

from tui.widgets.log import levels as log_levels
from tui.widgets.log.index import BLOCK
from tui.widgets.log.query import Both, LevelMatcher, Matcher, Query, TextMatcher
from tui.widgets.log.regex import PATIENCE_S, RegexChild, Stopped, TooSlow

if TYPE_CHECKING:
    from tui.widgets.log.file import Part

PIECE = 4 * BLOCK  # small enough to stay in the processor's cache


class Scan:
    """Numbers of the lines of `parts` that fit `query`. parts: a LogFile's own list, which grows.

    What the index has counted is looked at, so that hits have numbers. A line longer than a piece is
    judged piece by piece: it fits if one of its pieces does.
    """

    def __init__(self, parts: Sequence[Part], query: Query) -> None:
        self.query = query
        self.error = ""
        self._parts = parts
        self._stop = Event()
        self._thread: Thread | None = None
        self._found: array[int] = array("Q")
        self._open: int | None = None  # a last line without newline that fits as it is now
        self._at = (0, 0)  # part and byte of the first line not judged yet
        self._judged = (0, 0)  # part, and the bytes looked at in it, the open line among them
        self._inside = False  # in the midst of a line longer than a piece
        self._long = False  # that line fits already, by a piece before
        self._matcher, self._inverse = _matcher(query, self._stop.is_set)

    # for the screen

    def __len__(self) -> int:
        return len(self._found) + (self._open is not None)

    def number(self, index: int) -> int:
        """The line found at `index`, which is below the length; the last one if that one, not
        finished, has just ceased to fit."""
        last = self._open
        if index < len(self._found):
            return self._found[index]
        if last is not None:
            return last
        return self._found[-1] if self._found else 0

    def rank(self, number: int) -> int:
        """How many lines found come before line `number`."""
        before = bisect_left(self._found, number)
        return before + (self._open is not None and self._open < number)

    def has(self, number: int) -> bool:
        at = bisect_left(self._found, number)
        return (at < len(self._found) and self._found[at] == number) or number == self._open

    @property
    def seen(self) -> int:
        """Bytes judged so far."""
        part, inside = self._judged
        return inside + sum(p.index.size for p in self._parts[:part] if p.index is not None)

    @property
    def line(self) -> int:
        """Number of the first line that is not judged for good."""
        return self._number(*self._at)

    @property
    def done(self) -> bool:
        """Whether all that is known of the log is judged."""
        if self.error:
            return True
        part, inside = self._judged
        if part < len(self._parts) - 1:
            return False
        newest = self._parts[-1].index if self._parts else None
        return newest is None or inside >= newest.size

    def keep_up(self) -> None:
        """Start looking at what is not judged yet; called again and again."""
        if self.done or self._stop.is_set():
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._run, name="log-scan", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Ends the looking; what was found stays."""
        self._stop.set()
        if self._thread is None or not self._thread.is_alive():
            self._matcher.close()

    # the thread

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and self._step():
                pass
        except TooSlow:
            self.error = f"this pattern takes more than {PATIENCE_S:.0f} s on a piece of this log"
        except Stopped:
            pass
        finally:
            if self._stop.is_set() or self.error:
                self._matcher.close()

    def _step(self) -> bool:
        """Judge one piece; False when the end of what is counted is reached."""
        part, offset = self._at
        index = self._parts[part].index
        size = index.indexed if index is not None else 0
        last = part == len(self._parts) - 1
        if not last and index is not None and not index.complete:
            last = True  # what comes after it has no numbers yet
        data = b"" if index is None else index.file.read(offset, min(PIECE, size - offset))
        end = data.rfind(b"\n") + 1
        if end:
            self._whole(data, end, part, offset)
        elif len(data) == PIECE:
            self._inside = True
            overlap = max(0, len(self.query.text.encode()) - 1)
            self._long = self._long or bool(self._matcher.lines(data, len(data)))
            self._at = (part, offset + PIECE - min(overlap, PIECE // 2))
            self._judged = (part, offset + PIECE)
        elif not last:
            if data or self._inside:
                self._whole(data, len(data), part, offset)
            self._at = self._judged = (part + 1, 0)
        else:
            begun = bool(data) or self._inside
            fits = (bool(self._matcher.lines(data, len(data))) or self._long) != self._inverse
            self._open = self._number(part, offset) if begun and fits else None
            self._judged = (part, offset + len(data))
            return False
        return True

    def _whole(self, data: bytes, end: int, part: int, offset: int) -> None:
        """Take in the lines of `data` up to `end`, all of them whole."""
        hits = self._matcher.lines(data, end)
        if self._long and hits[:1] != [0]:
            hits.insert(0, 0)
        if self._inverse:
            taken, count = set(hits), data.count(b"\n", 0, end) + (data[end - 1 : end] != b"\n")
            hits = [n for n in range(count) if n not in taken]
        self._open, self._long, self._inside = None, False, False
        if hits:
            base = self._number(part, offset)
            self._found.extend(array("Q", [base + n for n in hits]))
        self._at = self._judged = (part, offset + end)

    def _number(self, part: int, offset: int) -> int:
        """The number of the line that holds a byte of a part; seams have numbers too."""
        index = self._parts[part].index if part < len(self._parts) else None
        before = sum(p.lines + 1 for p in self._parts[:part])
        return before + (index.newlines_before(offset) if index is not None else 0)


def _matcher(query: Query, stopped: Callable[[], bool]) -> tuple[Matcher, bool]:
    """The matcher of a query, and whether the lines it does not name are meant."""
    least = query.level
    levels = LevelMatcher(least) if least > log_levels.INFO else None
    if not query.text:
        return (levels, query.inverse) if levels else (TextMatcher(query), False)
    text: Matcher = RegexChild(query, stopped) if query.regex else TextMatcher(query)
    if levels is None:
        return text, query.inverse
    return Both(text, levels, minus=query.inverse), False
