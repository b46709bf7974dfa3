"""One answer, one grade: correct, incorrect or not attempted. No judge.

    question wants   correct                                    not attempted
    an answer        all facts there, nothing against them      empty, or says it will not answer
    a live tool      defers and names a right tool or page      empty
    a refusal        says it will not answer, or all its        empty
                     facts are there

Everything else is incorrect; so is any answer with a forbidden text. A wrong tool is a wrong next
step: the answer counts as deferred, and as incorrect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.evaluation import deferral, facts
from core.evaluation.confabulation import MAX_KEPT, Support, unsupported_details
from core.evaluation.deferral import Deferral, Expects, expects
from core.evaluation.golden import GoldenQuestion
from core.evaluation.labels import Expected, expect
from core.evaluation.normalise import Prepared

Grade = Literal["correct", "incorrect", "not_attempted"]


@dataclass(frozen=True, slots=True)
class Graded:
    """rule: what graded: a rule of core.evaluation.labels, or "deferral" or "refusal".

    deferred: handed over or, where a plain refusal is right, refused.  unsupported: numbers and
    names with digits that nothing supports.  confabulated: these and other names, what cited
    sources say allowed for.  matched: the facts that are there.  missing,
    contradictions, forbidden: why it is wrong.  misplaced: what is wrong stands in the labels, for
    something else.
    """

    grade: Grade
    rule: str
    deferred: bool
    deferral: Deferral
    missing: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    confabulated: tuple[str, ...] = ()
    misplaced: bool = False
    matched: tuple[str, ...] = ()


class Grader:
    """Grades answers to one question; reads its labels once."""

    def __init__(self, question: GoldenQuestion) -> None:
        self.question = question
        self.expects: Expects = expects(question)
        self._expected: Expected = expect(question)

    def grade(self, answer: str, supports: Sequence[Support] = ()) -> Graded:
        """supports: what the sources say that the answer cites or should cite."""
        text = Prepared(answer)
        said = deferral.read(text, self.question.expected_tools)
        if not text.words:
            # nothing but markers, blanks or punctuation
            return Graded("not_attempted", "empty", False, said, missing=("any words",))
        forbidden = facts.forbidden_texts(self._expected, text)
        details = facts.unsupported_details(self._expected, text)
        unsupported = tuple(details)[:MAX_KEPT]
        confabulated = unsupported_details(self._expected, text, details, supports)
        if self.expects == "live":
            return self._live(text, said, forbidden, unsupported, confabulated)
        check = facts.check(self._expected, text)
        deferred = said.deferred
        rule: str = check.rule
        grade: Grade
        if self.expects == "refusal":
            deferred, rule = said.statement, "refusal"
            facts_there = check.rule == "key_facts" and check.all_there
            grade = "correct" if said.statement or facts_there else "incorrect"
        elif check.all_there:
            grade = "correct"
        else:
            grade = "not_attempted" if said.statement else "incorrect"
        if forbidden or check.contradictions:
            grade = "incorrect"
        missing = () if grade == "correct" else check.missing
        if self.expects == "refusal" and missing and check.rule != "key_facts":
            missing = ("a statement that there is no answer",)
        return Graded(
            grade,
            rule,
            deferred,
            said,
            missing,
            check.contradictions,
            forbidden,
            unsupported,
            confabulated,
            check.misplaced,
            check.matched,
        )

    def _live(
        self,
        text: Prepared,
        said: Deferral,
        forbidden: tuple[str, ...],
        unsupported: tuple[str, ...],
        confabulated: tuple[str, ...],
    ) -> Graded:
        wanted = {
            "a statement that it needs live data": said.statement,
            "a next step": said.next_step,
        }
        matched = [what for what, there in wanted.items() if there]
        missing = [what for what, there in wanted.items() if not there]
        wrong_tool = bool(said.tools) and said.right_tool is False
        if wrong_tool:
            missing.append(f"a right tool (names {', '.join(said.tools)})")
        if self.question.key_facts:
            check = facts.check(self._expected, text)
            matched += check.matched
            missing += check.missing
        grade: Grade = "incorrect" if missing or forbidden else "correct"
        return Graded(
            grade,
            "deferral",
            said.deferred,
            said,
            tuple(missing),
            (),
            forbidden,
            unsupported,
            confabulated,
            wrong_tool,
            tuple(matched),
        )
