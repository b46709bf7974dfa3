"""A page as data. Text in it is raw: each renderer cleans and escapes it in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "", "strong", "dim", "code", "small", "count", "ok", "warn", "bad", "unsure", "loud", "tag"
]
Mood = Literal["ok", "warn", "bad", "unsure", "plain", "label"]


@dataclass(frozen=True, slots=True)
class Run:
    """Some text and what it means. `small` and `count` stand below the rest of a cell; a terminal has no
    room for counts. `tag` is a remark of ours inside somebody else's text.
    """

    text: str
    role: Role = ""


Line = tuple[Run, ...]
Part = str | tuple[str, Role]


def line(*parts: Part | Line) -> Line:
    """line("plain ", ("loud", "bad")) → runs."""
    out: list[Run] = []
    for part in parts:
        if isinstance(part, str):
            out.append(Run(part))
        elif part and isinstance(part[0], str):
            out.append(Run(part[0], part[1]))  # type: ignore[arg-type]
        else:
            out += part  # type: ignore[arg-type]
    return tuple(out)


def flat(runs: Line) -> str:
    """The text alone, without counts; what stands below in a cell follows after a blank."""
    return "".join(f" {r.text}" if r.role == "small" else r.text for r in runs if r.role != "count")


@dataclass(frozen=True, slots=True)
class Para:
    """mood label: it names what follows, and stays with it."""

    line: Line
    mood: Mood = "plain"


@dataclass(frozen=True, slots=True)
class Points:
    """A list. mood: the sign before each."""

    lines: tuple[Line, ...]
    mood: Mood = "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """head and rows have the same number of cells.

    numeric: from which column on cells are figures.  chosen: the column that matters most.
    brief: on a terminal only these columns are shown; () for all.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    numeric: int = 1
    chosen: int | None = None
    brief: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Short names with their values, many of them."""

    title: str
    pairs: tuple[tuple[str, Line], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in full. body: the answer's runs, markers coloured.  notes: label and what it says."""

    number: int
    tags: Line
    question: str
    prompt: str
    body: Line
    cut: int  # characters that are not shown
    notes: tuple[tuple[str, Line], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """0..1 each; None where there is no interval."""

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of bars: group → series → bar. main: the series that matters."""

    title: str
    groups: tuple[str, ...]
    series: tuple[str, ...]
    bars: tuple[tuple[Bar | None, ...], ...]
    main: str


@dataclass(frozen=True, slots=True)
class Spans:
    """One row a gate: what was measured with its interval, the target, and which side is good."""

    title: str
    rows: tuple[
        tuple[str, str, Bar, float, bool], ...
    ]  # label, verdict, measured, target, at least


@dataclass(frozen=True, slots=True)
class Curves:
    """name → (step, value 0..1); beside it the loss, if known."""

    title: str
    series: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    loss: tuple[tuple[float, float], ...] = ()


Drawing = Bars | Spans | Curves


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing; `alt` says in words what it shows."""

    drawing: Drawing
    alt: str


Block = Para | Points | Table | Facts | Answer | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """brief: also on a terminal."""

    title: str
    blocks: tuple[Block, ...]
    brief: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """verdict: GO, NO-GO or UNDECIDED.  lead: one sentence.  loud: what a reader must not miss.

    about: a line of facts under the lead.  made: when and from what this page was made.
    """

    name: str
    verdict: str
    lead: str
    summary: str
    loud: tuple[Line, ...]
    about: Line
    sections: Sequence[Section]
    made: str
