"""Key facts of an answer: which are there, which are missing, and which value speaks against them.

`expect` reads a golden question once; `check` then grades any number of answers against it. Which
rule graded is part of the result:

    key_facts     every key fact of the question is in the answer
    numbers       no key facts: every number of the expected answer, and every name with a digit that
                  the question does not give away (A100), is in the answer
    numbers+f1    the same where the only numbers are years, which alone say too little
    token_f1      no number either: token F1 over 0.6, counted over the words that are neither in the
                  question nor function words. Over all words "The nodes of Delta are connected by
                  InfiniBand" would pass for "... by Slingshot".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.evaluation.golden import GoldenQuestion, KeyFact, NumberFact
from core.evaluation.normalise import (
    UNITS,
    Prepared,
    Quantity,
    convert,
    normalise,
    stem,
    unit_name,
    words,
    words_before,
)

Rule = Literal["key_facts", "numbers", "numbers+f1", "token_f1"]
F1_THRESHOLD = 0.6
CONVERTED_TOLERANCE = 0.01  # 1,000 or 1,024 and rounding, where a unit had to be converted

STOP_WORDS = frozenset(
    "a an the and or of in on at by to for from with as is are was were be been it its this that "
    "these those there has have had do does did can could will would may you your we our i they "
    "their he she which who what where when how not no yes so if then than each per both also only "
    "any all one up out into about over under more most some such other s".split()
)
_PREPOSITIONS = frozenset(
    "per on in at for with and or is are was were has have by from as to which that each while "
    "but so than run runs".split()
)
_FILLERS = frozenset("of the a an total main usable up about".split())
_SAME_THING = {"ram": "memory", "dram": "memory", "hbm2": "hbm", "hbm3": "hbm", "hbm2e": "hbm"}
_COUNT_NOUNS = frozenset(
    "core node gpu cpu vcpu socket thread processor card superchip credit su job user file page "
    "package project resource system site rack proposal member way user_group".split()
)
_NEGATORS = frozenset("not no never without neither nor cannot none nothing unlike".split())
_CLAUSE = re.compile(r"[.;:,!?](?:\s|$)|\bbut\b")
_YES_NO = re.compile(r"\W*(yes|no)\b")
_NAME_WITH_DIGIT = re.compile(r"(?=\w*[a-z])(?=\w*\d)\w+")


@dataclass(frozen=True, slots=True)
class FactResult:
    """One fact. found: what the answer has in its place, "" if nothing of the kind."""

    fact: str
    matched: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class FactCheck:
    rule: Rule
    results: tuple[FactResult, ...]
    contradictions: tuple[str, ...] = ()
    f1: float | None = None

    @property
    def all_there(self) -> bool:
        return all(r.matched for r in self.results)

    @property
    def any_there(self) -> bool:
        return any(r.matched for r in self.results)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(r.fact for r in self.results if not r.matched)


@dataclass(frozen=True, slots=True)
class _Text:
    """Alternatives as padded word strings; negated: the expected answer itself denies them."""

    shown: str
    alternatives: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class _Number:
    shown: str
    value: float
    unit: str  # a measured unit, or ""
    nouns: tuple[str, ...]  # the counted thing, head noun last; () for a bare number
    tolerance: float
    aliases: tuple[str, ...]
    named_in_question: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """A golden question, read once."""

    question: GoldenQuestion
    rule: Rule
    texts: tuple[_Text, ...]
    numbers: tuple[_Number, ...]
    required: tuple[tuple[str, float | None], ...]  # literals of the rules without key facts
    names: tuple[str, ...]
    content: Counter[str]
    known_words: frozenset[str]  # of question and expected answer: these support an answer
    known_values: frozenset[float]
    question_words: frozenset[str]
    yes_no: str
    forbidden: tuple[str, ...]
    forbidden_raw: tuple[str, ...]


def expect(question: GoldenQuestion) -> Expected:
    """Everything of a question that does not depend on the answer."""
    asked = Prepared(question.question)
    wanted = Prepared(question.expected_answer)
    question_words = frozenset(asked.words)
    texts: list[_Text] = []
    numbers: list[_Number] = []
    for fact in question.key_facts:
        if isinstance(fact, Mapping):
            numbers.append(_number_fact(fact, question_words))
        else:
            texts.append(_text_fact(fact, wanted))
            number = _sole_number(fact, question_words)
            if number is not None:
                numbers.append(number)
    required: tuple[tuple[str, float | None], ...] = ()
    names: tuple[str, ...] = ()
    rule: Rule = "key_facts"
    if not question.key_facts:
        required = tuple(dict.fromkeys((q.literal, q.value) for q in wanted.quantities))
        names = tuple(
            w
            for w in dict.fromkeys(wanted.words)
            if _NAME_WITH_DIGIT.fullmatch(w) and w not in question_words
        )
        numbers = [_from_quantity(q, question_words) for q in wanted.quantities if q.unit]
        only_years = all(v is not None and 1900 <= v < 2100 for _, v in required) and not names
        rule = "token_f1" if not required and not names else "numbers"
        rule = "numbers+f1" if required and only_years else rule
    fact_texts = [normalise(a) for f in question.key_facts for a in _alternatives(f)]
    known_values = {q.value for p in (asked, wanted) for q in p.quantities if q.value is not None}
    known_values |= {q.value for t in fact_texts for q in Prepared(t).quantities if q.value}
    known_values |= {n.value for n in numbers}
    known_words = question_words | set(wanted.words) | {w for t in fact_texts for w in words(t)}
    opening = _YES_NO.match(wanted.text)
    return Expected(
        question=question,
        rule=rule,
        texts=tuple(texts),
        numbers=tuple(numbers),
        required=required,
        names=names,
        content=_content(wanted.words, question_words) or Counter(wanted.words),
        known_words=frozenset(known_words),
        known_values=frozenset(known_values),
        question_words=question_words,
        yes_no=opening[1] if opening else "",
        forbidden=tuple(p for t in question.forbidden if (p := _padded(words(normalise(t)))) != " "),
        forbidden_raw=tuple(t for t in question.forbidden if not words(normalise(t)) and t.strip()),
    )


def check(expected: Expected, answer: Prepared) -> FactCheck:
    """Facts of one answer against one question. Linear in the answer's length."""
    padded = _padded(answer.words)
    if expected.rule == "key_facts":
        texts = [_check_text(t, answer, padded) for t in expected.texts]
        # a text fact that is nothing but a number is in `numbers` too, for its contradictions
        counted = expected.numbers if not expected.texts else [
            n for n in expected.numbers if n.aliases != ("",)
        ]
        results = texts + [_check_number(n, expected, answer, padded)[0] for n in counted]
        return FactCheck("key_facts", tuple(results), _contradictions(expected, answer, padded))
    literals = {q.literal for q in answer.quantities}
    values = {q.value for q in answer.quantities if q.value is not None}
    results = [
        FactResult(lit, lit in literals or (v is not None and v in values))
        for lit, v in expected.required
    ]
    results += [FactResult(name, f" {name} " in padded) for name in expected.names]
    f1 = None
    if expected.rule in ("token_f1", "numbers+f1"):
        f1 = _f1(expected, answer)
        results.append(FactResult(f"token F1 > {F1_THRESHOLD}", f1 > F1_THRESHOLD, f"{f1:.2f}"))
    return FactCheck(
        expected.rule, tuple(results), _contradictions(expected, answer, padded), f1
    )


