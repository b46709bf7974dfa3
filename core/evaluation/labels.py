"""A golden question read once, for grading any number of answers against it.

Which rule will grade follows from the labels:

    key_facts   every key fact of the question is in the answer
    numbers     no key facts: every number of the expected answer, and every name with a digit that
                the question does not give away (A100), is in the answer
    numbers+f1  the same where the only numbers are years, which alone say too little
    token_f1    no number either: token F1 over 0.6, counted over the words that are neither in the
                question nor function words. Over all words "The nodes of Delta are connected by
                InfiniBand" would pass for "... by Slingshot".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from core.evaluation import sides
from core.evaluation.golden import GoldenQuestion, KeyFact, NumberFact
from core.evaluation.matching import COUNT_NOUNS, NumberLabel
from core.evaluation.normalise import (
    UNITS,
    Prepared,
    Quantity,
    convert,
    normalise,
    stem,
    unit_name,
    words,
)
from core.evaluation.patterns import any_of
from core.evaluation.sides import Side

Rule = Literal["key_facts", "numbers", "numbers+f1", "token_f1"]

STOP_WORDS = frozenset(
    stem(w)
    for w in "a an the and or of in on at by to for from with as is are was were be been it its this that "
    "these those there has have had do does did can could will would may you your we our i they "
    "their he she which who what where when how not no yes so if then than each per both also only "
    "any all one up out into about over under more most some such other s".split()
)
NEGATORS = frozenset("not no never without neither nor cannot none nothing unlike".split())
_NEGATION = re.compile(rf"\b{any_of(NEGATORS)}\b|n't\b|\b(?:false|untrue) that\b")
_WHOLLY = re.compile(r"(?:\bnot|n't) (?:true|correct|the case) that\b|\b(?:false|untrue) that\b")
_CLAUSE = re.compile(r"[.;:,!?](?:\s|$)|\bbut\b")
_YES_NO = re.compile(r"\W*(yes|no)\b(?! (?:more|fewer|less|later|longer)\b)")
NAME_WITH_DIGIT = re.compile(r"(?=\w*[^\W\d_])(?=\w*\d)\w+")


@dataclass(frozen=True, slots=True)
class TextFact:
    """Accepted alternatives as padded word strings; negated: the expected answer denies them."""

    shown: str
    alternatives: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer to one question is held against.

    guards: numbers that need not be found but must not be contradicted.  known_*: everything that
    supports a number or name in an answer.  content: informative words of the expected answer.
    sides: the comparisons in the expected answer, one a kind of value (see core.evaluation.sides).
    """

    rule: Rule
    texts: tuple[TextFact, ...]
    numbers: tuple[NumberLabel, ...]
    guards: tuple[NumberLabel, ...]
    required: tuple[tuple[str, float | None], ...]
    names: tuple[str, ...]
    content: Counter[str]
    question_words: frozenset[str]
    known_words: frozenset[str]
    known_values: frozenset[float]
    yes_no: str
    forbidden: tuple[tuple[str, re.Pattern[str]], ...]
    sides: tuple[tuple[Side, ...], ...] = ()


def expect(question: GoldenQuestion) -> Expected:
    """Everything about a question that does not depend on the answer.

    The same labels under another id are read once.
    """
    labels = (question.question, question.expected_answer, repr(question.key_facts))
    known = _EXPECTED.get((*labels, question.forbidden))
    if known is None:
        if len(_EXPECTED) >= 20_000:
            _EXPECTED.clear()
        known = _EXPECTED[(*labels, question.forbidden)] = _expect(question)
    return known


_EXPECTED: dict[tuple[object, ...], Expected] = {}


