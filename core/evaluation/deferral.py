"""Did the answer hand the question over, and to whom? A rule list, no judge.

A deferral is an explicit statement ("That needs live data") *and* a next step (a tool, a page, a
ticket). Hedging alone is none, nor is a factual negative ("MPICH is not listed on Delta"): the
statement patterns are about the speaker or the question, not about the world.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.evaluation.golden import GoldenQuestion
from core.evaluation.normalise import Prepared, normalise
from core.evaluation.patterns import any_of

Expects = Literal["answer", "live", "refusal"]
"""What is right for a question: an answer, a hand-over to a live tool, or a plain refusal."""

_SUBJECT = r"(?:i|we|this model|this assistant|as an ai[\w ]{0,30},? i)"
# what the speaker cannot do: these follow the subject
_SPEAKER = [
    r"(?: am| are|'m|'re)? (?:sorry,? (?:but )?i )?"
    r"(?:cannot|can't|can not|am unable|am not able|unable|not able|could not|couldn't)\b",
    r" (?:can|could) only (?:help|answer|guess|assist)\b",
    r" (?:do not|don't|did not) (?:currently |actually )?(?:have|know|possess|hold|recogni[sz]e)\b",
    r" (?:would|will|could|can) (?:only |just )?(?:be )?(?:guess|not guess)",
    r" (?:have|hold) no (?:\w+ ){0,2}(?:information|record|data|knowledge|access)\b",
    r" know (?:of )?no(?:thing)?\b",
    r"(?: am|'m) not (?:aware|familiar|sure|certain)\b",
]
_STATEMENTS = [
    rf"{_SUBJECT}(?:{'|'.join(_SPEAKER)})",
    rf"not an? [\w -]{{1,60}} (?:that )?{_SUBJECT} (?:have|know)\b",
    rf"no [\w -]{{1,60}} (?:that )?{_SUBJECT} (?:know|am aware)\b",
    r"unable to (?:answer|confirm|provide|say|tell|verify|help)\b",
    r"(?:outside|beyond) (?:of )?(?:what|my|the scope|our)\b",
    r"not something (?:i|we|that can be)\b",
    # the question needs something fresher
    r"(?:needs?|requires?|calls? for|question for) (?:live|real-time|current|up-to-date)\b",
    r"(?:has|have|needs?) to be (?:looked up|checked|asked)(?: [\w-]+){0,2} live\b",
    r"(?:must|should|has to|needs to) be (?:looked up|checked|fetched) (?:live|in real time)\b",
    r"my (?:stored |training )?(?:knowledge|information|data|training) (?:is|was|has|ends)\b"
    r"[\w ,-]{0,20}\b(?:fixed|frozen|static|limited|cut|cutoff|out of date|not live|not current)\b",
    r"cannot be (?:answered|known|given|told) from (?:stored|static|fixed|training)\b",
    r"from stored knowledge\b",
    r"live data from\b",
    r"(?:please )?(?:defer|deferring) to (?:a |the )?live\b",
]
_STATEMENT = re.compile(rf"\b(?:{'|'.join(f'(?:{s})' for s in _STATEMENTS)})")
# A cheap look before the expensive one: every statement holds one of these.
_HINT = re.compile(
    any_of(
        "can't|not |unable|could|only |don't|guess|have no |hold no |know|aware|outside|beyond|live|"
        "real|current|up-to-date|my |stored|cannot".split("|")
    )
)
_TOOL = re.compile(r"(?<![\w/.])[a-z]{2,20}(?:_[a-z0-9]{1,20}){1,6}(?![\w/.]*\w)")
_PAGE = re.compile(r"https?://\S|\b(?:[\w-]{1,60}\.){1,5}(?:org|edu|gov|net|com)\b")
_STEP = re.compile(
    r"\b(?:check|look (?:it )?up|looked up|look at|see|visit|contact|ask|call|query|consult|use|"
    r"run|open|submit|file|refer to|go to|log in)\b[^.!?\n]{0,80}"
    r"\b(?:tool|page|site|website|portal|dashboard|status|news|calendar|ticket|help ?desk|support|"
    r"documentation|guide|staff|xdmod|live|provider|administrator|account)\b"
)


@dataclass(frozen=True, slots=True)
class Deferral:
    """tools: tool names the answer gives, in order. right_tool: None where none is expected."""

    statement: bool
    next_step: bool
    tools: tuple[str, ...] = ()
    right_tool: bool | None = None

    @property
    def deferred(self) -> bool:
        return self.statement and self.next_step


NOTHING = Deferral(False, False)


def read(answer: Prepared, expected_tools: Sequence[str] = ()) -> Deferral:
    """What the answer says about not answering. Linear in its length."""
    statement = says_it_will_not_answer(answer.text)
    tools = tools_named(answer.text) if "_" in answer.text else ()
    if not statement and not tools:
        return NOTHING if not expected_tools else Deferral(False, False, (), False)
    step = bool(tools or _PAGE.search(answer.text) or _STEP.search(answer.text))
    right = bool(set(tools) & {t.casefold() for t in expected_tools}) if expected_tools else None
    return Deferral(statement, step, tools, right)


def says_it_will_not_answer(normalised: str) -> bool:
    return _HINT.search(normalised) is not None and _STATEMENT.search(normalised) is not None


def tools_named(normalised: str) -> tuple[str, ...]:
    """Identifiers with an underscore, which is how live tools are called."""
    return tuple(dict.fromkeys(_TOOL.findall(normalised)))


def expects(question: GoldenQuestion) -> Expects:
    """live: DYNAMIC questions. refusal: those whose expected answer itself refuses, such as one on
    a resource that does not exist. Everything else wants an answer.
    """
    if question.query_type == "DYNAMIC":
        return "live"
    cites = question.citation_expected or question.expected_sources
    if not cites and says_it_will_not_answer(normalise(question.expected_answer)):
        return "refusal"
    return "answer"
