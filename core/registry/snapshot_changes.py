"""What changed from one stored snapshot to another, by domain, by entity and by fact."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from core import citations
from core.pairs import Pair
from core.registry import snapshots
from core.registry.store import Registry
from core.snapshots import Diff, diff
from core.subjects import subject

_ANSWER_CHARS = 200
Side = Literal["added", "removed", "changed"]


@dataclass(slots=True)
class Tally:
    """Pairs added, removed and changed."""

    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(slots=True)
class FactChange:
    """One fact. before, after: an answer of each side that the other does not give; "" if none."""

    entities: tuple[str, ...]
    fact: str
    pairs: Tally = field(default_factory=Tally)
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference by pair ids, and what it is about. A pair that cites two entities counts for
    both; facts is without the pairs whose data does not tell one.
    """

    pairs: Diff
    domains: dict[str, Tally]
    entities: dict[str, Tally]
    facts: tuple[FactChange, ...]


def between(reg: Registry, a: str, b: str) -> Changes:
    """The way from snapshot `a` to snapshot `b`. Raises NotFound.

    Only the pairs that differ are read; a changed pair is told by what it is about in `b`.
    """
    found = diff(snapshots.load(reg, a), snapshots.load(reg, b))
    domains: dict[str, Tally] = {}
    entities: dict[str, Tally] = {}
    facts: dict[tuple[tuple[str, ...], str], FactChange] = {}
    answers: dict[tuple[tuple[str, ...], str], tuple[set[str], set[str]]] = {}
    for side, counts, pair in _differing(reg, a, b, found):
        about = subject(pair)
        if counts:
            _count(domains.setdefault(pair.domain, Tally()), side)
            for entity in about.entities:
                _count(entities.setdefault(entity, Tally()), side)
        if about.fact is None:
            continue
        key = (about.entities, about.fact)
        change = facts.setdefault(key, FactChange(*key))
        if counts:
            _count(change.pairs, side)
        before, after = answers.setdefault(key, (set(), set()))
        (before if side == "removed" or not counts else after).add(_said(pair))
    for key, (before, after) in answers.items():
        facts[key].before = min(before - after, default="")
        facts[key].after = min(after - before, default="")
    return Changes(
        found,
        dict(sorted(domains.items())),
        dict(sorted(entities.items())),
        tuple(facts[key] for key in sorted(facts)),
    )


def _differing(reg: Registry, a: str, b: str, found: Diff) -> Iterator[tuple[Side, bool, Pair]]:
    """(side, whether it is counted, pair); a changed pair comes once from each snapshot."""

    def some(snapshot: str, ids: Iterable[str]) -> Iterator[Pair]:
        ids = tuple(ids)
        return snapshots.iter_pairs(reg, snapshot, ids) if ids else iter(())

    for pair in some(a, found.removed):
        yield "removed", True, pair
    for pair in some(a, found.changed):
        yield "changed", False, pair
    for pair in some(b, found.changed):
        yield "changed", True, pair
    for pair in some(b, found.added):
        yield "added", True, pair


def _count(tally: Tally, side: Side) -> None:
    setattr(tally, side, getattr(tally, side) + 1)


def _said(pair: Pair) -> str:
    return textwrap.shorten(citations.without_markers(pair.answer), _ANSWER_CHARS, placeholder=" …")
