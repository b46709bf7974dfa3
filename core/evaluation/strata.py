"""The golden set against a snapshot: `core.contamination` with the scorer's own idea of a fact.

"Trained" means here that the training answer, were it given to the golden question, would be found to
state the key facts by the same rules that grade the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.contamination import Contamination, GoldenItem, contamination, states
from core.evaluation.deferral import expects
from core.evaluation.facts import check
from core.evaluation.golden import GoldenQuestion
from core.evaluation.labels import expect
from core.evaluation.normalise import Prepared
from core.pairs import Pair


def golden_item(question: GoldenQuestion) -> GoldenItem:
    """For a live tool any one of the right tools is the fact; a refusal has no fact to train."""
    wants = expects(question)
    facts: tuple[object, ...] = ()
    if wants == "live":
        facts = (tuple(question.expected_tools),) if question.expected_tools else ()
    elif wants == "answer":
        facts = tuple(question.key_facts)
    return GoldenItem(
        question.id,
        question.question,
        question.expected_answer,
        facts,
        question.expected_sources if wants == "answer" else (),
    )


def strata(questions: Iterable[GoldenQuestion], pairs: Iterable[Pair]) -> Contamination:
    """Which golden questions the pairs give away, and whether their facts are trained."""
    questions = tuple(questions)
    graded = {q.id: expect(q) for q in questions if expects(q) == "answer"}

    def says(item: GoldenItem, answer: str) -> Sequence[bool]:
        if item.id not in graded:
            return states(item, answer)
        return [r.matched for r in check(graded[item.id], Prepared(answer)).results]

    return contamination(map(golden_item, questions), pairs, says)
