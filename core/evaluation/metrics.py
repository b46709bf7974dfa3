"""Graded answers of one system → its metrics, per category and over all.

Every metric is a proportion with its interval. A question without an answer counts as one that was
not attempted: nothing leaves a denominator because a system kept silent. Wordings of one item are
no independent observations; where there are any, intervals allow for it. Canaries (resources that
do not exist) have a metric of their own and are left out of accuracy, which would only look better
for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.citations import SourceIndex
from core.evaluation import cites, refusals
from core.evaluation.answers import Answer
from core.evaluation.causes import Cause, cause_of
from core.evaluation.cites import Cited
from core.evaluation.confabulation import Support
from core.evaluation.golden import GoldenQuestion
from core.evaluation.grading import Graded, Grader
from core.evaluation.paired import Item
from core.evaluation.refusals import DeferralTable
from core.evaluation.statistics import (
    Proportion,
    clustered,
    percentile,
    percentile_interval,
    wilson,
)

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

    @property
    def correct(self) -> bool:
        return self.graded.grade == "correct"

    def cause(self, right_before: bool = False) -> Cause | None:
        return cause_of(
            self.expects, self.answer, self.graded, self.cited, right_before=right_before
        )

    def as_row(self, system: str, right_before: bool = False) -> dict[str, Any]:
        """The per-question row of scores.json. right_before: the previous version had it right."""
        text = self.answer.answer
        return {
            "id": self.question.id,
            "category": self.question.category,
            "cluster": self.question.cluster,
            "set": self.question.set,
            "canary": self.question.canary,
            "system": system,
            "question": self.question.question,
            "expected_answer": self.question.expected_answer,
            "expects": self.expects,
            "grade": self.graded.grade,
            "rule": self.graded.rule,
            "cause": self.cause(right_before),
            "deferred": self.graded.deferred,
            "markers": [{"text": t, "class": c} for t, c in self.cited.kept],
            "matched": list(self.graded.matched),
            "missing": list(self.graded.missing),
            "contradictions": list(self.graded.contradictions),
            "forbidden": list(self.graded.forbidden),
            "unsupported": list(self.graded.unsupported),
            "confabulated": list(self.graded.confabulated),
            "finish": self.answer.finish,
            "tokens": self.answer.tokens,
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
    """What one system did on one set of questions.

    metrics: name → proportion.  categories: category → accuracy.  parts: metric → category →
    proportion, for those metrics whose weak areas are named.
    """

    rows: tuple[Scored, ...] = field(repr=False)
    metrics: Mapping[str, Proportion]
    categories: Mapping[str, Proportion]
    latency: Latency
    unanswered: int
    cut_off: int
    deferral_table: DeferralTable | None = None
    parts: Mapping[str, Mapping[str, Proportion]] = field(default_factory=dict)


def score(
    graders: Sequence[Grader],
    answers: Mapping[str, Answer],
    index: SourceIndex | None,
    source_facts: Mapping[str, Support] | None = None,
) -> SystemScore:
    """Grade every question's answer; linear in the number and length of the answers.

    source_facts: source id → what is known of it; a detail it supports is no confabulation.
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
        cited = cites.read(answer.answer, question, index)
        supports = _supports(question, cited, source_facts) if source_facts else ()
        graded = grader.grade(answer.answer, supports)
        rows.append(Scored(question, grader.expects, answer, graded, cited))
    by_category: dict[str, list[Scored]] = defaultdict(list)
    for row in rows:
        if not row.question.canary:
            by_category[row.question.category].append(row)
    seconds = tuple(r.answer.latency_s for r in rows if r.answer.latency_s is not None)
    return SystemScore(
        rows=tuple(rows),
        metrics=_metrics(rows),
        categories={name: _share(part, _correct) for name, part in by_category.items()},
        latency=Latency(seconds),
        unanswered=unanswered,
        cut_off=sum(r.answer.finish == "length" for r in rows),
        deferral_table=refusals.table(rows),
        parts=_parts(rows),
    )


def _supports(
    question: GoldenQuestion, cited: Cited, source_facts: Mapping[str, Support]
) -> list[Support]:
    sources = dict.fromkeys([*cited.sources, *question.expected_sources])
    return [source_facts[s] for s in sources if s in source_facts]


def accuracy_by(s: SystemScore, group: Mapping[str, str]) -> dict[str, Proportion]:
    """Accuracy in each group of questions, canaries left out. group: question id → its group."""
    groups: dict[str, list[Scored]] = {name: [] for name in dict.fromkeys(group.values())}
    for row in s.rows:
        if row.question.id in group and not row.question.canary:
            groups[group[row.question.id]].append(row)
    return {name: _share(part, _correct) for name, part in groups.items() if part}


