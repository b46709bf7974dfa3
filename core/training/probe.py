"""One probe: the model as it is now answers the probe's questions, and its answers are graded.

Answers are given and graded by the evaluation's own code, so that a curve while training and the report
afterwards speak of the same thing. What they add up to is in `Counts`; which way is better:

    recall           facts asked in unseen wording that are right                           up
    trained_wording  facts without an unseen wording, asked as they were trained            up
    citation         unseen wording: the right source is cited, and no other                up
    refusal          questions for a live tool, or without an answer, handed over rightly   up
    fabricated       unseen wording: a value, a name or a source that nothing supports      down
    false_refusal    unseen wording: declined although it was trained                       down
    canary           resources that do not exist, described all the same                    down
    outdated         facts that have changed, answered with the old value                   down
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.citations import SourceIndex
from core.evaluation import refusals
from core.evaluation.answers import Answer
from core.evaluation.confabulation import SourceFacts
from core.evaluation.engines import Asked, Question
from core.evaluation.grading import Grader
from core.evaluation.metrics import Scored, score
from core.pairs import Pair
from core.training import negatives
from core.training.negatives import Negative
from core.training.probe_set import Probed, ProbeSet, Stratum
from core.training.quick import quick
from core.training.undisturbed import undisturbed

if TYPE_CHECKING:
    from core.evaluation.generate import Generator

BATCH = 64  # questions at a time: a step takes hardly longer for 64 rows than for 8
COUNTS = (
    *("recall", "trained_wording", "citation", "fabricated"),
    *("refusal", "false_refusal", "canary", "outdated"),
)
SHOWN_CHARACTERS = 400  # of an answer in the per-fact table

Count = tuple[int, int]
"""How many, of how many."""


@dataclass(frozen=True, slots=True)
class Probe:
    """counts: name → (k, n), the names of COUNTS.  right: fact → answered rightly, of those in unseen
    wording.  rows: of the per-fact table.
    """

    step: int
    epoch: float
    counts: dict[str, Count]
    right: dict[str, bool]
    seconds: float
    rows: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @property
    def score(self) -> float | None:
        """Recall minus the fabricated share, -1..1; None where no fact has an unseen wording."""
        (k, n), (bad, _) = self.counts["recall"], self.counts["fabricated"]
        return (k - bad) / n if n else None


class Prober:
    """Asks the same questions again and again; labels are read once."""

    def __init__(
        self,
        questions: ProbeSet,
        index: SourceIndex,
        trained: Iterable[Pair],
        outdated: Sequence[Negative] = (),
    ) -> None:
        self.questions = questions
        self._negatives = {f"negative_{n}": item for n, item in enumerate(outdated)}
        self._index = index
        self._source_facts = SourceFacts(trained)
        self._graders = [Grader(item.question) for item in questions.items]

    def ask(
        self,
        engine: Generator,
        step: int,
        epoch: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Probe | None:
        """One probe of the model in `engine`; None if it was cancelled between two batches."""
        began = time.monotonic()
        answers: dict[str, Answer] = {}
        asked: list[Question] = [item.question for item in self.questions.items]
        asked += [Asked(i, item.question) for i, item in self._negatives.items()]
        with undisturbed(engine.model), quick(engine.model):
            for batch in engine.answer_batches(asked, BATCH):
                answers.update((a.id, a) for a in batch)
                if cancelled():
                    return None
        scored = score(self._graders, answers, self._index, self._source_facts).rows
        outdated = [
            (item, answers[i].answer, bool(negatives.found(answers[i].answer, item)))
            for i, item in self._negatives.items()
        ]
        return self._probe(step, epoch, scored, outdated, time.monotonic() - began)

    def _probe(
        self,
        step: int,
        epoch: float,
        scored: Sequence[Scored],
        outdated: Sequence[tuple[Negative, str, bool]],
        seconds: float,
    ) -> Probe:
        items = self.questions.items

        def of(stratum: Stratum) -> list[Scored]:
            return [s for s, i in zip(scored, items, strict=True) if i.stratum == stratum]

        unseen = of("unseen wording")
        citing = [s for s in unseen if s.question.citation_expected]
        counts = {
            "recall": _count(unseen, lambda s: s.correct),
            "trained_wording": _count(of("trained wording"), lambda s: s.correct),
            "citation": _count(citing, lambda s: s.cited.right),
            "fabricated": _count(unseen, fabricates),
            "refusal": _count(of("deferral"), lambda s: s.graded.deferred),
            "false_refusal": _count(unseen, refusals.is_false_refusal),
            "canary": _count(of("canary"), refusals.invents),
            "outdated": (sum(old for _, _, old in outdated), len(outdated)),
        }
        rows = [_row(step, item, s) for s, item in zip(scored, items, strict=True)]
        right = {r["fact"]: r["right"] for r in rows if r["stratum"] == "unseen wording"}
        rows += [
            {
                "step": step,
                "fact": item.was,
                "stratum": "changed fact",
                "right": not old,
                "answer": answer[:SHOWN_CHARACTERS],
            }
            for item, answer, old in outdated
        ]
        return Probe(step, epoch, counts, right, seconds, tuple(rows))


def _row(step: int, item: Probed, scored: Scored) -> dict[str, Any]:
    return {
        "step": step,
        "fact": item.fact,
        "stratum": item.stratum,
        "id": scored.question.id,
        "right": is_right(scored),
        "grade": scored.graded.grade,
        "cited": scored.cited.right,
        "fabricated": fabricates(scored),
        "answer": scored.answer.answer[:SHOWN_CHARACTERS],
    }


def is_right(row: Scored) -> bool:
    """A fact that is right; a question handed over that should be; an invention declined."""
    if row.question.canary:
        return not refusals.invents(row)
    return row.correct if row.expects == "answer" else row.graded.deferred


def fabricates(row: Scored) -> bool:
    """The answer holds something nothing supports, or contradicts what it should say."""
    graded = row.graded
    return bool(
        graded.confabulated or graded.contradictions or graded.forbidden or row.cited.fabricated
    )


def _count(rows: Sequence[Scored], good: Callable[[Scored], bool]) -> Count:
    return sum(good(r) for r in rows), len(rows)
