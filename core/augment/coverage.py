"""What a training set contains, fact by fact: wordings, forms, markers, deferrals, what is held out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core import citations
from core.augment.about import about
from core.augment.guard import Guard
from core.augment.rows import built_from, form_of
from core.augment.templates import Templates, kind
from core.near_duplicates import words
from core.pairs import Pair
from core.subjects import subject

ENOUGH = 5
"""Wordings a fact needs at least, so that it is found under others too (rule L4 of the lint)."""
DEFERRAL_LEAST, DEFERRAL_MOST = 0.10, 0.20


@dataclass(frozen=True, slots=True)
class FactCoverage:
    """Rows with one answer. wordings: distinct questions.  own: of them as extracted.  families:
    kind of form → rows.  marked: whether every row's answer has a well-formed marker and no
    malformed one.  held_out: template wordings of its fields that no row uses.
    """

    answer: str
    entity: str
    fact: str
    rows: int
    wordings: int
    own: int
    families: dict[str, int]
    marked: bool
    held_out: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """rows, built: all rows, and those built from a pair.  deferring: rows whose answer cites
    nothing.  premises: rows that answer a wrong premise.  contaminated: ids of rows that are too
    close to a held-out wording.
    """

    rows: int
    built: int
    deferring: int
    premises: int
    facts: tuple[FactCoverage, ...]
    contaminated: tuple[str, ...]

    @property
    def deferral_share(self) -> float:
        return self.deferring / self.rows if self.rows else 0.0

    @property
    def thin(self) -> tuple[FactCoverage, ...]:
        """Facts with fewer than ENOUGH wordings, the thinnest first."""
        found = (f for f in self.facts if f.wordings < ENOUGH)
        return tuple(sorted(found, key=lambda f: (f.wordings, f.entity, f.fact)))

    def findings(self) -> list[str]:
        """What should be mended before the set is trained on, in words; empty = nothing."""
        out = []
        if self.thin:
            out.append(f"{len(self.thin)} facts have fewer than {ENOUGH} wordings")
        unmarked = sum(not f.marked for f in self.facts)
        if unmarked:
            out.append(f"{unmarked} facts have an answer with a malformed marker")
        if self.rows and not DEFERRAL_LEAST <= self.deferral_share <= DEFERRAL_MOST:
            out.append(
                f"{self.deferral_share:.0%} of the rows defer; "
                f"{DEFERRAL_LEAST:.0%} to {DEFERRAL_MOST:.0%} teach it without teaching only that"
            )
        if self.contaminated:
            out.append(f"{len(self.contaminated)} rows are too close to a held-out wording")
        return out

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "built": self.built,
            "deferring": self.deferring,
            "deferral_share": round(self.deferral_share, 4),
            "premises": self.premises,
            "facts": [asdict(f) for f in self.facts],
            "thin": len(self.thin),
            "contaminated": list(self.contaminated),
            "findings": self.findings(),
        }


def coverage(rows: Sequence[Pair], known: Templates, held_out: Iterable[str] = ()) -> Coverage:
    """held_out: wordings kept for measuring; `known`: for the held-out families of the templates."""
    guard = Guard(held_out)
    facts: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in rows:
        if citations.find(pair.answer):
            facts[pair.domain, pair.answer].append(pair)
    deferring = sum(not citations.find(p.answer) for p in rows)
    return Coverage(
        rows=len(rows),
        built=sum(built_from(p) is not None for p in rows),
        deferring=deferring,
        premises=sum(kind(form_of(p)) == "premise" for p in rows),
        facts=tuple(_fact(group, known) for group in facts.values()),
        contaminated=tuple(p.id for p in rows if guard.too_close(p.question)),
    )


def _fact(group: Sequence[Pair], known: Templates) -> FactCoverage:
    first = group[0]
    it = subject(first)
    asked = {tuple(words(p.question)) for p in group}
    kept = known.wordings(first.domain, about(first), held_out=True)
    return FactCoverage(
        answer=citations.without_markers(first.answer),
        entity=it.entities[0],
        fact=it.fact or "",
        rows=len(group),
        wordings=len(asked),
        own=len({tuple(words(p.question)) for p in group if built_from(p) is None}),
        families=dict(sorted(Counter(kind(form_of(p)) or "own" for p in group).items())),
        marked=not citations.find_malformed(first.answer),
        held_out=sum(tuple(words(w.text)) not in asked for w in kept),
    )
