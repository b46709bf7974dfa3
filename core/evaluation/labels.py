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

from core.evaluation.golden import GoldenQuestion, KeyFact, NumberFact
from core.evaluation.normalise import UNITS, Prepared, Quantity, normalise, stem, unit_name, words

Rule = Literal["key_facts", "numbers", "numbers+f1", "token_f1"]

STOP_WORDS = frozenset(
    stem(w)
    for w in "a an the and or of in on at by to for from with as is are was were be been it its this that "
    "these those there has have had do does did can could will would may you your we our i they "
    "their he she which who what where when how not no yes so if then than each per both also only "
    "any all one up out into about over under more most some such other s".split()
)
COUNT_NOUNS = frozenset(
    "core node gpu cpu vcpu socket thread processor card superchip credit su job user file page "
    "package project resource system site rack proposal member way".split()
)
NEGATORS = frozenset("not no never without neither nor cannot none nothing unlike".split())
_NEGATION = re.compile(rf"\b(?:{'|'.join(sorted(NEGATORS))})\b|n't\b")
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
class NumberLabel:
    """A number an answer must contain. A label without a unit takes what the expected answer counts.

    unit: a measured unit (a value of UNITS) or "".  nouns: what is counted, head noun last; () for
    a measured or a bare number.  unitless: a bare number that is no measure, so that "40 GB" is not
    40 of something.  aliases: padded word strings accepted in its place.
    """

    shown: str
    value: float
    unit: str
    nouns: tuple[str, ...]
    tolerance: float = 0.0
    aliases: tuple[str, ...] = ()
    named_in_question: bool = False
    unitless: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer to `question` is held against.

    guards: numbers that need not be found but must not be contradicted.  known_*: everything that
    supports a number or name in an answer.  content: informative words of the expected answer.
    """

    question: GoldenQuestion
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


def expect(question: GoldenQuestion) -> Expected:
    """Everything about a question that does not depend on the answer."""
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
        question=question,
        rule=rule,
        texts=tuple(texts),
        numbers=tuple(numbers),
        guards=tuple(guards),
        required=required,
        names=names,
        content=content_words(wanted.words, question_words) or Counter(wanted.words),
        question_words=question_words,
        known_words=frozenset(w for p in supports for w in p.words),
        known_values=frozenset(
            q.value for p in supports for q in p.quantities if q.value is not None
        )
        | {n.value for n in numbers},
        yes_no=opening_yes_no(wanted.text),
        forbidden=tuple((t, _forbidden(t)) for t in question.forbidden if t.strip()),
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


def denied(phrase: str, text: Prepared) -> bool:
    """True if every place of `phrase` stands under a negation in its clause ("has no A100")."""
    if not _NEGATION.search(text.text) or "not only" in text.text:
        return False
    found = False
    for clause in _CLAUSE.split(text.text):
        clause_words = padded(words(clause))
        at = clause_words.find(phrase)
        if at < 0:
            continue
        found = True
        carries_it = any(is_negator(w) for w in phrase.split())
        if carries_it or not any(is_negator(w) for w in clause_words[:at].split()[-4:]):
            return False
    return found


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
    return NumberLabel(
        shown=f"{fact['value']:,} {spelling}".strip(),
        value=float(fact["value"]),
        unit=unit,
        nouns=nouns,
        tolerance=float(fact.get("tolerance", 0.0)),
        aliases=tuple(p for a in fact.get("aliases", []) if (p := _phrase(a))),
        named_in_question=(unit or "".join(nouns[-1:])) in question_words,
        unitless=unitless,
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
