"""scores.json: everything an evaluation found, in one document others script against.

systems      NAME → metric → {k, n, estimate, low, high, verdict}, and latency in seconds
gates        verdict, estimate, interval, n, n needed and action of each gate
verdict      GO, NO-GO or UNDECIDED, with its reasons
comparisons  the candidate against each other system, paired
             with Holm's correction, a bootstrap interval and the smallest detectable difference
categories   NAME → category → accuracy
category_metrics  NAME → metric → category → {k, n, …}, for naming weak areas
deferral_table, tool_named, confabulated, canaries, causes  NAME → see the modules of those names
probe        NAME → facts and right citations on unseen wording of trained facts, or null
questions    one row a question and system: grade, markers with classes, deferred or not
nearest      question id → the training pairs nearest to it
contamination, strata  what the pairs give away, and NAME → accuracy by it
trained      question id → its stratum, and the pairs that say its facts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.citations import SourceIndex
from core.contamination import Contamination
from core.evaluation.answers import Answer
from core.evaluation.causes import count
from core.evaluation.confabulation import Support
from core.evaluation.garbage import collector_paused
from core.evaluation.gates import (
    Decision,
    GateResult,
    Gates,
    compare_all,
    decide,
    gate_of,
    judge,
    pick_candidate,
)
from core.evaluation.golden import GoldenQuestion
from core.evaluation.grading import Grader
from core.evaluation.metrics import Scored, SystemScore, accuracy_by, score
from core.evaluation.paired import Comparison
from core.evaluation.regressions import PREVIOUS, regressions
from core.evaluation.statistics import Proportion, verdict, wilson

ORDER = ("base", "retrieval", "base+retrieval", "previous")
Answers = Mapping[str, Mapping[str, Answer]]
"""System → question id → answer."""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions and their file's hash, which is the set's version."""

    questions: Sequence[GoldenQuestion]
    sha256: str


def build(
    golden: QuestionSet,
    answers: Answers,
    index: SourceIndex | None,
    gates: Gates,
    *,
    probe: QuestionSet | None = None,
    probe_answers: Answers | None = None,
    candidate: str | None = None,
    version: str | None = None,
    reason: str = "",
    about: Mapping[str, Any] | None = None,
    curves: Sequence[Mapping[str, Any]] | None = None,
    source_facts: Mapping[str, Support] | None = None,
    nearest: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    trained: Contamination | None = None,
) -> dict[str, Any]:
    """Score every system on the same questions and judge the candidate.

    curves: {step, recall, fabricated, refusal} over training, passed through.  source_facts: source
    id → what is known of it (core.evaluation.confabulation.SourceFacts of the pairs).  nearest:
    question id → training pairs nearest to it, passed through.  trained: what the training pairs
    give away of the questions (core.evaluation.strata).
    reason: stated reason for releasing a candidate that is not better than retrieval.
    about: how the answers came about (device, models …), passed through; what `serving` in it says
    of the candidate's latency at a server goes before that of answers given here.
    Raises RegistryNotLoaded without sources, UsageError if the candidate is no system here.
    """
    names = sorted(answers, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))
    chosen = pick_candidate(names, candidate)
    with collector_paused():
        graders = [Grader(q) for q in golden.questions]
        systems = {name: score(graders, answers[name], index, source_facts) for name in names}
        probed: dict[str, SystemScore] = {}
        if probe is not None and probe_answers:
            probe_graders = [Grader(q) for q in probe.questions]
            probed = {
                name: score(probe_graders, probe_answers[name], index, source_facts)
                for name in names
                if name in probe_answers
            }
        rows = _rows(systems, chosen)
        probe_rows = _rows(probed, chosen)
    unseen = {name: _probe_metrics(s) for name, s in probed.items()}
    comparisons = {
        f"{chosen}_vs_{other}": c
        for other, c in compare_all(
            systems[chosen], {n: systems[n] for n in names if n != chosen}
        ).items()
    }
    results = judge(
        gates,
        systems[chosen],
        unseen.get(chosen, {}),
        comparisons.get(f"{chosen}_vs_retrieval"),
        reason,
        regressions(rows, chosen),
        (about or {}).get("serving"),
        {chosen, version or chosen},
    )
    decision = decide(results)
    document: dict[str, Any] = {
        "verdict": decision,
        "candidate": chosen,
        "version": version,
        "headline": _headline(
            decision, results, systems[chosen], unseen.get(chosen), comparisons, gates
        ),
        "reasons": _reasons(results),
        "stated_reason": reason,
        "systems": {name: _system(s, gates) for name, s in systems.items()},
        "gates": [r.as_dict() for r in results],
        "comparisons": {name: c.as_dict() for name, c in comparisons.items()},
        "categories": {name: _dicts(s.categories) for name, s in systems.items()},
        "category_metrics": {
            name: {metric: _dicts(part) for metric, part in s.parts.items()}
            for name, s in systems.items()
        },
        "deferral_table": {
            name: s.deferral_table.as_dict() for name, s in systems.items() if s.deferral_table
        },
        **{
            metric: {
                name: _with_verdict(s.metrics[metric], metric, gates)
                for name, s in systems.items()
                if metric in s.metrics
            }
            for metric in ("tool_named", "confabulated", "canaries")
        },
        "causes": {name: _causes(rows, name) for name in names},
        "probe": {
            name: {m: _with_verdict(p, f"probe_{m}", gates) for m, p in metrics.items()}
            for name, metrics in unseen.items()
        }
        or None,
        "golden": {"sha256": golden.sha256, "n": len(golden.questions)},
        "probe_set": {"sha256": probe.sha256, "n": len(probe.questions)} if probe else None,
        "about": dict(about or {}),
        "questions": rows,
        "probe_questions": probe_rows,
    }
    if nearest:
        document["nearest"] = {question: list(pairs) for question, pairs in nearest.items()}
    if trained is not None:
        document |= _by_training(systems, trained)
    if curves:
        document["curves"] = [dict(point) for point in curves]
    return document


