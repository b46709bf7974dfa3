"""The evaluation routine: systems in turn → answers → scores.json → report.md, with events.

    answers/<system>.jsonl         one answer a line, as they come (core.evaluation.asking)
    answers/<system>.probe.jsonl   the same on unseen wording, if there is a probe
    scores.json, report.md

Run again with the same plan, it asks only what has no answer yet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core.evaluation import report, scores
from core.evaluation.answers import Answer, read_answers
from core.evaluation.asking import Loaded, Say, run_system
from core.evaluation.confabulation import SourceFacts
from core.evaluation.curves import of_training
from core.evaluation.evidence import nearest_pairs
from core.evaluation.golden import GoldenQuestion
from core.evaluation.latency_difference import difference
from core.evaluation.plan import Plan, check
from core.evaluation.recorded import Recorded, Timed
from core.evaluation.strata import strata
from core.evaluation.trained import all_trained
from core.jobdir import EventWriter, write_atomic
from core.pairs import read_pairs


def evaluate(plan: Plan, events: EventWriter, say: Say = print) -> dict[str, Any]:
    """Run the whole plan; the scores document, which is also written.

    Raises UsageError, GoldenError, SettingsError, RegistryNotLoaded, MissingComponent before any
    model is loaded where that can be known.
    """
    began = time.time()
    events.phase("check")
    inputs = check(plan)
    say(f"{len(inputs.golden.questions)} golden questions, {len(inputs.index.by_id)} sources")
    answered: dict[str, Mapping[str, Answer]] = {n: read_answers(p) for n, p in plan.stored.items()}
    probed: dict[str, Mapping[str, Answer]] = {}
    about: dict[str, Any] = {
        "systems": {},
        "max_new_tokens": plan.max_new_tokens,
        "engine": plan.engine,
        "golden_files": [asdict(part) for part in inputs.parts],
    }
    if plan.left_out:
        about["left_out"] = dict(plan.left_out)
    if inputs.latency is not None:
        about["serving"] = inputs.latency
    for name, stored in answered.items():
        _warn_strangers(name, stored, inputs.golden.questions, events, say)
        about["systems"][name] = {"answers": str(plan.stored[name].name)}
    with Loaded(plan, events, say) as loaded:
        for name in plan.systems:
            events.phase("answer", system=name)
            answered[name], in_probe, about["systems"][name] = run_system(
                name, plan, inputs, loaded, events, say
            )
            if in_probe is not None:
                probed[name] = in_probe
    if inputs.live_tools is not None:
        about["live_tools"] = _against_tools(inputs.live_tools, answered)
    events.phase("score")
    pairs = read_pairs(plan.pairs).pairs if plan.pairs else []
    trained = all_trained(pairs, plan.trained, plan.rewordings)
    document = scores.build(
        inputs.golden,
        answered,
        inputs.index,
        inputs.gates,
        probe=inputs.probe,
        probe_answers=probed,
        candidate=plan.candidate,
        version=plan.version,
        reason=plan.reason,
        about={**about, "wall_s": round(time.time() - began, 2)},
        source_facts=SourceFacts(pairs) if pairs else None,
        nearest=nearest_pairs(inputs.golden.questions, pairs),
        trained=strata(inputs.golden.questions, trained) if pairs else None,
        curves=of_training(plan.adapter),
    )
    plan.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomic(plan.out / "scores.json", text.encode("utf-8", "replace"))
    page = report.render(document)
    write_atomic(plan.out / "report.md", page.encode("utf-8", "replace"))
    return document


def headline_figures(document: Mapping[str, Any]) -> dict[str, Any]:
    """The result event: verdict, headline, and the main figures of each system (0..1, seconds)."""
    names = "accuracy citation_presence citation_precision fabricated deferral false_refusal"
    return {
        "routine": "eval",
        "verdict": document["verdict"],
        "version": document["version"],
        "headline": document["headline"],
        "systems": {
            name: {m: metrics[m]["estimate"] for m in names.split()}
            | {m: metrics[m] for m in ("latency_p50", "latency_p95", "latency_n")}
            for name, metrics in document["systems"].items()
        },
        "probe": document["probe"],
    }


def _against_tools(
    recorded: Recorded, answered: Mapping[str, Mapping[str, Answer]]
) -> dict[str, Any]:
    """What the live tools took, and what each system that was timed takes more or less."""
    differences = {}
    for name, answers in answered.items():
        own = [Timed(i, a.latency_s) for i, a in answers.items() if a.latency_s is not None]
        if own:
            differences[name] = difference(own, recorded.requests)
    return {**recorded.as_dict(), "differences": differences}


def _warn_strangers(
    name: str,
    stored: Mapping[str, Answer],
    questions: Sequence[GoldenQuestion],
    events: EventWriter,
    say: Say,
) -> None:
    strangers = stored.keys() - {q.id for q in questions}
    if strangers:
        text = f"{name}: {len(strangers)} answers belong to no golden question and are passed over"
        events.warning(text)
        say(text)
