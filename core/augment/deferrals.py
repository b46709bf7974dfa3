"""Rows that teach not to answer: hand-overs in other words, invented things, wrong premises.

A model that only ever sees questions with an answer learns to answer everything. Three kinds:

    hand-overs   the pairs without a citation that there are, in mechanical other words
    invented     a wording of a real attribute asked of a thing that does not exist; refused
    premise      a wrong value from another thing, put as a question; answered with the pair's own
                 answer, to the letter
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from core import citations
from core.augment import generic
from core.augment.about import About, about
from core.augment.guard import Guard
from core.augment.rows import BUILT_FROM, FORM, row
from core.augment.templates import FACT, Templates, Wording, kind
from core.near_duplicates import words
from core.pairs import Message, Pair

_STARTS = (
    "Bar Bel Cor Dra Fen Gal Hal Isk Jor Kel Lor Mar Nor Or Pel Quar Ras Sel Tor Ul Vel Wes Yar Zel"
)
_ENDS = (
    "dane fell gard hold ick lund mere nock olan path quist rick stane thorpe und vale wick yard"
)
_REFUSALS = (
    "I know of no ACCESS resource called {name}, so I cannot answer that.",
    "{name} is not an ACCESS resource I have information on.",
    "I have no information on an ACCESS resource named {name}.",
)
_PREMISES = (
    "{claim} Is that right?",
    "I read this: {claim} Correct?",
    "Somebody told me: {claim} True?",
)
_TRIES = 50


def handovers(pairs: Iterable[Pair], count: int, seed: int, guard: Guard) -> list[Pair]:
    """Up to `count` mechanical other wordings of the pairs that cite nothing, evenly over them."""
    defer = [p for p in pairs if not citations.find(p.answer)]
    listed = [_plain_forms(p, random.Random(f"{seed} {p.id}")) for p in defer]
    out: list[Pair] = []
    seen = {tuple(words(p.question)) for p in defer}
    for at in range(max(map(len, listed), default=0)):
        for pair, wordings in zip(defer, listed, strict=True):
            if len(out) >= count:
                return out
            if at >= len(wordings):
                continue
            key = tuple(words(wordings[at].text))
            if key and key not in seen and not guard.too_close(wordings[at].text):
                seen.add(key)
                out.append(row(pair, wordings[at]))
    return out


def _plain_forms(pair: Pair, rng: random.Random) -> list[Wording]:
    it = about(pair)
    mechanical = ("surface", "reopened", "typo")
    found = [w for w in generic.wordings(pair, it, rng) if w.family in mechanical and w.text]
    # the keyword form may lose what makes the question a question about now
    found = [w for w in found if (w.family, w.number) != ("surface", 2)]
    rng.shuffle(found)
    return found


def invented(
    pairs: Sequence[Pair], known: Templates, count: int, seed: int, guard: Guard
) -> list[Pair]:
    """`count` questions on things that do not exist; their names are in no pair and no held-out
    text. Empty where no pair has a template.
    """
    rng = random.Random(f"invented {seed}")
    asked = [
        (p, w.text, it.name)
        for p in pairs
        for it in (about(p),)
        for w in known.wordings(p.domain, it)
        if it.name in w.text and kind(w.family) != FACT  # a single fact's words may be all its own
    ]
    taken = f"{guard.text} {' '.join(f'{p.question} {p.answer}' for p in pairs)}".casefold()
    out: list[Pair] = []
    for _ in range(_TRIES * count if asked else 0):
        if len(out) >= count:
            break
        pair, text, real = rng.choice(asked)
        name = rng.choice(_STARTS.split()) + rng.choice(_ENDS.split())
        if name.casefold() in taken:
            continue
        taken += f" {name.casefold()}"
        text = text.replace(real, name)
        if not guard.too_close(text):
            out.append(_refused(pair, text, rng.choice(_REFUSALS).format(name=name), len(out) + 1))
    return out


def _refused(pair: Pair, question: str, answer: str, n: int) -> Pair:
    return replace(
        pair,
        id=f"{pair.id}#invented:{n}",
        source="doc_generated",
        source_ref="doc://refusals",
        domain="refusal",
        messages=(Message("user", question), Message("assistant", answer)),
        metadata={
            **pair.metadata,
            "has_citation": False,
            "source_hash": None,
            "source_data": {"kind": "unknown_or_out_of_scope", "expected_tools": []},
            BUILT_FROM: pair.id,
            FORM: f"invented:{n}",
        },
    )


def premises(pairs: Sequence[Pair], count: int, seed: int, guard: Guard) -> list[Pair]:
    """`count` questions that state a value of another thing; the answer is the pair's own."""
    rng = random.Random(f"premise {seed}")
    by_fields: defaultdict[tuple[str, ...], list[tuple[Pair, About]]] = defaultdict(list)
    for pair in {p.answer: p for p in pairs}.values():
        it = about(pair)
        if it.name and it.values and citations.find(pair.answer) and not _says_yes_or_no(pair):
            by_fields[(pair.domain, *sorted(it.fields))].append((pair, it))
    claims = [
        (pair, claim) for group in by_fields.values() for pair, claim in _wrong_claims(group, rng)
    ]
    rng.shuffle(claims)
    out: list[Pair] = []
    for pair, claim in claims:
        if len(out) >= count:
            break
        text = rng.choice(_PREMISES).format(claim=claim)
        if not guard.too_close(text):
            out.append(row(pair, Wording("premise", len(out) + 1, text)))
    return out


def _wrong_claims(
    group: Sequence[tuple[Pair, About]], rng: random.Random
) -> Iterator[tuple[Pair, str]]:
    """The answer's first value swapped for the first value of another thing, where they differ."""
    for pair, it in group:
        said = citations.without_markers(pair.answer).strip()
        others = [o.values[0] for _, o in group if o.name != it.name]
        others = [v for v in others if v not in said and not it.values[0].startswith(v)]
        if others:
            yield pair, said.replace(it.values[0], rng.choice(others), 1)


def _says_yes_or_no(pair: Pair) -> bool:
    return re.match(r"(?:yes|no)\b", pair.answer, re.IGNORECASE) is not None
