"""Where a regular expression hits in the lines in sight, asked for in the background."""

from __future__ import annotations

from collections import OrderedDict
from threading import Event, Thread

from tui.widgets.log.query import Query
from tui.widgets.log.regex import RegexChild, Stopped, TooSlow

KNOWN = 2000
LONGEST = 4000  # characters of a line that are looked at
Ranges = list[tuple[int, int]]


class Spans:
    """`of` answers at once with what is known; `advance`, called each frame, fetches the rest."""

    def __init__(self, query: Query) -> None:
        self._stop = Event()
        self._child = RegexChild(query, self._stop.is_set)
        self._known: OrderedDict[str, Ranges] = OrderedDict()
        self._wanted: set[str] = set()
        self._answer: dict[str, Ranges] = {}
        self._thread: Thread | None = None

    def of(self, text: str) -> Ranges:
        text = text[:LONGEST]
        if text in self._known:
            self._known.move_to_end(text)
            return self._known[text]
        self._wanted.add(text)
        return []

    def advance(self) -> bool:
        """True if lines have to be drawn again."""
        if self._thread is not None and self._thread.is_alive():
            return False
        fresh, self._answer = self._answer, {}
        self._known.update(fresh)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        wanted, self._wanted = [t for t in self._wanted if t not in self._known], set()
        if wanted and not self._stop.is_set():
            self._thread = Thread(target=self._ask, args=(wanted,), name="log-spans", daemon=True)
            self._thread.start()
        return bool(fresh)

    def close(self) -> None:
        self._stop.set()
        if self._thread is None or not self._thread.is_alive():
            self._child.close()

    def _ask(self, lines: list[str]) -> None:
        try:
            self._answer = dict(zip(lines, self._child.spans(lines), strict=True))
        except TooSlow:
            self._stop.set()  # the lines stay without colour; the scan says why
        except Stopped:
            pass
        finally:
            if self._stop.is_set():
                self._child.close()
