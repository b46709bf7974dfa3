"""What a golden question is, and how a faulty file is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NotRequired, TypedDict

from core.errors import GoldenError

DESIGN_COUNTS: dict[str, int] = {
    "resource_specs": 40,
    "software": 30,
    "comparisons": 20,
    "documentation": 30,
    "dynamic": 30,
    "edge_cases": 20,
}
"""How many questions of each category the design asks for: 170 in all."""

CATEGORIES: tuple[str, ...] = tuple(DESIGN_COUNTS)
QUERY_TYPES = ("STATIC", "DYNAMIC")
MAX_SHOWN_FAULTS = 5


class NumberFact(TypedDict):
    """A number the answer must contain, in the JSON form of the file."""

    type: Literal["number"]
    value: int | float
    unit: str
    tolerance: NotRequired[float]
    aliases: NotRequired[list[str]]


KeyFact = list[str] | NumberFact
"""Accepted alternatives, any one of which will do; or a typed number."""


@dataclass(frozen=True, slots=True)
class GoldenQuestion:
    """One labelled question. `key_facts` keeps the plain JSON shapes; do not change them.

    cluster: the item a question belongs to, its own id but for paraphrases: their answers are no
    independent observations.  set: name of the set it came from, "" where none was given.
    """

    id: str
    category: str
    question: str
    expected_answer: str
    key_facts: tuple[KeyFact, ...]
    expected_sources: tuple[str, ...]
    expected_tools: tuple[str, ...]
    query_type: Literal["STATIC", "DYNAMIC"]
    citation_expected: bool
    forbidden: tuple[str, ...] = ()
    paraphrases: tuple[str, ...] = ()
    canary: bool = False
    cluster: str = ""
    set: str = ""

    def __post_init__(self) -> None:
        if not self.cluster:
            object.__setattr__(self, "cluster", self.id)

    @property
    def should_defer(self) -> bool:
        """True when only a live tool can answer."""
        return self.query_type == "DYNAMIC"

    def as_row(self) -> dict[str, Any]:
        """The JSON object of the file; `load_golden` reads it back to an equal question.

        The fields that were added later are left out where they say nothing.
        """
        row = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        for name in ("paraphrases", "canary", "set"):
            if not row[name]:
                del row[name]
        if row["cluster"] == row["id"]:
            del row["cluster"]
        return row

    def rephrased(self) -> Iterator[GoldenQuestion]:
        """Each paraphrase as a question of its own: same labels, id `<id>~1`, `<id>~2`, …"""
        for n, text in enumerate(self.paraphrases, start=1):
            yield replace(self, id=f"{self.id}~{n}", question=text, paraphrases=())


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a golden file. `line` counts from 1; 0 is the file as a whole."""

    file: str
    line: int
    field: str
    what: str
    try_next: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.what}" if self.field else f"{where}: {self.what}"


class GoldenFileError(GoldenError):
    """A golden file with faults: `file`, `line`, `field` are the first one's, `faults` has all."""

    def __init__(self, faults: list[Fault]) -> None:
        first, rest = faults[0], faults[1:]
        more = [str(f) for f in rest[:MAX_SHOWN_FAULTS]]
        if len(rest) > MAX_SHOWN_FAULTS:
            more.append(f"and {len(rest) - MAX_SHOWN_FAULTS} more faults")
        super().__init__(
            str(first),
            why=("also: " + "; ".join(more)) if more else "",
            try_next=first.try_next,
        )
        self.faults = tuple(faults)
        self.file, self.line, self.field = first.file, first.line, first.field


def whole(file: str, what: str, try_next: str) -> GoldenFileError:
    """A fault of the file as a whole."""
    return GoldenFileError([Fault(file, 0, "", what, try_next)])


def category_counts(questions: Iterable[GoldenQuestion]) -> dict[str, int]:
    """Questions per category, all categories in the design's order, zeros included."""
    found = Counter(q.category for q in questions)
    return {name: found[name] for name in CATEGORIES}
