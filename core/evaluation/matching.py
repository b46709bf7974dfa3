"""Numbers of a text against a labelled number: the same kind of thing, and the same value?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.evaluation.normalise import Prepared, Quantity, convert, words_before

CONVERTED_TOLERANCE = 0.01  # rounding, where a unit had to be converted
COUNT_NOUNS = frozenset(
    "core node gpu cpu vcpu socket thread processor card superchip credit su job user file page "
    "package project resource system site rack proposal member way".split()
)
# other names of a counted thing; a GPU is mostly counted by its model: "four A100s"
_SAME_NOUN = {"gpu": re.compile(r"card|accelerator|(?:a|b|h|l|p|t|v|gh|mi|rtx)\d{1,4}\w?")}


@dataclass(frozen=True, slots=True)
class NumberLabel:
    """A number an answer must contain. A label without a unit takes what the expected answer counts.

    unit: a measured unit (a value of UNITS) or "".  nouns: what is counted, head noun last; () for
    a measured or a bare number.  unitless: a bare number that is no measure, so that "40 GB" is not
    40 of something.  aliases: padded word strings accepted in its place.  negated: the expected answer
    itself says that it is not so.
    """

    shown: str
    value: float
    unit: str
    nouns: tuple[str, ...]
    tolerance: float = 0.0
    aliases: tuple[str, ...] = ()
    named_in_question: bool = False
    unitless: bool = False
    negated: bool = False


def same_kind(fact: NumberLabel, q: Quantity, answer: Prepared) -> bool:
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
    if any_is(head, counted):
        return True
    if any(n in COUNT_NOUNS for n in counted) or (fact.unit and counted):
        return False
    # "How many GPUs …?" "4 A100" and "The number of GPUs is 4."
    return fact.named_in_question or any_is(head, words_before(answer.text, q.start))


def says_so(fact: NumberLabel, q: Quantity) -> bool:
    """The same kind by its own unit or noun: "EPYC 7742" beside "128 cores" is no count of cores."""
    if fact.unit:
        return bool(q.unit) and convert(1.0, q.unit, fact.unit) is not None
    return not q.unit and any_is(fact.nouns[-1], q.counted)


def any_is(head: str, nouns: Sequence[str]) -> bool:
    same = _SAME_NOUN.get(head)
    return head in nouns or (same is not None and any(same.fullmatch(n) for n in nouns))


def equal(fact: NumberLabel, q: Quantity) -> bool:
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