def _by_training(systems: Mapping[str, SystemScore], trained: Contamination) -> dict[str, Any]:
    stratum = {f.golden_id: str(f.stratum) for f in trained.findings}
    return {
        "contamination": {k: v for k, v in trained.as_json().items() if k != "items"},
        "strata": {name: _dicts(accuracy_by(s, stratum)) for name, s in systems.items()},
        "trained": {
            f.golden_id: {"stratum": f.stratum, "fact_pairs": list(f.fact_pairs)}
            for f in trained.findings
        },
    }


def _rows(systems: Mapping[str, SystemScore], candidate: str) -> list[dict[str, Any]]:
    """The question rows; what the candidate has forgotten is told from the previous version's."""
    before = systems.get(PREVIOUS)
    right = {r.question.id for r in before.rows if r.correct} if before else set()
    return [
        row.as_row(name, name == candidate != PREVIOUS and row.question.id in right)
        for name, s in systems.items()
        for row in s.rows
    ]


def _causes(rows: Sequence[Mapping[str, Any]], system: str) -> dict[str, int]:
    return count(row["cause"] for row in rows if row["system"] == system)


def _dicts(parts: Mapping[str, Proportion]) -> dict[str, Any]:
    return {name: p.as_dict() for name, p in parts.items()}


def _probe_metrics(s: SystemScore) -> dict[str, Proportion]:
    facts = s.metrics["accuracy"]
    right_source = [r for r in s.rows if r.cited.right]
    return {
        "facts": facts,
        "citation_right": s.metrics["citation_right"],
        "wrong_fact_right_citation": wilson(sum(_wrong(r) for r in right_source), len(s.rows)),
    }


def _wrong(row: Scored) -> bool:
    return row.graded.grade == "incorrect"


def _with_verdict(p: Proportion, metric: str, gates: Gates) -> dict[str, Any]:
    gate = gate_of(gates, metric)
    if gate is None:
        return p.as_dict()
    shown = wilson(p.k, p.n, gates.confidence, p.n_effective)
    return shown.as_dict(verdict(p, gate.bound(gates.confidence)))


def _system(s: SystemScore, gates: Gates) -> dict[str, Any]:
    out: dict[str, Any] = {m: _with_verdict(p, m, gates) for m, p in s.metrics.items()}
    out |= s.latency.as_dict()
    out["unanswered"] = s.unanswered
    out["cut_off"] = s.cut_off
    return out