def forbidden_texts(expected: Expected, answer: Prepared) -> tuple[str, ...]:
    """The question's forbidden texts that occur in the answer, as whole words."""
    if not expected.forbidden and not expected.forbidden_raw:
        return ()
    padded = _padded(answer.words)
    return tuple(f.strip() for f in expected.forbidden if f in padded) + tuple(
        f for f in expected.forbidden_raw if f in answer.raw
    )


def unsupported(expected: Expected, answer: Prepared, limit: int = 50) -> tuple[str, ...]:
    """Numbers, and names with digits, that neither question, expected answer nor facts contain.

    A deterministic count of confabulation: it cannot say that a number is false, only that nothing
    the question rests on supports it. 0 and 1 are passed over (one is also a pronoun).
    """
    out: dict[str, None] = {}
    for q in answer.quantities:
        known = q.value in expected.known_values if q.value is not None else False
        if not known and q.literal not in expected.known_words and q.value not in (0.0, 1.0):
            out.setdefault(str(q))
        if len(out) >= limit:
            return tuple(out)
    for word in answer.words:
        if (
            not word.isalpha()
            and word not in expected.known_words
            and _NAME_WITH_DIGIT.fullmatch(word)
        ):
            out.setdefault(word)
            if len(out) >= limit:
                break
    return tuple(out)


