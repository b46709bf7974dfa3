"""Key facts of an answer: which are there, which are missing, which value speaks against them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from core.evaluation.labels import (
    NAME_WITH_DIGIT,
    Expected,
    Rule,
    TextFact,
    content_words,
    denied,
    denies_something,
    number_denied,
    opening_yes_no,
    padded,
)
from core.evaluation.matching import NumberLabel, equal, same_kind, says_so
from core.evaluation.normalise import PREPOSITIONS, Prepared, Quantity, words_before
from core.evaluation.sides import mixed_up

F1_THRESHOLD = 0.6
_DIGIT = re.compile(r"\d")

_FILLERS = frozenset("of the a an total main usable up about".split())
_TOTALS = frozenset("total altogether overall combined sum".split())
_SAME_THING = {"ram": "memory", "dram": "memory", "hbm2": "hbm", "hbm3": "hbm", "hbm2e": "hbm"}


@dataclass(frozen=True, slots=True)
class FactResult:
    """One fact. found: what the answer has in its place, "" if nothing of the kind."""

    fact: str
    matched: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class FactCheck:
    """rule: which rule graded (see core.evaluation.labels). f1: only where token F1 was counted.

    misplaced: a value of the labels is said of something it does not belong to.
    """

    rule: Rule
    results: tuple[FactResult, ...]
    contradictions: tuple[str, ...] = ()
    f1: float | None = None
    misplaced: bool = False

    @property
    def all_there(self) -> bool:
        return all(r.matched for r in self.results)

    @property
    def matched(self) -> tuple[str, ...]:
        return tuple(r.fact for r in self.results if r.matched)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(
            f"{r.fact} (says {r.found})" if r.found else r.fact
            for r in self.results
            if not r.matched
        )


def check(expected: Expected, answer: Prepared) -> FactCheck:
    """Facts of one answer against one question. Linear in the answer's length."""
    phrase = padded(answer.words)
    results: list[FactResult] = []
    f1 = None
    if expected.rule == "key_facts":
        denies = bool(expected.texts) and denies_something(answer)
        results += [_check_text(t, answer, phrase, denies) for t in expected.texts]
        results += [_check_number(n, answer, phrase)[0] for n in expected.numbers]
    else:
        literals = {q.literal for q in answer.quantities}
        values = {q.value for q in answer.quantities if q.value is not None}
        results += [FactResult(t, t in literals or v in values) for t, v in expected.required]
        results += [FactResult(name, f" {name} " in phrase) for name in expected.names]
    if expected.rule.endswith("f1"):
        f1 = _f1(expected, answer)
        results.append(FactResult(f"token F1 > {F1_THRESHOLD}", f1 > F1_THRESHOLD, f"{f1:.2f}"))
    mixed: tuple[str, ...] = ()
    for sides in expected.sides:
        mixed += mixed_up(sides, answer)
    contradictions = mixed + _contradictions(expected, answer, phrase)
    return FactCheck(
        expected.rule,
        tuple(results),
        contradictions,
        f1,
        bool(mixed) or _elsewhere(expected, answer, results),
    )


def forbidden_texts(expected: Expected, answer: Prepared) -> tuple[str, ...]:
    """The question's forbidden texts that occur in the answer, as they are labelled."""
    if not expected.forbidden:
        return ()
    raw = answer.raw.casefold()
    return tuple(t for t, p in expected.forbidden if p.search(raw if "<<" in t else answer.text))


def unsupported(expected: Expected, answer: Prepared, limit: int = 50) -> tuple[str, ...]:
    """Numbers, and names with digits, that neither question, expected answer nor facts contain.

    At most `limit` are given. See core.evaluation.confabulation for the metric that allows for what
    cited sources say.
    """
    return tuple(unsupported_details(expected, answer))[:limit]


def unsupported_details(expected: Expected, answer: Prepared) -> dict[str, float | None]:
    """Number as it stands with what it counts → its value; name → None. Numbers first."""
    out = {str(q): q.value for q in unsupported_numbers(expected, answer)}
    out.update(dict.fromkeys(unsupported_names(expected, answer)))
    return out


def unsupported_numbers(expected: Expected, answer: Prepared) -> list[Quantity]:
    """0 and 1 are passed over (one is also a pronoun)."""
    if not answer.quantities:
        return []
    known_values, known_words = expected.known_values, expected.known_words
    unknown = [
        q
        for q in answer.quantities
        if q.value not in known_values
        and q.value not in (0.0, 1.0)
        and q.literal not in known_words
    ]
    if not unknown:
        return unknown
    labelled = [n for n in (*expected.numbers, *expected.guards) if n.unit]
    return [q for q in unknown if not (q.unit and any(equal(n, q) for n in labelled))]


def unsupported_names(expected: Expected, answer: Prepared) -> list[str]:
    """Words with a letter and a digit ("a100")."""
    if not answer.quantities and not _DIGIT.search(answer.text):
        return []
    known = expected.known_words
    return [
        w for w in answer.words if w not in known and not w.isalpha() and _is_name_with_digit(w)
    ]


@lru_cache(maxsize=50_000)
def _is_name_with_digit(word: str) -> bool:
    return NAME_WITH_DIGIT.fullmatch(word) is not None


def _check_text(fact: TextFact, answer: Prepared, phrase: str, denies: bool) -> FactResult:
    for alternative in fact.alternatives:
        if alternative not in phrase:
            continue
        if (denies and denied(alternative, answer)) == fact.negated:
            return FactResult(fact.shown, True, alternative.strip())
    return FactResult(fact.shown, False)


