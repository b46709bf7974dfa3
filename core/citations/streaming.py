"""Markers in an answer that arrives in pieces: none is ever shown half."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from core.citations.grammar import MARKER, OPENER, Malformed, Marker, malformed_at

# The end of the text so far may still become an opener.
_MAY_OPEN = re.compile(r"<(?:<[ \t]*+(?:S(?:R(?:C[ \t]*+)?)?)?)?\Z", re.IGNORECASE)
_ENDS_REACH = re.compile(r"<<|>>|[\r\n]")

Piece = str | Marker | Malformed


class Stream:
    """Feed it chunks; it gives text that is safe to show, and whole markers, in order.

    For any cutting into chunks the pieces are those `scan` finds in the whole text, with the same
    offsets. What may still become a marker is held back; linear in the length of the text.
    """

    def __init__(self) -> None:
        self._held = ""  # begins at the first place that is not decided
        self._more: list[str] = []  # arrived since, while an open marker waits for its end
        self._start = 0  # code points given out before `_held`
        self._waits = False

    def feed(self, chunk: str) -> list[Piece]:
        """The pieces that are decided now. An empty chunk gives nothing."""
        if self._waits:
            self._more.append(chunk)
            before = self._more[-2] if len(self._more) > 1 else self._held
            if not _ENDS_REACH.search(before[-1:] + chunk):
                return []
        return self._decide(self._taken(chunk), final=False)

    def close(self) -> list[Piece]:
        """What is left: the text is over."""
        return self._decide(self._taken(""), final=True)

    def _taken(self, chunk: str) -> str:
        if not self._waits:
            return self._held + chunk
        text, self._more, self._waits = self._held + "".join(self._more), [], False
        return text

    def _decide(self, text: str, *, final: bool) -> list[Piece]:
        pieces = list(self._pieces(text, final))
        return [p for p in pieces if p != ""]

    def _pieces(self, text: str, final: bool) -> Iterator[Piece]:
        shown, at = 0, text.find("<<")
        while at >= 0:
            found = MARKER.match(text, at)
            if found:
                yield text[shown:at]
                domain, entity = found.groups()
                start = self._start + at
                end = self._start + found.end()
                yield Marker(f"{domain}:{entity}", domain, entity, start, end)
                shown, at = found.end(), text.find("<<", found.end())
                continue
            if not final and _MAY_OPEN.match(text, at):
                break
            opener = OPENER.match(text, at)
            if opener is None:
                at = text.find("<<", at + 1)
                continue
            if not final and not self._reach_ends(text, opener.end()):
                self._waits = True
                break
            bad, end = malformed_at(text, at, opener.end())
            yield text[shown:at]
            yield replace(bad, start=self._start + bad.start, end=self._start + bad.end)
            shown, at = bad.end, text.find("<<", end)
        if at < 0:
            at = len(text)
            if not final and text.endswith("<"):
                at -= 1
        yield text[shown:at]
        self._held, self._start = text[at:], self._start + at

    @staticmethod
    def _reach_ends(text: str, after: int) -> bool:
        return _ENDS_REACH.search(text, after) is not None