# ── reading the labels ──────────────────────────────────────────────────────────────────────────


def _alternatives(fact: KeyFact) -> Sequence[str]:
    return fact.get("aliases", []) if isinstance(fact, Mapping) else fact


def _padded(word_list: Sequence[str]) -> str:
    return f" {' '.join(word_list)} " if word_list else " "


def _text_fact(fact: Sequence[str], wanted: Prepared) -> _Text:
    alternatives = tuple(p for a in fact if (p := _padded(words(normalise(a)))) != " ")
    in_expected = [a for a in alternatives if a in _padded(wanted.words)]
    negated = bool(in_expected) and all(_denied(a, wanted) for a in in_expected)
    return _Text(" / ".join(fact), alternatives, negated)


def _number_fact(fact: NumberFact, question_words: frozenset[str]) -> _Number:
    spelling = str(fact.get("unit", "") or "")
    unit, nouns = unit_name(spelling), ()
    if not unit and spelling:
        unit, nouns = _counted(words(normalise(spelling)))
    return _Number(
        shown=f"{fact['value']:g} {spelling}".strip(),
        value=float(fact["value"]),
        unit=unit,
        nouns=nouns,
        tolerance=float(fact.get("tolerance", 0.0) or 0.0),
        aliases=tuple(p for a in fact.get("aliases", []) if (p := _padded(words(normalise(a)))) != " "),
        named_in_question=_named(unit, nouns, question_words),
    )


def _counted(unit_words: list[str]) -> tuple[str, tuple[str, ...]]:
    """("", nouns up to "per") or, where the head noun is a measure (GPU hours), (unit, ())."""
    if "per" in unit_words:
        unit_words = unit_words[: unit_words.index("per")]
    if unit_words and unit_words[-1] in UNITS.values():
        return unit_words[-1], ()
    return "", tuple(unit_words)


def _named(unit: str, nouns: tuple[str, ...], question_words: frozenset[str]) -> bool:
    return (unit or (nouns[-1] if nouns else "")) in question_words


def _sole_number(fact: Sequence[str], question_words: frozenset[str]) -> _Number | None:
    """A text fact that is one number with its unit and nothing else, as a number."""
    prepared = Prepared(fact[0]) if fact else None
    if prepared is None or len(prepared.quantities) != 1:
        return None
    q = prepared.quantities[0]
    if q.value is None or not q.unit or len(prepared.words) != 2:
        return None
    return _from_quantity(q, question_words)


def _from_quantity(q: Quantity, question_words: frozenset[str]) -> _Number:
    # the alias ("",) marks a number that only guards against contradictions
    named = _named(q.unit, (), question_words)
    return _Number(str(q), q.value or 0.0, q.unit, (), 0.0, ("",), named)


# ── reading the answer ──────────────────────────────────────────────────────────────────────────


def _check_text(fact: _Text, answer: Prepared, padded: str) -> FactResult:
    for alternative in fact.alternatives:
        if alternative in padded and _denied(alternative, answer) == fact.negated:
            return FactResult(fact.shown, True, alternative.strip())
    return FactResult(fact.shown, False)


