"""What a built row must keep. Nothing that made the wording is trusted: template, rule or model."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core import citations
from core.augment.about import About, about
from core.augment.rows import form_of
from core.augment.templates import FACT, kind
from core.pairs import Pair

LONGEST = 400  # characters; a wording that rambles teaches rambling
_DIGITS = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """reasons: empty = the row may be trained."""

    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.reasons


def verified(pair: Pair, row: Pair) -> Verdict:
    """A row built from a pair: same answer to the letter, same thing asked about, nothing added."""
    reasons = []
    if row.answer != pair.answer:
        reasons.append("the answer is another one")
    if row.domain != pair.domain or row.source_ref != pair.source_ref:
        reasons.append("it names another source")
    asked_for_one = kind(form_of(row)) == FACT
    faults = wording_faults(row.question, pair, about(pair), some_values=asked_for_one)
    return Verdict((*reasons, *faults))


def wording_faults(
    text: str, pair: Pair, it: About, *, some_values: bool = False
) -> tuple[str, ...]:
    """What is wrong with a wording of the pair's question; empty = nothing was found.

    some_values: it may hold values of the answer as long as another one is left to be asked for
    ("Which flavor has 64 cores?"). For wordings that a person wrote for this one fact.
    """
    faults = []
    if not text.strip() or len(text) > LONGEST:
        faults.append("empty, or too long")
    if "<<" in text or ">>" in text:
        faults.append("it holds a marker")
    said, asked = text.casefold(), pair.question.casefold()
    named = it.name.casefold()
    if named and named in asked and named not in said:
        faults.append(f"it does not name {it.name}")
    new_values = [v for v in it.values if not _has(asked, v.casefold())]
    given = [v for v in new_values if _has(said, v.casefold())]
    if given and not (some_values and len(given) < len(new_values)):
        faults += [f"it gives the answer away: {value}" for value in given]
    known = set(_numbers(asked)) | set(_numbers(named)) | set(_numbers(it.node))
    if some_values:
        known |= set(_numbers(citations.without_markers(pair.answer).casefold()))
    new = [n for n in _numbers(said) if n not in known]
    if new:
        faults.append(f"a number that the question does not have: {', '.join(new)}")
    return tuple(faults)


def _numbers(text: str) -> list[str]:
    return [m.rstrip(".,") for m in _DIGITS.findall(text)]


def _has(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None