def items(first: SystemScore, second: SystemScore) -> list[Item]:
    """The questions both were asked, for a paired comparison of accuracy."""
    other = {r.question.id: r.correct for r in second.rows}
    return [
        Item(
            r.question.id, r.question.category, r.question.cluster, r.correct, other[r.question.id]
        )
        for r in first.rows
        if r.question.id in other and not r.question.canary
    ]


def is_right(row: Mapping[str, Any]) -> bool:
    """Whether a question row of scores.json counts as right."""
    return bool(row["grade"] == "correct")


def _correct(row: Scored) -> bool:
    return row.graded.grade == "correct"


def _metrics(rows: Sequence[Scored]) -> dict[str, Proportion]:
    asked = [r for r in rows if not r.question.canary]
    answerable = [r for r in rows if r.expects == "answer"]
    should_defer = [r for r in rows if r.expects != "answer"]
    should_cite = [r for r in rows if r.question.citation_expected]
    attempted = [r for r in asked if r.graded.grade != "not_attempted"]
    for_tool = [r for r in rows if r.question.expected_tools and r.expects == "live"]
    wants_tool = [r for r in rows if r.question.expected_tools and r.graded.deferred]
    out = {
        "accuracy": _share(asked, _correct),
        "accuracy_attempted": _share(attempted, _correct),
        "attempted": _share(asked, lambda r: r.graded.grade != "not_attempted"),
        "citation_presence": _share(should_cite, lambda r: r.cited.well_formed > 0),
        "citation_precision": _ratio(rows, lambda c: (c.correct, c.markers)),
        "citation_recall": _ratio(rows, lambda c: (c.recalled, c.wanted)),
        "citation_right": _share(should_cite, lambda r: r.cited.right),
        "fabricated": _ratio(rows, lambda c: (c.fabricated, c.well_formed)),
        "fabricated_answers": _share(rows, lambda r: r.cited.fabricated > 0),
        "wrong_entity": _ratio(rows, lambda c: (c.wrong_entity, c.well_formed - c.fabricated)),
        "stale": _ratio(rows, lambda c: (c.stale, c.well_formed - c.fabricated)),
        "malformed": _ratio(rows, lambda c: (c.malformed, c.markers)),
        "deferral": _share(should_defer, lambda r: r.graded.deferred),
        "right_tool": _share(wants_tool, refusals.names_tool),
        "tool_named": _share(for_tool, refusals.names_tool),
        "false_refusal": _share(answerable, refusals.is_false_refusal),
        "wrong_but_cited": _share(answerable, lambda r: r.wrong_but_cited),
        "unsupported": _share(rows, lambda r: bool(r.graded.unsupported)),
        "confabulated": _share(rows, lambda r: bool(r.graded.confabulated)),
    }
    canaries = [r for r in rows if r.question.canary]
    if canaries:
        out["canaries"] = _share(canaries, refusals.invents)
    return out


def _parts(rows: Sequence[Scored]) -> dict[str, dict[str, Proportion]]:
    """Citation presence, refusals and false refusals in each category that has any."""
    wanted: dict[str, tuple[Callable[[Scored], bool], Callable[[Scored], bool]]] = {
        "citation_presence": (
            lambda r: r.question.citation_expected,
            lambda r: r.cited.well_formed > 0,
        ),
        "deferral": (lambda r: r.expects != "answer", lambda r: r.graded.deferred),
        "false_refusal": (lambda r: r.expects == "answer", refusals.is_false_refusal),
    }
    out: dict[str, dict[str, Proportion]] = {}
    for metric, (counts, good) in wanted.items():
        kinds: dict[str, list[Scored]] = defaultdict(list)
        for row in rows:
            if counts(row):
                kinds[row.question.category].append(row)
        out[metric] = {name: _share(part, good) for name, part in kinds.items()}
    return out


def _share(rows: Sequence[Scored], good: Callable[[Scored], bool]) -> Proportion:
    """Answers that are `good`, of those given."""
    flags = [good(r) for r in rows]
    if _each_by_itself(rows):
        return wilson(sum(flags), len(flags))
    return clustered([(int(f), 1) for f in flags], [r.question.cluster for r in rows])


def _ratio(rows: Sequence[Scored], counts: Callable[[Cited], tuple[int, int]]) -> Proportion:
    """Markers of a kind over markers; those of one answer count one by one."""
    found = [counts(r.cited) for r in rows]
    if _each_by_itself(rows):
        return wilson(sum(k for k, _ in found), sum(n for _, n in found))
    return clustered(found, [r.question.cluster for r in rows])


def _each_by_itself(rows: Sequence[Scored]) -> bool:
    return all(r.question.cluster == r.question.id for r in rows)