def _denied(alternative: str, text: Prepared) -> bool:
    """True if every place of the alternative is under a negation in its clause ("no A100")."""
    if not any(w in _NEGATORS or w.endswith("n't") for w in text.words):
        return False
    if "not only" in text.text:
        return False
    found = False
    for clause in _CLAUSE.split(text.text):
        padded = _padded(words(clause))
        at = padded.find(alternative)
        if at < 0:
            continue
        found = True
        before = padded[:at].split()[-4:]
        inside = set(alternative.split()) & _NEGATORS
        if inside or not any(w in _NEGATORS or w.endswith("n't") for w in before):
            return False
    return found


def _check_number(
    fact: _Number, expected: Expected, answer: Prepared, padded: str
) -> tuple[FactResult, Quantity | None]:
    for alias in fact.aliases:
        if alias and alias in padded:
            return FactResult(fact.shown, True, alias.strip()), None
    other = ""
    for q in answer.quantities:
        if not _same_kind(fact, q, expected, answer):
            continue
        if _equal(fact, q):
            return FactResult(fact.shown, True, str(q)), q
        other = other or str(q)
    return FactResult(fact.shown, False, other), None


def _same_kind(fact: _Number, q: Quantity, expected: Expected, answer: Prepared) -> bool:
    """Does this number measure or count what the fact measures or counts?"""
    if q.value is None:
        return False
    if not fact.unit and not fact.nouns:
        return True
    counted = _until_preposition(q.nouns)
    if fact.unit:
        if q.unit:
            return convert(1.0, q.unit, fact.unit) is not None
        bare = not any(n in _COUNT_NOUNS for n in counted)
        return bare and (
            (fact.named_in_question and not counted)
            or fact.unit in words_before(answer.text, q.start)
        )
    head = fact.nouns[-1]
    if q.unit:
        return False
    if head in q.nouns:
        return True
    if any(n in _COUNT_NOUNS for n in counted):
        return False
    return fact.named_in_question or head in words_before(answer.text, q.start)


def _until_preposition(nouns: Sequence[str]) -> list[str]:
    out = []
    for noun in nouns:
        if noun in _PREPOSITIONS:
            break
        out.append(noun)
    return out


def _equal(fact: _Number, q: Quantity) -> bool:
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


def _contradictions(expected: Expected, answer: Prepared, padded: str) -> tuple[str, ...]:
    """Values that stand beside a right one and differ from it, for the same thing; yes against no."""
    out: list[str] = []
    opening = _YES_NO.match(answer.text)
    if expected.yes_no and opening and opening[1] != expected.yes_no:
        out.append(f"says {opening[1]}, expected {expected.yes_no}")
    for fact in expected.numbers:
        if not fact.unit and not fact.nouns:
            continue
        _, right = _check_number(fact, expected, answer, padded)
        if right is None:
            continue
        for q in answer.quantities:
            if (
                q is not right
                and q.value is not None
                and q.value not in expected.known_values
                and _same_kind(fact, q, expected, answer)
                and not _equal(fact, q)
                and _same_thing(_thing(right, fact), _thing(q, fact))
            ):
                out.append(f"says {q} beside {right}")
                break
    return tuple(dict.fromkeys(out))


def _thing(q: Quantity, fact: _Number) -> frozenset[str]:
    """What a number is said of: "256 GB of memory" → {memory}, "132 CPU nodes" → {cpu}."""
    if fact.unit:
        for noun in q.nouns:
            if noun in _FILLERS:
                continue
            return frozenset() if noun in _PREPOSITIONS else frozenset({_SAME_THING.get(noun, noun)})
        return frozenset()
    near = _until_preposition(q.nouns)
    head = fact.nouns[-1]
    return frozenset(near[: near.index(head)] if head in near else ()) - _FILLERS


def _same_thing(a: frozenset[str], b: frozenset[str]) -> bool:
    return not a or not b or bool(a & b)


def _content(word_list: Sequence[str], question_words: frozenset[str]) -> Counter[str]:
    return Counter(w for w in word_list if w not in STOP_WORDS and w not in question_words)


def _f1(expected: Expected, answer: Prepared) -> float:
    said = _content(answer.words, expected.question_words)
    common = sum((said & expected.content).values())
    if not common:
        return 0.0
    precision, recall = common / sum(said.values()), common / sum(expected.content.values())
    return 2 * precision * recall / (precision + recall)
