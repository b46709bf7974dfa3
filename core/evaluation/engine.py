"""The evaluation routine: systems in turn → answers → scores.json → report.md, with events.

    answers/<system>.jsonl         one answer a line, as they come
    answers/<system>.probe.jsonl   the same on unseen wording, if there is a probe
    scores.json, report.md

Every answer is on disk before the next question is asked: an evaluation that was killed goes on
where it stopped. A few questions spread over the set are asked alone, and those times are the
latency; the rest is asked in batches, whose times say nothing about one user's wait.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import base_models
from core.evaluation import report, retrieval, scores
from core.evaluation.answers import Answer, AnswerLog, read_answers
from core.evaluation.generate import Generator, load, settle_threads
from core.evaluation.golden import GoldenQuestion
from core.evaluation.plan import Inputs, Plan, check
from core.jobdir import EventWriter, write_atomic
from core.pairs import read_pairs

Say = Callable[[str], None]
SETTLE_EVERY_S = 60.0


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
    about: dict[str, Any] = {"systems": {}, "max_new_tokens": plan.max_new_tokens}
    for name, stored in answered.items():
        _warn_strangers(name, stored, inputs.golden.questions, events, say)
        about["systems"][name] = {"answers": str(plan.stored[name].name)}
    for name in plan.systems:
        events.phase("answer", system=name)
        answered[name], in_probe, about["systems"][name] = _run_system(
            name, plan, inputs, events, say
        )
        if in_probe is not None:
            probed[name] = in_probe
    events.phase("score")
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


@dataclass(frozen=True, slots=True)
class _Set:
    """The questions of one file, the answers to them, and what the events call it."""

    what: str
    questions: Sequence[GoldenQuestion]
    log: AnswerLog

    def todo(self) -> list[GoldenQuestion]:
        return [q for q in self.questions if not self.log.has(q.id, q.question)]

    def answers(self) -> dict[str, Answer]:
        return {q.id: self.log.done[q.id] for q in self.questions}


def _run_system(
    name: str, plan: Plan, inputs: Inputs, events: EventWriter, say: Say
) -> tuple[Mapping[str, Answer], Mapping[str, Answer] | None, dict[str, Any]]:
    about = _about(name, plan)
    sets = [_open(name, inputs.golden, plan, about, say)]
    if inputs.probe is not None:
        sets.append(_open(f"{name}.probe", inputs.probe, plan, about, say))
    notes: tuple[str, ...] = ()
    try:
        if any(part.todo() for part in sets):
            if name == "retrieval":
                _retrieve(sets, plan, events)
            else:
                notes = _generate(name, sets, plan, events, say)
        for part in sets:
            events.progress(len(part.questions), len(part.questions), part.what, 0.0)
    finally:
        for part in sets:
            part.log.close()
    answers = [part.answers() for part in sets]
    return answers[0], answers[1] if len(answers) > 1 else None, {**about, "notes": list(notes)}


def _open(
    what: str, questions: scores.QuestionSet, plan: Plan, about: dict[str, Any], say: Say
) -> _Set:
    """The answers there are already: of this run before it was stopped, or of an earlier one."""
    log = AnswerLog(plan.out / "answers" / f"{what}.jsonl", about)
    part = _Set(what, questions.questions, log)
    name, dot, kind = what.partition(".")
    if name in plan.reuse:
        earlier = plan.reuse[name].with_name(f"{plan.reuse[name].stem}{dot}{kind}.jsonl")
        log.reuse(earlier, about, {q.id: q.question for q in questions.questions})
    there = len(part.questions) - len(part.todo())
    if there:
        say(f"{what}: {there} of {len(part.questions)} answers are there already")
    return part


def _about(name: str, plan: Plan) -> dict[str, Any]:
    """What this system's answers depend on; answers given under other circumstances are not mixed.

    Not the system's name: yesterday's tuned version is today's previous one.
    """
    if name == "retrieval":
        pairs = [base_models.sha256(p) for p in plan.pairs]
        return {"pairs": pairs, "threshold": retrieval.THRESHOLD}
    base = base_models.resolve(plan.base_model, verify=False)
    adapter = _adapter(name, plan)
    weights = adapter / "adapter_model.safetensors" if adapter else None
    template = base / "chat_template.jinja"
    return {
        "base_model": base.name,
        **base_models.identity(base),
        "chat_template": base_models.sha256(template) if template.is_file() else None,
        "adapter": base_models.sha256(weights) if weights and weights.is_file() else None,
        "dtype": plan.dtype,
        "max_new_tokens": plan.max_new_tokens,
    }


def _retrieve(sets: Sequence[_Set], plan: Plan, events: EventWriter) -> None:
    pairs = read_pairs(plan.pairs).pairs
    with retrieval.Store((p.question, p.answer) for p in pairs) as store:
        for part in sets:
            for n, q in enumerate(part.todo()):
                start = time.perf_counter()
                found = store.answer(q.question)
                answer = Answer(q.id, found.answer, time.perf_counter() - start, None, "stop")
                part.log.add(answer, q.question, nearest=found.nearest, coverage=found.coverage)
                if n % 200 == 0:
                    events.progress(n, len(part.questions), part.what)


def _generate(
    name: str,
    sets: Sequence[_Set],
    plan: Plan,
    events: EventWriter,
    say: Say,
) -> tuple[str, ...]:
    from core.training import environment

    environment.prepare()  # threads and quiet libraries, before torch is imported
    events.phase("load", system=name, base_model=plan.base_model)
    model = load(
        base_models.resolve(plan.base_model),
        _adapter(name, plan),
        dtype="float32" if plan.dtype == "float32" else "bfloat16",
        max_new_tokens=plan.max_new_tokens,
    )
    for note in model.notes:
        say(f"{name}: {note}")
    threads = _Threads(model, say)
    for part in sets:
        todo = part.todo()
        wording = {q.id: q.question for q in todo}
        progress = _Progress(part.what, len(part.questions), len(todo), events)
        # one at a time first: these times are the latency
        spread = {q.id for q in _spread(part.questions, plan.latency_sample)}
        alone = [q for q in todo if q.id in spread and part.what == name]
        for q in alone:
            threads.again()
            part.log.add(model.answer_alone(q), q.question, batch=1, device=model.device)
            progress.tell(1)
        asked = {q.id for q in alone}
        rest = [q for q in todo if q.id not in asked]
        for batch in model.answer_batches(rest, plan.batch_size):
            threads.again()
            for answer in batch:
                part.log.add(answer, wording[answer.id], batch=len(batch), device=model.device)
            progress.tell(len(batch))
        say(f"{part.what}: {len(part.questions)} questions answered")
    return model.notes


class _Threads:
    """Keeps to the number of threads that is fastest, as the rest of the machine comes and goes."""

    def __init__(self, model: Generator, say: Say) -> None:
        self._model, self._say = model, say
        self._count, self._at = -1, -math.inf
        self.again()

    def again(self) -> None:
        if time.perf_counter() - self._at < SETTLE_EVERY_S:
            return
        count = settle_threads(self._model)
        if count != self._count and count:
            self._say(f"answering with {count} thread{'s' if count > 1 else ''}")
        self._count, self._at = count, time.perf_counter()


class _Progress:
    """Events with the time that is left, judged by this run's own pace."""

    def __init__(self, what: str, total: int, left: int, events: EventWriter) -> None:
        self._what, self._total, self._left, self._events = what, total, left, events
        self._began, self._given = time.perf_counter(), 0

    def tell(self, answered: int) -> None:
        self._given += answered
        self._left -= answered
        pace = (time.perf_counter() - self._began) / self._given
        done = self._total - self._left
        self._events.progress(done, self._total, self._what, round(self._left * pace, 1))


def _adapter(name: str, plan: Plan) -> Path | None:
    return {"tuned": plan.adapter, "previous": plan.previous_adapter}.get(name)


def _spread(questions: Sequence[GoldenQuestion], n: int) -> list[GoldenQuestion]:
    """n questions at even distances, hence of all categories of a sorted file."""
    n = min(n, len(questions))
    return [questions[k * len(questions) // n] for k in range(n)]