def _expect(question: GoldenQuestion) -> Expected:
    asked, wanted = _read(question.question), _read(question.expected_answer)
    question_words = frozenset(asked.words)
    texts: list[TextFact] = []
    numbers: list[NumberLabel] = []
    guards: list[NumberLabel] = []
    for fact in question.key_facts:
        if isinstance(fact, Mapping):
            numbers.append(_number_fact(fact, wanted, question_words))
        else:
            texts.append(_text_fact(fact, wanted))
            guards += _sole_number(fact, question_words)
    rule: Rule = "key_facts"
    required: tuple[tuple[str, float | None], ...] = ()
    names: tuple[str, ...] = ()
    if not question.key_facts:
        required = tuple(
            dict.fromkeys((q.literal, q.value) for q in wanted.quantities if _tells(q, wanted))
        )
        names = tuple(
            w
            for w in dict.fromkeys(wanted.words)
            if NAME_WITH_DIGIT.fullmatch(w) and w not in question_words
        )
        guards = [_guard(q, question_words) for q in wanted.quantities if q.unit]
        rule = _rule_without_facts(required, names)
    fact_texts = [_read(a) for f in question.key_facts for a in _alternatives(f)]
    supports = [asked, wanted, *fact_texts]
    return Expected(
        rule=rule,
        texts=tuple(texts),
        numbers=tuple(numbers),
        guards=tuple(guards),
        required=required,
        names=names,
        content=content_words(wanted.words, question_words) or Counter(wanted.words),
        question_words=question_words,
        known_words=frozenset().union(*[p.words for p in supports]),
        known_values=frozenset(
            [q.value for p in supports for q in p.quantities if q.value is not None]
            + [n.value for n in numbers]
        ),
        yes_no=opening_yes_no(wanted.text),
        forbidden=tuple([(t, _forbidden(t)) for t in question.forbidden if t.strip()]),
        sides=_sides(asked, wanted, texts, numbers),
    )


def padded(word_list: Sequence[str]) -> str:
    """Words as one string with a blank at either end, for finding whole phrases fast."""
    return f" {' '.join(word_list)} " if word_list else ""


def content_words(word_list: Sequence[str], question_words: frozenset[str]) -> Counter[str]:
    return Counter(w for w in word_list if w not in STOP_WORDS and w not in question_words)


def opening_yes_no(normalised: str) -> str:
    """ "yes" or "no" if the text opens with it, else ""."""
    found = _YES_NO.match(normalised)
    return found[1] if found else ""


def is_negator(word: str) -> bool:
    return word in NEGATORS or word.endswith("n't")


def denies_something(text: Prepared) -> bool:
    """False where no phrase of the text can be denied, which is quicker to tell."""
    return _NEGATION.search(text.text) is not None and "not only" not in text.text


def denied(phrase: str, text: Prepared) -> bool:
    """True if every place of `phrase` stands under a negation in its clause ("has no A100")."""
    if not denies_something(text):
        return False
    found = False
    for clause in _CLAUSE.split(text.text):
        clause_words = padded(words(clause))
        at = clause_words.find(phrase)
        if at < 0:
            continue
        found = True
        wholly = _WHOLLY.search(clause)
        if wholly and phrase in padded(words(clause[wholly.end() :])):
            continue
        carries_it = any(is_negator(w) for w in phrase.split())
        if carries_it or not any(is_negator(w) for w in clause_words[:at].split()[-4:]):
            return False
    return found


def number_denied(q: Quantity, text: Prepared) -> bool:
    """ "does not have 512 GB"; not so "no more than 512 GB", "not all 512 GB" and "not just 512 GB"."""
    # only what stands right before it is read: there may be a number in every other word of a megabyte
    before = text.text[max(0, q.start - 80) : q.start]
    if not _NEGATION.search(before):
        return False
    said = _CLAUSE.split(before)[-1]
    if _WHOLLY.search(said):
        return True
    clause = words(said)[-4:]
    at = next((n for n in reversed(range(len(clause))) if is_negator(clause[n])), None)
    return at is not None and _STILL_SAID.isdisjoint(clause[at + 1 :])


_STILL_SAID = frozenset(
    stem(w)
    for w in "more fewer less later longer greater higher exceed exceeding beyond above below until all "
    "every each just only merely".split()
)


@lru_cache(maxsize=20_000)
def _forbidden(text: str) -> re.Pattern[str]:
    """Finds the text as it stands, but not inside a longer word or number ("1.0" in "11.0")."""
    text = text.casefold() if "<<" in text else normalise(text) or text.casefold()
    before = r"(?<![\w.])" if text[0].isdigit() else r"(?<!\w)" if text[0].isalpha() else ""
    return re.compile(before + re.escape(text) + (r"(?!\w)" if text[-1].isalnum() else ""))


@lru_cache(maxsize=20_000)
def _read(text: str) -> Prepared:
    """Labels repeat: the same names and phrases stand in question after question."""
    return Prepared(text)


def _phrase(text: str) -> str:
    return padded(_read(text).words)


def _alternatives(fact: KeyFact) -> Sequence[str]:
    return fact.get("aliases", []) if isinstance(fact, Mapping) else fact


def _text_fact(fact: Sequence[str], wanted: Prepared) -> TextFact:
    alternatives = tuple(p for a in fact if (p := _phrase(a)))
    in_expected = [a for a in alternatives if a in padded(wanted.words)]
    negated = bool(in_expected) and all(denied(a, wanted) for a in in_expected)
    return TextFact(" / ".join(fact), alternatives, negated)


