"""The forms of a fact: its wordings from every family, in an order that mixes them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from core.augment import generic
from core.augment.about import About, about
from core.augment.templates import Templates, Wording, kind
from core.pairs import Pair

BORROWED = "borrowed"
Candidate = tuple[Pair, Wording]
TURN = {"ask": 4, "fact": 6, "model": 3, "borrowed": 2}
"""Wordings a family gives in one turn, where it is not 1: true paraphrases before mechanical ones."""


def in_turn(
    group: Sequence[Pair],
    known: Templates,
    lending: Lending,
    rng: random.Random,
    more: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Candidate]:
    """Candidate wordings for a fact's pairs, unverified: some of each family, then the next of each.

    So a small number of forms is still a varied one. more: wordings by pair id that a model gave.
    """
    by_family = _by_family(group, known, lending, rng, more or {})
    families = sorted(by_family)
    rng.shuffle(families)
    at = 0
    while any(at * TURN.get(f, 1) < len(by_family[f]) for f in families):
        for family in families:
            each = TURN.get(family, 1)
            yield from by_family[family][at * each : (at + 1) * each]
        at += 1


def _by_family(
    group: Sequence[Pair],
    known: Templates,
    lending: Lending,
    rng: random.Random,
    more: Mapping[str, Sequence[str]],
) -> dict[str, list[Candidate]]:
    by_family: dict[str, list[Candidate]] = defaultdict(list)
    for n, pair in enumerate(group):
        it = about(pair)
        found = list(generic.wordings(pair, it, rng))
        found += [Wording("model", k, text) for k, text in enumerate(more.get(pair.id, ()), 1)]
        if n == 0:
            found += known.wordings(pair.domain, it)
            found += lending.to(pair, it)
        for wording in found:
            by_family[kind(wording.family)].append((pair, wording))
    for listed in by_family.values():
        rng.shuffle(listed)
    return by_family


class Lending:
    """Wordings that pairs lend to pairs about the same fields of other things."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._by_fields: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
        for pair in pairs:
            it = about(pair)
            text = pattern(pair.question, it)
            if text and it.fields:
                known = self._by_fields[(pair.domain, *sorted(it.fields))]
                known.setdefault(text, len(known) + 1)

    def to(self, pair: Pair, it: About) -> Iterator[Wording]:
        for text, n in self._by_fields.get((pair.domain, *sorted(it.fields)), {}).items():
            if it.name and ("{node}" not in text or it.node):
                said = text.replace("{name}", it.name).replace("{node}", it.node)
                yield Wording(BORROWED, n, said)


def pattern(question: str, it: About) -> str:
    """The question with name and node label taken out; "" where something of its own is left."""
    if not it.name or it.name not in question or any(v in question for v in it.values):
        return ""
    text = question.replace(it.name, "{name}")
    if it.node:
        text = text.replace(it.node, "{node}")
    return "" if any(c.isdigit() for c in text) else text
