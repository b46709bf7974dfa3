"""Graded answers of one system → its metrics, per category and over all.

Every metric is a proportion with its interval. A question without an answer counts as one that was
not attempted: nothing leaves a denominator because a system kept silent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.citations import SourceIndex
from core.evaluation import cites
from core.evaluation.answers import Answer
from core.evaluation.cites import Cited
from core.evaluation.golden import GoldenQuestion
from core.evaluation.grading import Graded, Grader
from core.evaluation.statistics import Proportion, percentile, percentile_interval, wilson

SHOWN_CHARACTERS = 2000  # of an answer in scores.json; the answers file has all of it


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer with everything said about it."""

    question: GoldenQuestion
    expects: str
    answer: Answer
    graded: Graded
    cited: Cited

    @property
    def wrong_but_cited(self) -> bool:
        """Wrong, and carrying a marker that looks right: the failure a reader cannot see."""
        return self.graded.grade == "incorrect" and self.cited.well_formed > 0

    def as_row(self, system: str) -> dict[str, Any]:
        """The per-question row of scores.json."""
        text = self.answer.answer
        return {
            "id": self.question.id,
            "category": self.question.category,
            "system": system,
            "question": self.question.question,
            "expected_answer": self.question.expected_answer,
            "expects": self.expects,
            "grade": self.graded.grade,
            "rule": self.graded.rule,
            "deferred": self.graded.deferred,
            "markers": [{"text": t, "class": c} for t, c in self.cited.kept],
            "missing": list(self.graded.missing),
            "contradictions": list(self.graded.contradictions),
            "forbidden": list(self.graded.forbidden),
            "unsupported": list(self.graded.unsupported),
            "finish": self.answer.finish,
            "latency_s": self.answer.latency_s,
            "answer": text[:SHOWN_CHARACTERS],
            "answer_characters": len(text),
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from question to whole answer, asked one at a time."""

    seconds: tuple[float, ...] = field(repr=False)

    def as_dict(self) -> dict[str, float | int | None]:
        low, high = percentile_interval(self.seconds, 0.95)
        return {
            "latency_p50": percentile(self.seconds, 0.50),
            "latency_p95": percentile(self.seconds, 0.95),
            "latency_p95_low": low,
            "latency_p95_high": high,
            "latency_n": len(self.seconds),
        }

    def faster_than(self, limit_s: float) -> Proportion:
        """Share of answers within the limit: P95 < limit means that it is at least 0.95."""
        return wilson(sum(s < limit_s for s in self.seconds), len(self.seconds))


@dataclass(frozen=True, slots=True)
class SystemScore:
    """What one system did on one set of questions. metrics: name → proportion."""

    rows: tuple[Scored, ...] = field(repr=False)
    metrics: Mapping[str, Proportion]
    categories: Mapping[str, Proportion]
    latency: Latency
    unanswered: int
    cut_off: int


def score(
    graders: Sequence[Grader],
    answers: Mapping[str, Answer],
    index: SourceIndex | None,
) -> SystemScore:
    """Grade every question's answer; linear in the number and length of the answers.

    Raises RegistryNotLoaded if there are no sources to judge citations against.
    """
    rows: list[Scored] = []
    unanswered = 0
    for grader in graders:
        question = grader.question
        answer = answers.get(question.id)
        if answer is None:
            unanswered += 1
            answer = Answer(question.id, "")
        rows.append(
            Scored(
                question,
                grader.expects,
                answer,
                grader.grade(answer.answer),
                cites.read(answer.answer, question, index),
            )
        )
    by_category: dict[str, list[Scored]] = defaultdict(list)
    for row in rows:
        by_category[row.question.category].append(row)
    seconds = tuple(r.answer.latency_s for r in rows if r.answer.latency_s is not None)
    return SystemScore(
        rows=tuple(rows),
        metrics=_metrics(rows),
        categories={name: _share(_correct(r) for r in part) for name, part in by_category.items()},
        latency=Latency(seconds),
        unanswered=unanswered,
        cut_off=sum(r.answer.finish == "length" for r in rows),
    )


def correct_by_id(system: SystemScore) -> dict[str, bool]:
    """Question id → graded correct, for paired comparisons."""
    return {r.question.id: _correct(r) for r in system.rows}


def is_right(row: Mapping[str, Any]) -> bool:
    """Whether a question row of scores.json counts as right."""
    return bool(row["grade"] == "correct")


def _correct(row: Scored) -> bool:
    return row.graded.grade == "correct"


def _metrics(rows: Sequence[Scored]) -> dict[str, Proportion]:
    answerable = [r for r in rows if r.expects == "answer"]
    should_defer = [r for r in rows if r.expects != "answer"]
    should_cite = [r for r in rows if r.question.citation_expected]
    attempted = [r for r in rows if r.graded.grade != "not_attempted"]
    wants_tool = [r for r in rows if r.question.expected_tools and r.graded.deferred]

    def total(name: str) -> int:
        return sum(getattr(r.cited, name) for r in rows)

    markers, well_formed, fabricated = total("markers"), total("well_formed"), total("fabricated")
    return {
        "accuracy": _share(map(_correct, rows)),
        "accuracy_attempted": _share(map(_correct, attempted)),
        "attempted": wilson(len(attempted), len(rows)),
        "citation_presence": _share(r.cited.well_formed > 0 for r in should_cite),
        "citation_precision": wilson(total("correct"), markers),
        "citation_recall": wilson(total("recalled"), total("wanted")),
        "citation_right": _share(r.cited.right for r in should_cite),
        "fabricated": wilson(fabricated, well_formed),
        "fabricated_answers": _share(r.cited.fabricated > 0 for r in rows),
        "wrong_entity": wilson(total("wrong_entity"), well_formed - fabricated),
        "stale": wilson(total("stale"), well_formed - fabricated),
        "malformed": wilson(total("malformed"), markers),
        "deferral": _share(r.graded.deferred for r in should_defer),
        "right_tool": _share(bool(r.graded.deferral.right_tool) for r in wants_tool),
        "false_refusal": _share(r.graded.grade == "not_attempted" for r in answerable),
        "wrong_but_cited": _share(r.wrong_but_cited for r in answerable),
        "unsupported": _share(bool(r.graded.unsupported) for r in rows),
    }


def _share(flags: Iterable[bool]) -> Proportion:
    values = list(flags)
    return wilson(sum(values), len(values))