def _check_number(
    fact: NumberLabel, answer: Prepared, phrase: str
) -> tuple[FactResult, Quantity | None]:
    other = ""
    for q in answer.quantities:
        if not same_kind(fact, q, answer):
            continue
        if equal(fact, q):
            if number_denied(q, answer) == fact.negated:
                return FactResult(fact.shown, True, str(q)), q
            other = other or f"not {q}"
            continue
        if not other and (not (fact.unit or fact.nouns) or says_so(fact, q)):
            other = str(q)
    for alias in fact.aliases:
        if alias in phrase and denied(alias, answer) == fact.negated:
            return FactResult(fact.shown, True, alias.strip()), None
    return FactResult(fact.shown, False, other), None


def _contradictions(expected: Expected, answer: Prepared, phrase: str) -> tuple[str, ...]:
    """Values beside a right one that differ from it, for the same thing; yes against no.

    A value that the question or the expected answer contains is no second value for the same thing:
    it belongs to another one, and is wrong only where it is said of the wrong side (see
    core.evaluation.sides).
    """
    out: list[str] = []
    if expected.yes_no:
        said = opening_yes_no(answer.text)
        if said and said != expected.yes_no:
            out.append(f"says {said}, expected {expected.yes_no}")
    unknown = [
        q
        for q in answer.quantities
        if q.value not in expected.known_values
        and q.literal not in expected.known_words
        and not number_denied(q, answer)
    ]
    if not unknown:
        return tuple(out)
    for fact in expected.numbers:
        right = _check_number(fact, answer, phrase)[1]
        listed = _listed_with(right, answer) if right is not None else []
        out += [f"says {q} or {right}" for q in listed if q in unknown and not equal(fact, q)][:1]
    out += _other_versions(expected, answer, unknown)
    for fact in (*expected.numbers, *expected.guards):
        if not fact.unit and not fact.nouns:
            continue
        others = [q for q in unknown if says_so(fact, q) and not equal(fact, q)]
        right = _check_number(fact, answer, phrase)[1] if others else None
        if right is None:
            continue
        for q in others:
            same = _same_thing(_thing(right, fact), _thing(q, fact))
            if same and _in_total(q, answer) == _in_total(right, answer):
                out.append(f"says {q} beside {right}")
                break
    return tuple(dict.fromkeys(out))


# not blanks alone: cells of a table stand so, and are numbers of different things
_BETWEEN = re.compile(r"\s*(?:[,;/]|,?\s*(or|and)\b)\s*")
_VERSION = re.compile(r"\d+(?:\.\d+)+")


def _other_versions(expected: Expected, answer: Prepared, unknown: Sequence[Quantity]) -> list[str]:
    """Versions beside the right one: "Julia 1.5.2 and 1.7.0", where the labels know of 1.5.2 alone."""
    if not any(_VERSION.fullmatch(q.literal) for q in unknown):
        return []
    wanted = {a.strip() for text in expected.texts if not text.negated for a in text.alternatives}
    for right in answer.quantities:
        if right.literal in wanted and _VERSION.fullmatch(right.literal):
            listed = _listed_with(right, answer, least=1)
            others = [q for q in listed if q in unknown and _VERSION.fullmatch(q.literal)]
            if others:
                return [f"says {others[0]} beside {right}"]
    return []


def _listed_with(right: Quantity, answer: Prepared, least: int = 2) -> list[Quantity]:
    """The other numbers of "40, 80, 160 or 512 GB": who lists all that it may be has not answered.

    Fewer than `least` others without "or" between them are no such list ("in 2021, 512 GB").
    """
    said = answer.quantities
    links = [
        _BETWEEN.fullmatch(answer.text[a.start + len(a.literal) : b.start])
        for a, b in pairwise(said)
    ]
    first = last = said.index(right)
    while first and links[first - 1]:
        first -= 1
    while last < len(links) and links[last]:
        last += 1
    either = any(link is not None and link[1] == "or" for link in links[first:last])
    if not either and last - first < least:
        return []
    return [q for q in said[first : last + 1] if q is not right]


def _elsewhere(expected: Expected, answer: Prepared, results: Sequence[FactResult]) -> bool:
    """A number is missing, and in its place stands one the labels have for something else."""
    if not expected.numbers or not answer.quantities:
        return False
    if all(r.matched or not r.found for r in results):
        return False
    return any(
        q.value in expected.known_values and same_kind(n, q, answer) and not equal(n, q)
        for n in expected.numbers
        for q in answer.quantities
    )


def _thing(q: Quantity, fact: NumberLabel) -> frozenset[str]:
    """What a number is said of: "256 GB of memory" → {memory}, "132 CPU nodes" → {cpu}."""
    if fact.unit:
        for noun in q.nouns:
            if noun in _FILLERS:
                continue
            named = noun not in PREPOSITIONS
            return frozenset({_SAME_THING.get(noun, noun)}) if named else frozenset()
        return frozenset()
    near = q.counted
    head = fact.nouns[-1]
    return frozenset(near[: near.index(head)] if head in near else ()) - _FILLERS


def _in_total(q: Quantity, answer: Prepared) -> bool:
    """ "8 GPUs in each node, 192 in total" is one fact, not two values for it."""
    return not _TOTALS.isdisjoint(q.nouns) or not _TOTALS.isdisjoint(
        words_before(answer.text, q.start, 3)
    )


def _same_thing(a: frozenset[str], b: frozenset[str]) -> bool:
    return not a or not b or bool(a & b)


def _f1(expected: Expected, answer: Prepared) -> float:
    """Token F1 over informative words, 0..1 (see core.evaluation.labels)."""
    said = content_words(answer.words, expected.question_words)
    common = sum((said & expected.content).values())
    if not common:
        return 0.0
    precision, recall = common / sum(said.values()), common / sum(expected.content.values())
    return 2 * precision * recall / (precision + recall)
