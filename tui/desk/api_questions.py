"""What the golden set's editor may ask: its questions, their labels, and what a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tui.desk.marks import writes


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One item. file: the one it stands in.  set: its team's name, "" for the design's own."""

    id: str
    category: str
    question: str
    answer: str
    facts: int
    live: bool
    canary: bool
    paraphrases: int
    file: str
    set: str = ""


@dataclass(frozen=True, slots=True)
class GoldenView:
    """counts: (category, items, how many the design asks for).  version: hash of what is used."""

    rows: tuple[QuestionRow, ...]
    counts: tuple[tuple[str, int, int], ...]
    version: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """fault: the set cannot be used with it; else something to look at. id: "" for the whole set."""

    fault: bool
    id: str
    what: str
    try_next: str


class QuestionsDesk(Protocol):
    def listed(self) -> GoldenView: ...
    def text(self, question_id: str) -> str: ...  # as JSON, a field a line
    def blank(self, category: str) -> str: ...  # a new one to fill in, with the next free id
    def check(self) -> tuple[CheckRow, ...]: ...
    @writes
    def save(
        self, text: str, file: str, was: str = ""
    ) -> str: ...  # its id; was: the item replaced
    @writes
    def remove(self, question_id: str) -> None: ...
