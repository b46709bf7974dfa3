"""Key facts of an answer: which are there, which are missing, which value speaks against them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.evaluation.labels import (
    COUNT_NOUNS,
    NAME_WITH_DIGIT,
    Expected,
    NumberLabel,
    Rule,
    TextFact,
    content_words,
    denied,
    opening_yes_no,
    padded,
)
from core.evaluation.normalise import PREPOSITIONS, Prepared, Quantity, convert, words_before

F1_THRESHOLD = 0.6
CONVERTED_TOLERANCE = 0.01  # rounding, where a unit had to be converted

_FILLERS = frozenset("of the a an total main usable up about".split())
_SAME_THING = {"ram": "memory", "dram": "memory", "hbm2": "hbm", "hbm3": "hbm", "hbm2e": "hbm"}
# other names of a counted thing; a GPU is mostly counted by its model: "four A100s"
_SAME_NOUN = {"gpu": re.compile(r"card|accelerator|(?:a|b|h|l|p|t|v|gh|mi|rtx)\d{1,4}\w?")}


@dataclass(frozen=True, slots=True)
class FactResult:
    """One fact. found: what the answer has in its place, "" if nothing of the kind."""

    fact: str
    matched: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class FactCheck:
    """rule: which rule graded (see core.evaluation.labels). f1: only where token F1 was counted."""

    rule: Rule
    results: tuple[FactResult, ...]
    contradictions: tuple[str, ...] = ()
    f1: float | None = None

    @property
    def all_there(self) -> bool:
        return all(r.matched for r in self.results)

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
        results += [_check_text(t, answer, phrase) for t in expected.texts]
        results += [_check_number(n, answer, phrase)[0] for n in expected.numbers]
    else:
        literals = {q.literal for q in answer.quantities}
        values = {q.value for q in answer.quantities if q.value is not None}
        results += [FactResult(t, t in literals or v in values) for t, v in expected.required]
        results += [FactResult(name, f" {name} " in phrase) for name in expected.names]
    if expected.rule.endswith("f1"):
        f1 = _f1(expected, answer)
        results.append(FactResult(f"token F1 > {F1_THRESHOLD}", f1 > F1_THRESHOLD, f"{f1:.2f}"))
    return FactCheck(expected.rule, tuple(results), _contradictions(expected, answer, phrase), f1)


def forbidden_texts(expected: Expected, answer: Prepared) -> tuple[str, ...]:
    """The question's forbidden texts that occur in the answer, as they are labelled."""
    if not expected.forbidden:
        return ()
    raw = answer.raw.casefold()
    return tuple(t for t, p in expected.forbidden if p.search(raw if "<<" in t else answer.text))


def unsupported(expected: Expected, answer: Prepared, limit: int = 50) -> tuple[str, ...]:
    """Numbers, and names with digits, that neither question, expected answer nor facts contain.

    A deterministic count of confabulation: it cannot say that a number is false, only that nothing
    the question rests on supports it. 0 and 1 are passed over (one is also a pronoun). At most
    `limit` are given.
    """
    out: dict[str, None] = {}
    labelled = (*expected.numbers, *expected.guards)
    for q in answer.quantities:
        known = q.value in expected.known_values or q.literal in expected.known_words
        known = known or any(n.unit and q.unit and _equal(n, q) for n in labelled)
        if not known and q.value not in (0.0, 1.0):
            out.setdefault(str(q))
            if len(out) >= limit:
                return tuple(out)
    for word in answer.words:
        if word.isalpha() or word in expected.known_words:
            continue
        if NAME_WITH_DIGIT.fullmatch(word):
            out.setdefault(word)
            if len(out) >= limit:
                break
    return tuple(out)


def _check_text(fact: TextFact, answer: Prepared, phrase: str) -> FactResult:
    for alternative in fact.alternatives:
        if alternative in phrase and denied(alternative, answer) == fact.negated:
            return FactResult(fact.shown, True, alternative.strip())
    return FactResult(fact.shown, False)


