"""What the Trace screen may ask: stored answers, suspect pairs, corrections, and a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from tui.desk.marks import writes


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A stored answer. response: its id.  badness: 3 wrong but cited … 0 right, `word` says it."""

    response: str
    question: str
    answer: str
    badness: int
    word: str
    cause: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class AnswersView:
    """The answers of one version, worst first. versions: whose answers are stored, newest first."""

    version: str
    at: str
    answers: tuple[AnswerRow, ...]
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarkRow:
    """A marker at answer[start:end] with its class. link: http or https, "" if none."""

    text: str
    cls: str
    start: int
    end: int
    name: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class SuspectRow:
    """A pair that may have taught the answer. reasons: (why, in words).

    right: it says the expected facts; None: not known.  queued: number of its open correction.
    """

    pair_id: str
    question: str
    answer: str
    domain: str
    source: str
    source_ref: str
    score: float
    reasons: tuple[tuple[str, str], ...]
    right: bool | None = None
    content_hash: str = ""
    queued: int | None = None


@dataclass(frozen=True, slots=True)
class TraceView:
    """One answer traced. version, snapshot: "" where none of ours.  grade: "" where not known."""

    response: str
    answer: str
    question: str
    version: str
    by: str
    base_model: str
    status: str
    snapshot: str
    pairs: int
    marks: tuple[MarkRow, ...]
    suspects: tuple[SuspectRow, ...]
    grade: str = ""
    expected: str = ""
    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """answer None: the pair is removed."""

    id: int
    pair_id: str
    snapshot: str
    answer: str | None
    why: str
    who: str
    at: str
    status: str
    response: str = ""


@dataclass(frozen=True, slots=True)
class ReplyView:
    """path: what answered, at `where`.  answered: the question this answers, "" if the one asked."""

    path: Literal["endpoint", "stored", "retrieval"]
    where: str
    answer: str
    marks: tuple[MarkRow, ...]
    latency_s: float | None = None
    deferred: bool = False
    tools: tuple[str, ...] = ()
    answered: str = ""
    alike: float = 1.0
    note: str = ""
    response: str = ""


class TraceDesk(Protocol):
    """endpoint, stop_asking: instant."""

    def answers(self, version: str | None = None) -> AnswersView: ...
    def trace(self, given: str, version: str | None = None) -> TraceView: ...
    def corrections(self) -> tuple[CorrectionRow, ...]: ...  # the open ones
    @writes
    def correct(
        self, view: TraceView, pair_id: str, answer: str | None, why: str
    ) -> CorrectionRow: ...
    @writes
    def dismiss(self, number: int, why: str) -> None: ...
    @writes
    def next_snapshot(self, snapshot: str) -> str: ...  # its dataset_version

    # who: a version (its stored answers), "" the newest; RETRIEVAL; or an address of a server
    def ask(self, question: str, who: str) -> ReplyView: ...
    def stop_asking(self) -> None: ...


RETRIEVAL = "retrieval"
