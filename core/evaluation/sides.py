"""The sides of a comparison: which value belongs to which name, and answers that mix them up.

    expected   "Derecho has 2,488 CPU nodes, Anvil 1,000."      derecho: 2,488   anvil: 1,000
    answer     "Derecho has 1,000, Anvil 2,488."                both values there, both wrong

A side is read from the expected answer: the values of one kind (two numbers of a unit, or two text
facts), each with the names that stand in its clause and in no other. In an answer a value belongs to
the name in its own clause; where a sentence lists names and then values, they belong together in
order. What cannot be told for sure binds nothing: this check only ever takes a grade away, so it
speaks up when a name in so many words has another side's value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from core.evaluation.matching import NumberLabel, equal, same_kind
from core.evaluation.normalise import UNITS, Prepared, normalise, without_markers, words

# Where one side ends and the other may begin.
_SENTENCE = re.compile(r"(?:[.;!?]+(?=\s|$)|\n)")
_CLAUSE = re.compile(
    r",(?=\s)|\b(?:and|but|while|whereas|against|versus|vs|than|compared (?:to|with)|unlike)\b"
)
_UNSURE = re.compile(r"\b(?:former|latter|compared|unlike|contrast|other way)\b")
_NEGATED = re.compile(r"\b(?:not|no|never|neither|nor|without)\b|n't\b")
# "V100" is what a side has, unless nothing else names it
_MODEL = re.compile(r"[a-z]{1,3}\d{1,4}\w?")
_TOKEN = re.compile(r"[^\W_][\w.-]*")


@dataclass(frozen=True, slots=True)
class Value:
    """A value some side has. positions(text, start, end): word positions of it in that piece."""

    shown: str
    words: frozenset[str]
    is_text: bool
    find: Callable[[Prepared, int, int], list[int]]


@dataclass(frozen=True, slots=True)
class Side:
    """words: what names this side and no other.  names: those of them that are proper names."""

    value: Value
    words: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Said:
    """`side` is said to have the value of side `value`. sure: in one clause, by its proper name."""

    side: int
    value: int
    sure: bool
    name: str


def sides_of(
    question: Prepared,
    expected: Prepared,
    kinds: Sequence[Sequence[Value]],
    common: frozenset[str],
    labelled: frozenset[str] = frozenset(),
) -> tuple[tuple[Side, ...], ...]:
    """The comparisons in an expected answer, one a kind of value; () where there is none.

    kinds: values of one kind each (all in GB, say).  common: words that never tell sides apart.
    labelled: words of key facts that are names of sides.
    """
    out = []
    asked = frozenset(question.words) | labelled
    proper = _proper(expected.raw) | _proper(question.raw)
    for values in kinds:
        if len(values) < 2:
            continue
        pieces = _pieces_with_one_value(expected, values)
        if pieces is None:
            continue
        if not any(asked & (piece & proper) for piece in pieces):
            pieces = _pieces_of_question(question, len(values)) or pieces
        own = frozenset().union(*(v.words for v in values))
        sides = []
        for n, (value, piece) in enumerate(zip(values, pieces, strict=True)):
            others = frozenset().union(*(p for i, p in enumerate(pieces) if i != n))
            telling = frozenset(
                w
                for w in piece - others - own - common
                if len(w) > 1 and not w.isdigit() and w not in UNITS and (w in asked or w in proper)
            )
            whole = frozenset(w for w in telling if not _MODEL.fullmatch(w))
            telling = whole if whole & proper else telling
            if value.is_text and labelled:
                telling &= labelled
            sides.append(Side(value, telling, telling & proper))
        # texts that are listed are no comparison unless the question names what they belong to
        if all(side.names & asked if side.value.is_text else side.words for side in sides):
            out.append(tuple(sides))
    return tuple(out)


def mixed_up(sides: Sequence[Side], answer: Prepared) -> tuple[str, ...]:
    """What the answer says of one side that is true of another; linear in its length."""
    if not any(side.value.find(answer, 0, len(answer.text)) for side in sides):
        return ()
    said = _read(sides, answer)
    right = {s.side for s in said if s.side == s.value}
    crossed = [s for s in said if s.side != s.value]
    sure = [s for s in crossed if s.sure]
    if not sure:
        # weak signs count when more than one side is wrong and never right
        weak = [s for s in crossed if s.side not in right]
        sure = weak if len({s.side for s in weak}) > 1 else []
    return tuple(
        dict.fromkeys(
            f"says {sides[s.value].value.shown} for {s.name}, expected {sides[s.side].value.shown}"
            for s in sure
        )
    )


def _read(sides: Sequence[Side], answer: Prepared) -> list[_Said]:
    out: list[_Said] = []
    topic: tuple[int, str] | None = None
    for start, end in _split(_SENTENCE, answer.text, 0, len(answer.text)):
        pieces = [
            (_mentions(sides, answer, a, b), _NEGATED.search(answer.text, a, b) is not None)
            for a, b in _split(_CLAUSE, answer.text, start, end)
        ]
        everything = [m for mentions, _ in pieces for m in mentions]
        names = _collapsed(m for m in everything if not m.is_value)
        values = [m.side for m in everything if m.is_value]
        if not values:
            topic = names[0] if len({side for side, _ in names}) == 1 else None
            continue
        listed = len(names) == len(values) > 1 and _is_list(everything)
        if listed and not _UNSURE.search(answer.text, start, end):
            pairs = zip(names, values, strict=True)
            out += [_Said(side, v, False, name) for (side, name), v in pairs]
            continue
        for mentions, negated in pieces:
            here = _collapsed(m for m in mentions if not m.is_value)
            there = [m.side for m in mentions if m.is_value]
            if negated or not there:
                continue
            if len(here) == len(there):
                out += [
                    _Said(side, v, len(here) == 1 and name in sides[side].names, name)
                    for (side, name), v in zip(here, there, strict=True)
                ]
            elif not here and not names and topic is not None and len(there) == 1:
                out.append(_Said(topic[0], there[0], False, topic[1]))
    return out


@dataclass(frozen=True, slots=True)
class _Mention:
    at: int
    side: int
    is_value: bool
    word: str


def _mentions(sides: Sequence[Side], answer: Prepared, start: int, end: int) -> list[_Mention]:
    piece = words(answer.text[start:end])
    out = []
    for n, side in enumerate(sides):
        if not side.words.isdisjoint(piece):
            out += [_Mention(at, n, False, w) for at, w in enumerate(piece) if w in side.words]
        out += [_Mention(at, n, True, "") for at in side.value.find(answer, start, end)[:1]]
    return sorted(out, key=lambda m: (m.at, m.is_value))


def _collapsed(mentions: Iterator[_Mention]) -> list[tuple[int, str]]:
    """Names in order; several words of one side in a row are one mention of it."""
    return [(side, next(run).word) for side, run in groupby(mentions, key=lambda m: m.side)]


def _is_list(mentions: Sequence[_Mention]) -> bool:
    """Names first and then values, or the other way round."""
    kinds = [kind for kind, _ in groupby(m.is_value for m in mentions)]
    return len(kinds) == 2


def _split(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for match in pattern.finditer(text, start, end):
        if match.start() > at:
            yield at, match.start()
        at = match.end()
    if end > at:
        yield at, end


def _pieces_with_one_value(
    expected: Prepared, values: Sequence[Value]
) -> list[frozenset[str]] | None:
    """The words around each value; None unless every value has a piece to itself.

    A piece without a value belongs to the next one of its sentence, else to the one before.
    """
    gathered: dict[int, set[str]] = {}
    for start, end in _split(_SENTENCE, expected.text, 0, len(expected.text)):
        waiting: set[str] = set()
        last: int | None = None
        for a, b in _split(_CLAUSE, expected.text, start, end):
            here = [n for n, v in enumerate(values) if v.find(expected, a, b)]
            said = set(words(expected.text[a:b]))
            if len(here) > 1 or (here and here[0] in gathered):
                return None
            if here:
                last = here[0]
                gathered[last] = said | waiting
                waiting = set()
            elif last is not None:
                gathered[last] |= said
            else:
                waiting |= said
    if len(gathered) != len(values):
        return None
    return [frozenset(gathered[n]) for n in range(len(values))]


_OR = re.compile(r"\b(?:and|or|than|against|versus|vs|compared (?:to|with))\b|[,:](?=\s)")


def _pieces_of_question(question: Prepared, n: int) -> list[frozenset[str]] | None:
    """ "Has Delta more cores than Anvil?" → its two sides, where there are exactly `n`."""
    proper = _proper(question.raw)
    pieces = [
        frozenset(words(question.text[a:b]))
        for a, b in _split(_OR, question.text, 0, len(question.text))
    ]
    named = [p for p in pieces if p & proper]
    return named if len(named) == n else None


@lru_cache(maxsize=20_000)
def _proper(raw: str) -> frozenset[str]:
    """Words that are written like a name: a capital or a digit in them, and no sentence's first word
    for its capital alone.
    """
    out: set[str] = set()
    text = without_markers(raw)
    for match in _TOKEN.finditer(text):
        token = match[0].rstrip(".-")
        inner = any(c.isupper() or c.isdigit() for c in token[1:])
        first = text[: match.start()].rstrip()[-1:] in ("", ".", "!", "?", ":")
        if inner or (token[0].isupper() and not first):
            plain = token.isalnum() and token.isascii()
            out.update(words(token.casefold() if plain else normalise(token)))
    return frozenset(w for w in out if not w.isdigit())


def number_value(shown: str, own: frozenset[str], fact: NumberLabel) -> Value:
    """A labelled number as a side's value; own: the words that say it."""

    def find(text: Prepared, start: int, end: int) -> list[int]:
        return [
            len(words(text.text[start : q.start]))
            for q in text.quantities
            if start <= q.start < end and equal(fact, q) and same_kind(fact, q, text)
        ]

    return Value(shown, own, False, find)


def text_value(shown: str, alternatives: Sequence[str]) -> Value:
    """Accepted texts, as padded word strings, as a side's value."""

    def find(text: Prepared, start: int, end: int) -> list[int]:
        piece = f" {' '.join(words(text.text[start:end]))} "
        for alternative in alternatives:
            at = piece.find(alternative)
            if at >= 0:
                return [piece.count(" ", 0, at + 1) - 1]
        return []

    own = frozenset(w for a in alternatives for w in a.split())
    return Value(shown, own, True, find)