def _check_number(
    fact: NumberLabel, answer: Prepared, phrase: str
) -> tuple[FactResult, Quantity | None]:
    for alias in fact.aliases:
        if alias in phrase:
            return FactResult(fact.shown, True, alias.strip()), None
    other = ""
    for q in answer.quantities:
        if not _same_kind(fact, q, answer):
            continue
        if _equal(fact, q):
            return FactResult(fact.shown, True, str(q)), q
        if not other and (not (fact.unit or fact.nouns) or _says_so(fact, q)):
            other = str(q)
    return FactResult(fact.shown, False, other), None


def _same_kind(fact: NumberLabel, q: Quantity, answer: Prepared) -> bool:
    """Does this number measure or count what the fact measures or counts?"""
    if q.value is None:
        return False
    if not fact.unit and not fact.nouns:
        return not (fact.unitless and q.unit)
    if fact.unit and q.unit:
        return convert(1.0, q.unit, fact.unit) is not None
    if q.unit:
        return False
    counted = q.counted
    head = fact.unit or fact.nouns[-1]
    if fact.nouns and head in q.nouns:
        return True
    if _any_is(head, counted):
        return True
    if any(n in COUNT_NOUNS for n in counted) or (fact.unit and counted):
        return False
    # "How many GPUs …?" "4 A100" and "The number of GPUs is 4."
    return fact.named_in_question or _any_is(head, words_before(answer.text, q.start))


def _says_so(fact: NumberLabel, q: Quantity) -> bool:
    """The same kind by its own unit or noun: "EPYC 7742" beside "128 cores" is no count of cores."""
    if fact.unit:
        return bool(q.unit) and convert(1.0, q.unit, fact.unit) is not None
    return not q.unit and _any_is(fact.nouns[-1], q.counted)


def _any_is(head: str, nouns: Sequence[str]) -> bool:
    same = _SAME_NOUN.get(head)
    return head in nouns or (same is not None and any(same.fullmatch(n) for n in nouns))


def _equal(fact: NumberLabel, q: Quantity) -> bool:
    if q.value is None:
        return False
    if not fact.unit or not q.unit or q.unit == fact.unit:
        return _close(q.value, fact.value, fact.tolerance)
    tolerance = max(fact.tolerance, CONVERTED_TOLERANCE)
    value = convert(q.value, q.unit, fact.unit)
    if value is not None and _close(value, fact.value, tolerance):
        return True
    # memory is sold in powers of two: 1 TB is also written 1,024 GB
    binary = convert(q.value, _binary(q.unit), _binary(fact.unit))
    return binary is not None and _close(binary, fact.value, tolerance)


def _binary(unit: str) -> str:
    return unit[0] + "ib" if len(unit) == 2 and unit.endswith("b") else unit


def _close(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * abs(b) + 1e-9 * max(abs(a), abs(b), 1.0)


def _contradictions(expected: Expected, answer: Prepared, phrase: str) -> tuple[str, ...]:
    """Values beside a right one that differ from it, for the same thing; yes against no.

    Values that the question or the expected answer contain are no contradiction: they belong to
    the other side of a comparison.
    """
    out: list[str] = []
    if expected.yes_no:
        said = opening_yes_no(answer.text)
        if said and said != expected.yes_no:
            out.append(f"says {said}, expected {expected.yes_no}")
    for fact in (*expected.numbers, *expected.guards):
        if not fact.unit and not fact.nouns:
            continue
        _, right = _check_number(fact, answer, phrase)
        if right is None:
            continue
        for q in answer.quantities:
            if (
                q.value not in expected.known_values
                and _says_so(fact, q)
                and not _equal(fact, q)
                and _same_thing(_thing(right, fact), _thing(q, fact))
            ):
                out.append(f"says {q} beside {right}")
                break
    return tuple(dict.fromkeys(out))


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
