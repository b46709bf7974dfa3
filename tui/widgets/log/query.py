"""What a search or a filter asks of a line, and which lines of a piece of a log fit.

Text fits whatever its case unless it holds a capital letter. What is looked at is the line as it is
in the file: also the states of a progress bar that were drawn over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from tui.widgets.log import levels as log_levels

CROWDED = 64  # hits after which going line by line is cheaper, if they are close together


@dataclass(frozen=True, slots=True)
class Query:
    """text: a part of the line, or a regular expression.  inverse: lines without it.
    level: of log_levels; lines below it do not fit. An empty query fits every line."""

    text: str = ""
    regex: bool = False
    inverse: bool = False
    level: int = 0

    def __bool__(self) -> bool:
        return bool(self.text) or self.level > log_levels.INFO

    @property
    def folded(self) -> bool:
        """Whether upper and lower case are the same."""
        words = re.sub(r"\\.", "", self.text) if self.regex else self.text  # \S is no capital
        return words == words.lower()

    @property
    def written(self) -> str:
        """As it is typed."""
        body = f"/{self.text}/" if self.regex else self.text
        return f"!{body}" if self.inverse else body

    def with_level(self, level: int) -> Query:
        return replace(self, level=level)

    def problem(self) -> str | None:
        """Why this cannot be asked."""
        if not self.regex:
            return None
        try:
            re.compile(self.text.encode())
        except (re.error, OverflowError, RecursionError) as error:
            return str(error)
        return None


def typed(words: str, level: int = 0) -> Query:
    """`text`, `/regular expression/`, and either with `!` in front for lines without it."""
    inverse = words.startswith("!")
    body = words[1:] if inverse else words
    if body.startswith("/") and len(body) > 1:
        return Query(body[1:].removesuffix("/") or "/", True, inverse, level)
    return Query(body, False, inverse, level)


class Matcher(Protocol):
    """Which lines of a piece hold what is asked for. `inverse` is the scan's business."""

    def lines(self, data: bytes, end: int) -> list[int]:
        """Numbers, from 0 and rising, of the lines that fit in `data` up to `end`, where one ends."""

    def close(self) -> None: ...


class TextMatcher:
    def __init__(self, query: Query) -> None:
        needle = query.text.encode("utf-8", "replace")
        # without letters in the needle the case of the rest does not matter
        self._fold = query.folded and needle.upper() != needle
        self.needle = needle

    def lines(self, data: bytes, end: int) -> list[int]:
        return holding(data.lower() if self._fold else data, self.needle, end)

    def close(self) -> None:
        pass


class LevelMatcher:
    def __init__(self, least: int) -> None:
        self._least = least
        self._marks = log_levels.marks(least)

    def lines(self, data: bytes, end: int) -> list[int]:
        lowered = data[:end].lower()
        begins = {b for mark in self._marks for b in _begins(lowered, mark)}
        found, line, at = [], 0, 0
        for begin in sorted(begins):
            line += lowered.count(b"\n", at, begin)
            at = begin
            stop = lowered.find(b"\n", begin, begin + log_levels.HEAD)
            head = lowered[begin : stop if stop >= 0 else begin + log_levels.HEAD]
            if log_levels.level(head) >= self._least:
                found.append(line)
        return found

    def close(self) -> None:
        pass


class Both:
    """Lines that fit two matchers; `minus` takes those of the first away instead."""

    def __init__(self, first: Matcher, second: Matcher, *, minus: bool) -> None:
        self._first, self._second, self._minus = first, second, minus

    def lines(self, data: bytes, end: int) -> list[int]:
        rest = self._second.lines(data, end)
        if not rest:
            return []
        first = set(self._first.lines(data, end))
        return [n for n in rest if (n in first) != self._minus]

    def close(self) -> None:
        self._first.close()
        self._second.close()


def holding(data: bytes, needle: bytes, stop: int) -> list[int]:
    """Numbers of the lines of `data` up to `stop` that hold `needle`."""
    found: list[int] = []
    line = begin = 0
    at = data.find(needle, 0, stop)
    while at >= 0:
        line += data.count(b"\n", begin, at)
        found.append(line)
        end = data.find(b"\n", at, stop)
        if end < 0:
            break
        begin, line = end + 1, line + 1
        if len(found) == CROWDED and line < CROWDED * 8:
            rest = data[begin:stop].split(b"\n")
            found += [n for n, part in enumerate(rest, line) if needle in part]
            break
        at = data.find(needle, begin, stop)
    return found


def _begins(data: bytes, needle: bytes) -> Iterable[int]:
    """Where the lines begin that hold `needle`."""
    at = data.find(needle)
    while at >= 0:
        yield data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", at)
        if end < 0:
            return
        at = data.find(needle, end + 1)
