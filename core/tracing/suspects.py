"""Pairs of a snapshot that may have taught an answer, the most suspect first.

    same text     its answer is this very text, markers aside            1
    same entity   the pair cites a source that the answer cites          0.40
    wording       its question is like the one that was asked            0.30 × likeness
    like text     its answer is like the answer, in the same way         0.25 × likeness
    same value    it states a value that is wrong in the answer          0.20
                  (where it is not known what is wrong: any value of it  0.10)

Likeness is the shared part of the content words. Below LEAST_ALIKE it is no reason by itself and only
orders pairs that are suspect for another; where the answer cites nothing, half of that is enough for
the text. The sum is at most 1. A pair is suspect for at least one reason. Whether its own answer says
the expected facts is told too: then it is not the pair that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from core import citations
from core.evaluation.normalise import Prepared, Quantity
from core.near_duplicates import content_words, jaccard
from core.pairs import Pair

Why = Literal["text", "entity", "wording", "value"]
ENTITY, WORDING, LIKE_TEXT, WRONG_VALUE, SAME_VALUE = 0.40, 0.30, 0.25, 0.20, 0.10
LEAST_ALIKE = 0.3
MAX_VALUES = 12  # values of one answer that are looked for


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the answer. sources: cited ids.  values: to look for in pairs.

    wrong: the values are known to be wrong; else they are merely those of the answer.
    """

    answer: str
    question: str
    sources: tuple[str, ...]
    values: tuple[Quantity, ...]
    wrong: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """why: which kind.  what: in words, with the source, the likeness or the value."""

    why: Why
    what: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """score: 0…1, how many of the reasons hold.  right: the pair says the expected facts; None: not
    known what is expected.
    """

    pair: Pair
    score: float
    reasons: tuple[Reason, ...]
    right: bool | None = None


def find_suspects(
    pairs: Iterable[Pair],
    evidence: Evidence,
    right: Callable[[str], bool] | None = None,
    limit: int = 20,
) -> tuple[Suspect, ...]:
    """The most suspect of `pairs`, by score, then by id. right: judges a pair's own answer."""
    looked_for = _LookedFor(
        evidence,
        content_words(evidence.question[:10_000]),
        content_words(citations.without_markers(evidence.answer)[:10_000]),
        _flat(evidence.question),
        _flat(citations.without_markers(evidence.answer)),
        frozenset(evidence.sources),
    )
    found = []
    for pair in pairs:
        score, reasons = _reasons(pair, looked_for)
        if reasons:
            found.append((-score, pair.id, pair, reasons))
    found.sort(key=lambda f: f[:2])
    return tuple(
        Suspect(pair, round(-score, 4), tuple(reasons), right(pair.answer) if right else None)
        for score, _, pair, reasons in found[:limit]
    )


@dataclass(frozen=True, slots=True)
class _LookedFor:
    """The evidence, read once. words, said: of question and answer.  question, text: flat."""

    evidence: Evidence
    words: frozenset[str]
    said: frozenset[str]
    question: str
    text: str
    sources: frozenset[str]


def _reasons(pair: Pair, it: _LookedFor) -> tuple[float, list[Reason]]:
    score, reasons, evidence = 0.0, [], it.evidence
    text = citations.without_markers(pair.answer)
    if it.text and _flat(text) == it.text:
        score = 1.0
        reasons.append(Reason("text", "its answer is this very text"))
    else:
        alike = jaccard(it.said, content_words(text[:10_000]))
        score += LIKE_TEXT * alike
        if alike >= (LEAST_ALIKE if it.sources else LEAST_ALIKE / 2):
            reasons.append(Reason("text", f"its answer is {100 * alike:.0f} % alike"))
    cited = [m.source_id for m in citations.find(pair.answer)] if it.sources else []
    shared = [s for s in dict.fromkeys(cited) if s in it.sources]
    if shared:
        score += ENTITY
        reasons.append(Reason("entity", f"cites {', '.join(shared)} too"))
    if it.question and _flat(pair.question) == it.question:
        score += WORDING
        reasons.append(Reason("wording", "asks the same question"))
    else:
        alike = jaccard(it.words, content_words(pair.question[:10_000]))
        score += WORDING * alike
        if alike >= LEAST_ALIKE:
            reasons.append(Reason("wording", f"its question is {100 * alike:.0f} % alike"))
    values = [str(v) for v in evidence.values if _states(pair.answer, v)]
    if values:
        score += WRONG_VALUE if evidence.wrong else SAME_VALUE
        verb = "states the wrong value too" if evidence.wrong else "states the same value"
        reasons.append(Reason("value", f"{verb}: {', '.join(dict.fromkeys(values))}"))
    return min(1.0, score), reasons


def _states(answer: str, wanted: Quantity) -> bool:
    return any(same_value(q, wanted) for q in Prepared(answer).quantities)


def same_value(a: Quantity, b: Quantity) -> bool:
    """The same number of the same thing: unit, or what is counted."""
    if a.value is None or b.value is None:
        return a.literal == b.literal
    return a.value == b.value and a.unit == b.unit and (bool(a.unit) or _counts_same(a, b))


def _counts_same(a: Quantity, b: Quantity) -> bool:
    return a.counted[:1] == b.counted[:1] or bool(set(a.counted[:2]) & set(b.counted[:2]))


def telling(values: Sequence[Quantity]) -> tuple[Quantity, ...]:
    """Those with a unit or something counted; a bare number occurs everywhere."""
    seen: dict[str, Quantity] = {}
    for q in values:
        if q.unit or q.counted:
            seen.setdefault(str(q), q)
    return tuple(seen.values())[:MAX_VALUES]


def _flat(text: str) -> str:
    return " ".join(text.split()).casefold()