def _reasons(results: Sequence[GateResult]) -> list[str]:
    """Why the verdict is what it is, worst first."""
    order = {"FAIL": 0, "UNDECIDED": 1, "PASS": 2}
    out = []
    for r in sorted(results, key=lambda r: order[r.verdict]):
        if r.verdict == "PASS":
            continue
        text = f"{r.verdict}: {r.title} ({r.target}): {r.detail}"
        action = r.action if r.n else "Measure it"
        text += f". Accepted for a stated reason: {r.waived}" if r.waived else f". → {action}"
        out.append(text)
    return out


def percent(p: Proportion) -> str:
    """ "61 % [53–68] (104/170)"."""
    if p.estimate is None or p.low is None or p.high is None:
        return "not measured"
    span = f"{p.low * 100:.0f}–{p.high * 100:.0f}"
    return f"{p.estimate * 100:.0f} % [{span}] ({p.k}/{p.n})"


def _headline(
    decision: Decision,
    results: Sequence[GateResult],
    candidate: SystemScore,
    unseen: Mapping[str, Proportion] | None,
    comparisons: Mapping[str, Comparison],
    gates: Gates,
) -> list[str]:
    """The sentences a reader must not miss, the verdict first."""
    count = {v: sum(r.verdict == v for r in results) for v in ("PASS", "FAIL", "UNDECIDED")}
    out = [
        f"{decision}: {count['FAIL']} {'gate fails' if count['FAIL'] == 1 else 'gates fail'}, "
        f"{count['UNDECIDED']} undecided, {count['PASS']} pass"
    ]
    m = candidate.metrics
    if unseen is not None:
        facts, right = unseen["facts"], unseen["citation_right"]
        gate = gate_of(gates, "probe_facts")
        poor = gate is not None and verdict(facts, gate.bound(gates.confidence)) != "PASS"
        text = (
            f"Facts on unseen wording: {percent(facts)} right, while {percent(right)} cite the "
            "right source."
        )
        if poor and facts.estimate is not None and right.estimate is not None:
            if right.estimate - facts.estimate > 0.1:
                text = f"INVENTED DETAILS WITH PLAUSIBLE CITATIONS. {text}"
            else:
                text = f"FACTS ON UNSEEN WORDING ARE NOT GOOD ENOUGH. {text}"
        out.append(text)
    wrong = m["wrong_but_cited"]
    if wrong.k:
        out.append(
            f"{wrong.k} of {wrong.n} answerable questions get a wrong answer that carries a "
            "citation: a reader would believe it."
        )
    if m["fabricated"].k:
        out.append(
            f"{m['fabricated'].k} of {m['fabricated'].n} citations are fabricated: the source "
            "registry has no such source."
        )
    missed = m["deferral"]
    if missed.estimate is not None and missed.estimate < 0.5:
        out.append(
            f"Answers {missed.n - missed.k} of {missed.n} questions that it should hand over or "
            "decline: what it says there is made up."
        )
    canaries = m.get("canaries")
    if canaries is not None and canaries.k:
        out.append(
            f"Describes {canaries.k} of {canaries.n} resources that do not exist as if they did."
        )
    if m["deferral"].k and m["false_refusal"].estimate and m["false_refusal"].estimate > 0.5:
        out.append(
            f"Refuses {m['false_refusal'].k} of {m['false_refusal'].n} questions that it should "
            "answer: its refusal accuracy is worth nothing."
        )
    against = next((c for n, c in comparisons.items() if n.endswith("_vs_retrieval")), None)
    if against is None:
        out.append("No retrieval column: GO is blocked until it is measured.")
    elif against.losses > against.wins:
        sure = f"p = {against.p_value:.2g}, McNemar {against.wins} : {against.losses}"
        out.append(f"Below the nearest stored answer on the same questions ({sure}).")
    severe = next((r for r in results if r.gate == "regressions" and r.verdict != "PASS"), None)
    if severe is not None:
        out.append(f"A person must look: {severe.detail}.")
    if candidate.unanswered:
        out.append(
            f"Without any answer: {candidate.unanswered} of {len(candidate.rows)} questions; they "
            "count as not attempted."
        )
    if candidate.cut_off:
        out.append(
            f"Cut off at the token limit: {candidate.cut_off} of {len(candidate.rows)} answers."
        )
    return out
