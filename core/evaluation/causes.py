"""Why an answer is wrong: one cause for every answer that is not correct.

The first rule that holds, in this order:

    cut_off          the answer stopped at the token limit, and facts are missing
    refused          not attempted: empty, or it says that it will not answer; or a question for a live
                     tool that it declines without saying where to ask
    forgotten        the previous version had this question right
    wrong_attribute  it holds a value of the labels, but for something else (the other side of a
                     comparison, another attribute); or it hands over to a wrong tool
    invented         it contradicts itself or the expected answer, says a forbidden text, holds numbers
                     or names that nothing supports or a source that does not exist; or it answers
                     what only a live tool can answer, or what does not exist
    never_learned    none of these: the facts are simply not in it

"forgotten" needs the previous version's answers in the same evaluation; without them those
questions fall under the later rules. "never_learned" and "invented" say what the answer looks like,
not what the weights hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

from core.evaluation.answers import Answer
from core.evaluation.cites import Cited
from core.evaluation.grading import Graded

Cause = Literal["never_learned", "forgotten", "wrong_attribute", "invented", "refused", "cut_off"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


def cause_of(
    expects: str, answer: Answer, graded: Graded, cited: Cited, *, right_before: bool = False
) -> Cause | None:
    """None for a correct answer. right_before: the previous version answered this one correctly."""
    if graded.grade == "correct":
        return None
    if answer.finish == "length" and graded.missing:
        return "cut_off"
    declined = expects == "live" and graded.deferral.statement and not graded.deferral.next_step
    if graded.grade == "not_attempted" or declined:
        return "refused"
    if right_before:
        return "forgotten"
    if graded.misplaced:
        return "wrong_attribute"
    invents = graded.contradictions or graded.forbidden or graded.confabulated or cited.fabricated
    if invents or expects != "answer":
        return "invented"
    return "never_learned"


def count(causes: Iterable[Cause | None]) -> dict[str, int]:
    """How often each cause was found, all causes, zeros included."""
    found = Counter(causes)
    return {cause: found[cause] for cause in CAUSES}
