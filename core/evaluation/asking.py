"""Asking systems: every answer is on disk before the next question is asked.

    answers/<system>.jsonl         one answer a line, with how it came about
    answers/<system>.meta.json     what the answers depend on
    answers/<system>.notes.json    what was noticed on the way

An evaluation that was killed goes on where it stopped. A few questions spread over the set are asked
alone, and those times are the latency; the others are asked in batches, whose times say nothing about
one user's wait, and those few once more among them: an answer that depends on the batch it was in is
reported.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.evaluation import retrieval, systems
from core.evaluation.answers import Answer, AnswerLog
from core.evaluation.augment import Augmenter
from core.evaluation.engines import Asked, Engine
from core.evaluation.golden import GoldenQuestion
from core.evaluation.openai_http import EndpointFailed
from core.evaluation.plan import Inputs, Plan
from core.evaluation.scores import QuestionSet
from core.jobdir import EventWriter, write_atomic
from core.pairs import read_pairs

Say = Callable[[str], None]
SETTLE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class _Set:
    """The questions of one file, the answers to them, and what the events call it."""

    what: str
    questions: Sequence[GoldenQuestion]
    log: AnswerLog

    def todo(self) -> list[GoldenQuestion]:
        return [q for q in self.questions if not self.log.has(q.id, q.question)]

    def answers(self) -> dict[str, Answer]:
        """What there is of them; only an endpoint may leave some out."""
        return {q.id: self.log.done[q.id] for q in self.questions if q.id in self.log.done}


class Loaded:
    """The model of the system whose turn it is; kept where the next system is the same model."""

    def __init__(self, plan: Plan, events: EventWriter, say: Say) -> None:
        self._plan, self._events, self._say = plan, events, say
        self._key: tuple[str, ...] | None = None
        self._engine: Engine | None = None

    def __enter__(self) -> Loaded:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def get(self, name: str) -> Engine:
        key = systems.key(name, self._plan)
        if self._engine is None or key != self._key:
            self._close()
            self._events.phase("load", system=name, base_model=self._plan.base_model)
            self._engine, self._key = systems.open_engine(name, self._plan), key
            for note in self._engine.notes:
                self._say(f"{name}: {note}")
        return self._engine

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = None


def run_system(
    name: str, plan: Plan, inputs: Inputs, loaded: Loaded, events: EventWriter, say: Say
) -> tuple[Mapping[str, Answer], Mapping[str, Answer] | None, dict[str, Any]]:
    """The answers to the golden set and, if there is one, to the probe; and how they came about.

    Raises UsageError, MissingComponent, EndpointFailed (what has an answer is kept).
    """
    about = systems.about(name, plan)
    notes = _Notes(plan.out / "answers" / f"{name}.notes.json", about)
    sets: list[_Set] = []
    try:
        sets.append(_open(name, inputs.golden, plan, about, say))
        if inputs.probe is not None:
            sets.append(_open(f"{name}.probe", inputs.probe, plan, about, say))
        if any(part.todo() for part in sets):
            if name == "retrieval":
                _retrieve(sets, plan, events)
            else:
                _ask(name, sets, plan, loaded.get(name), notes, events, say)
        for part in sets:
            done = len(part.answers())
            events.progress(done, len(part.questions), part.what, 0.0)
    finally:
        for part in sets:
            part.log.close()
    answers = [part.answers() for part in sets]
    return answers[0], answers[1] if len(answers) > 1 else None, {**about, **notes.found}


def _open(what: str, questions: QuestionSet, plan: Plan, about: dict[str, Any], say: Say) -> _Set:
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


def _ask(
    name: str,
    sets: Sequence[_Set],
    plan: Plan,
    engine: Engine,
    notes: _Notes,
    events: EventWriter,
    say: Say,
) -> None:
    """Ask a model what has no answer yet."""
    notes.found["notes"] = list(engine.notes)
    threads = _Threads(engine, say)
    with contextlib.ExitStack() as stack:
        words: Words = _as_it_is
        if name == "base+retrieval":
            augmenter = stack.enter_context(Augmenter(read_pairs(plan.pairs).pairs))
            words = _with_pairs(augmenter)
        for part in sets:
            first = part.what == name
            alone = _ask_alone(part, words, plan, engine, threads, events) if first else {}
            to_check = alone if "batches" not in notes.found else {}
            differ = _ask_rest(part, words, to_check, plan, engine, threads, events)
            if to_check:
                notes.found["batches"] = {"n": len(to_check), "differ": differ}
            if differ:
                text = f"{name}: {len(differ)} of {len(to_check)} answers depend on their batch"
                events.warning(text)
                say(text)
            say(f"{part.what}: {len(part.answers())} of {len(part.questions)} questions answered")
        if name == "base+retrieval":
            notes.add("held_back", augmenter.held_back)
    left = {q.id for part in sets for q in part.todo()}
    missing = {m.id: m.why for m in engine.unanswered() if m.id in left}
    notes.found["unanswered"] = missing
    notes.write()
    if missing and not plan.accept_unanswered:
        raise EndpointFailed(
            f"{name}: {len(missing)} questions have no answer",
            why="; ".join(f"{i}: {why}" for i, why in list(missing.items())[:3]),
            try_next="see to the server and run again, which asks only those; or score them as "
            "not attempted with --accept-unanswered",
        )
    if missing:
        events.warning(f"{name}: {len(missing)} questions have no answer")


class _Notes:
    """What was noticed while a system answered; kept for the run that goes on."""

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self._path, self._about = path, dict(about)
        self.found: dict[str, Any] = {"notes": []}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            stored = json.loads(path.read_text("utf-8"))
            if stored["about"] == self._about:
                self.found = dict(stored["found"])

    def add(self, name: str, values: set[str]) -> None:
        self.found[name] = sorted({*self.found.get(name, ()), *values})

    def write(self) -> None:
        text = json.dumps({"about": self._about, "found": self.found}, indent=1)
        write_atomic(self._path, text.encode())


Words = Callable[[GoldenQuestion], tuple[Asked, dict[str, Any]]]


def _as_it_is(q: GoldenQuestion) -> tuple[Asked, dict[str, Any]]:
    return Asked(q.id, q.question), {}


def _with_pairs(augmenter: Augmenter) -> Words:
    def words(q: GoldenQuestion) -> tuple[Asked, dict[str, Any]]:
        found = augmenter.word(q)
        return found.asked, {"nearest": list(found.nearest)}

    return words


def _ask_alone(
    part: _Set, words: Words, plan: Plan, engine: Engine, threads: _Threads, events: EventWriter
) -> dict[str, str]:
    """Ask a few one at a time, for the latency; their answers, also those of before a stop."""
    spread = _spread(part.questions, plan.latency_sample)
    todo = [q for q in spread if not part.log.has(q.id, q.question)]
    progress = _Progress(part, events)
    for q in todo:
        threads.again()
        asked, more = words(q)
        answer = engine.answer_alone(asked)
        if answer is not None:
            part.log.add(answer, q.question, **more)
            progress.tell(1)
    if not plan.check_batches:
        return {}
    known = {q.id: part.log.done[q.id] for q in spread if part.log.has(q.id, q.question)}
    return {i: a.answer for i, a in known.items() if a.latency_s is not None}


def _ask_rest(
    part: _Set,
    words: Words,
    alone: Mapping[str, str],
    plan: Plan,
    engine: Engine,
    threads: _Threads,
    events: EventWriter,
) -> list[str]:
    """Ask all others in batches, and those of `alone` again; ids of these whose answer differs."""
    todo = {q.id: q for q in part.todo()}
    worded = {q.id: words(q) for q in part.questions if q.id in todo or q.id in alone}
    progress = _Progress(part, events)
    differ: list[str] = []
    for batch in engine.answer_batches([w[0] for w in worded.values()], plan.batch_size):
        threads.again()
        new = [a for a in batch if a.id in todo]
        for answer in new:
            part.log.add(answer, todo[answer.id].question, **worded[answer.id][1])
        differ += [a.id for a in batch if a.id in alone and a.answer != alone[a.id]]
        progress.tell(len(new))
    return sorted(differ)


class _Threads:
    """Keeps to the number of threads that is fastest, as the rest of the machine comes and goes."""

    def __init__(self, engine: Engine, say: Say) -> None:
        self._engine, self._say = engine, say
        self._count, self._at = -1, -math.inf
        self.again()

    def again(self) -> None:
        if time.perf_counter() - self._at < SETTLE_EVERY_S:
            return
        count = self._engine.settle()
        if count != self._count and count:
            self._say(f"answering with {count} thread{'s' if count > 1 else ''}")
        self._count, self._at = count, time.perf_counter()


class _Progress:
    """Events with the time that is left, judged by this run's own pace."""

    def __init__(self, part: _Set, events: EventWriter) -> None:
        self._what, self._events = part.what, events
        self._total, self._left = len(part.questions), len(part.todo())
        self._began, self._given = time.perf_counter(), 0

    def tell(self, answered: int) -> None:
        if not answered:
            return
        self._given += answered
        self._left -= answered
        pace = (time.perf_counter() - self._began) / self._given
        done = self._total - self._left
        self._events.progress(done, self._total, self._what, round(self._left * pace, 1))


def _spread(questions: Sequence[GoldenQuestion], n: int) -> list[GoldenQuestion]:
    """n questions at even distances, hence of all categories of a sorted file."""
    n = min(n, len(questions))
    return [questions[k * len(questions) // n] for k in range(n)]