def _number_fact(fact: NumberFact, wanted: Prepared, question_words: frozenset[str]) -> NumberLabel:
    spelling = fact["unit"]
    unit = unit_name(spelling)
    nouns: tuple[str, ...] = ()
    if spelling and not unit:
        counted = words(normalise(spelling))
        counted = counted[: counted.index("per")] if "per" in counted else counted
        if counted and counted[-1] in UNITS.values():  # GPU hours
            unit = counted[-1]
        else:
            nouns = tuple(counted)
    unitless = False
    if not spelling:
        same = [q for q in wanted.quantities if q.value == float(fact["value"])]
        unitless = bool(same) and not any(q.unit for q in same)
        nouns = tuple(n for q in same[:1] for n in q.counted if n in COUNT_NOUNS)[-1:]
    meant = [q for q in wanted.quantities if q.value == float(fact["value"])]
    return NumberLabel(
        shown=f"{fact['value']:,} {spelling}".strip(),
        value=float(fact["value"]),
        unit=unit,
        nouns=nouns,
        tolerance=float(fact.get("tolerance", 0.0)),
        aliases=tuple(p for a in fact.get("aliases", []) if (p := _phrase(a))),
        named_in_question=(unit or "".join(nouns[-1:])) in question_words,
        unitless=unitless,
        negated=bool(meant) and all(number_denied(q, wanted) for q in meant),
    )


def _sole_number(fact: Sequence[str], question_words: frozenset[str]) -> list[NumberLabel]:
    """A text fact that is one measured number and nothing else ("256 GB") guards like a number."""
    first = _read(fact[0])
    if len(first.quantities) != 1 or not first.quantities[0].unit or len(first.words) != 2:
        return []
    return [_guard(first.quantities[0], question_words)]


def _guard(q: Quantity, question_words: frozenset[str]) -> NumberLabel:
    return NumberLabel(
        str(q), q.value or 0.0, q.unit, (), named_in_question=q.unit in question_words
    )


def _tells(q: Quantity, text: Prepared) -> bool:
    """Not "one of them", nor the number in "two-tier": neither is a figure one would ask for."""
    glued = text.text[q.start + len(q.literal) :][:1] == "-"
    return not glued and q.value not in (0.0, 1.0)


def _rule_without_facts(
    required: tuple[tuple[str, float | None], ...], names: tuple[str, ...]
) -> Rule:
    if not required and not names:
        return "token_f1"
    years = all(value is not None and 1900 <= value < 2100 for _, value in required)
    return "numbers+f1" if years and not names else "numbers"


def _sides(
    asked: Prepared, wanted: Prepared, texts: Sequence[TextFact], numbers: Sequence[NumberLabel]
) -> tuple[tuple[Side, ...], ...]:
    """The comparisons among the key facts: numbers of one kind, and texts the question lacks."""
    kinds: list[list[sides.Value]] = []
    left = [n for n in numbers if n.unit or n.nouns]
    while left:
        first = left[0]
        kind = [n for n in left if _one_kind(first, n)]
        left = [n for n in left if not _one_kind(first, n)]
        if len({n.value for n in kind}) == len(kind) > 1:
            kinds.append([_number_value(n) for n in kind])
    phrase = padded(asked.words)
    told = [t for t in texts if not t.negated and not any(a in phrase for a in t.alternatives)]
    named: frozenset[str] = frozenset()
    if len(told) > 3 and len(told) % 2 == 0:
        # name, value, name, value: each name is itself a fact
        named = frozenset(w for t in told[::2] for a in t.alternatives for w in a.split())
        told = told[1::2]
    if len(told) > 1:
        kinds.append([sides.text_value(t.shown, t.alternatives) for t in told])
    return sides.sides_of(asked, wanted, kinds, _NO_NAMES, named) if kinds else ()


_NO_NAMES = STOP_WORDS | COUNT_NOUNS | NEGATORS


def _one_kind(a: NumberLabel, b: NumberLabel) -> bool:
    if a.unit or b.unit:
        return bool(a.unit and b.unit) and convert(1.0, a.unit, b.unit) is not None
    return a.nouns[-1] == b.nouns[-1]


def _number_value(fact: NumberLabel) -> sides.Value:
    own = frozenset(words(normalise(fact.shown))) | frozenset(fact.nouns)
    return sides.number_value(fact.shown, own, fact)
