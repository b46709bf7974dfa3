"""Asking systems: every answer is on disk before the next question is asked.

    answers/<system>.jsonl         one answer a line, with how it came about
    answers/<system>.meta.json     what the answers depend on
    answers/<system>.notes.json    what was noticed on the way

An evaluation that was killed goes on where it stopped. A few questions spread over the set are asked
alone, and those times are the latency; the others are asked in batches, whose times say nothing about
one user's wait, and those few once more among them: an answer that depends on the batch it was in is
reported. What an earlier evaluation on this machine asked in the same words is taken over from there.
"""

from __future__ import annotations

import contextlib
import json
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
from core.evaluation.pace import Progress, Threads, spread
from core.evaluation.plan import Inputs, Plan
from core.evaluation.scores import QuestionSet
from core.evaluation.shared_answers import SharedAnswers
from core.jobdir import EventWriter, write_atomic
from core.pairs import read_pairs

Say = Callable[[str], None]


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
                _ask(name, sets, plan, about, lambda: loaded.get(name), notes, events, say)
        for part in sets:
            done = len(part.answers())
            events.progress(done, len(part.questions), part.what, 0.0)
    finally:
        for part in sets:
            part.log.close()
    answers = [part.answers() for part in sets]
    return answers[0], answers[1] if len(answers) > 1 else None, {**about, **notes.found}


def _open(what: str, questions: QuestionSet, plan: Plan, about: dict[str, Any], say: Say) -> _Set:
    """The answers there are already: of this run before it was stopped."""
    log = AnswerLog(plan.out / "answers" / f"{what}.jsonl", about)
    part = _Set(what, questions.questions, log)
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
    about: Mapping[str, Any],
    load: Callable[[], Engine],
    notes: _Notes,
    events: EventWriter,
    say: Say,
) -> None:
    """Ask a model what has no answer yet. load: only called where a question is left to ask."""
    with contextlib.ExitStack() as stack:
        words: Words = _as_it_is
        if name == "base+retrieval":
            augmenter = stack.enter_context(Augmenter(read_pairs(plan.pairs).pairs))
            words = _with_pairs(augmenter)
        shared = None
        if (
            plan.shared is not None and plan.engine == "transformers"
        ):  # elsewhere weights have no hash
            shared = stack.enter_context(SharedAnswers(plan.shared, about))
            taken = sum(_take(part, part.what == name, words, shared, plan, name) for part in sets)
            notes.found["reused"] = sum(len(part.log.reused) for part in sets)
            if taken:
                say(f"{name}: {taken} answers are taken from earlier evaluations on this machine")
        missing: dict[str, str] = {}
        if any(part.todo() for part in sets):
            asking = _Asking(name, words, shared, plan, load(), notes, events, say)
            missing = asking.ask(sets)
        if name == "base+retrieval":
            notes.add("held_back", augmenter.held_back)
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


def _take(
    part: _Set, timed: bool, words: Words, shared: SharedAnswers, plan: Plan, name: str
) -> int:
    """Take over what was answered before; how many. A question that is to be timed wants a time."""
    alone = {q.id for q in spread(part.questions, plan.asked_alone(name))} if timed else set()
    taken = 0
    for q in part.todo():
        asked, more = words(q)
        row = shared.find(asked.question, timed=q.id in alone)
        if row is not None:
            part.log.take(q.id, q.question, {**row, **more, "reused": True})
            taken += 1
    return taken


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


class _Asking:
    """One model and the questions it is asked: a few alone, the others in batches."""

    def __init__(
        self,
        name: str,
        words: Words,
        shared: SharedAnswers | None,
        plan: Plan,
        engine: Engine,
        notes: _Notes,
        events: EventWriter,
        say: Say,
    ) -> None:
        self._name, self._words, self._shared, self._plan = name, words, shared, plan
        self._engine, self._notes, self._events, self._say = engine, notes, events, say
        self._threads = Threads(engine, say)
        notes.found["notes"] = list(engine.notes)

    def ask(self, sets: Sequence[_Set]) -> dict[str, str]:
        """Everything that has no answer yet; id → why of what has none in the end."""
        for part in sets:
            alone = self._alone(part) if part.what == self._name else {}
            to_check = alone if "batches" not in self._notes.found else {}
            differ = self._rest(part, to_check)
            if to_check:
                self._notes.found["batches"] = {"n": len(to_check), "differ": differ}
            if differ:
                text = (
                    f"{self._name}: {len(differ)} of {len(to_check)} answers depend on their batch"
                )
                self._events.warning(text)
                self._say(text)
            done = len(part.answers())
            self._say(f"{part.what}: {done} of {len(part.questions)} questions answered")
        left = {q.id for part in sets for q in part.todo()}
        return {m.id: m.why for m in self._engine.unanswered() if m.id in left}

    def _alone(self, part: _Set) -> dict[str, str]:
        """Ask a few one at a time, for the latency; their answers, also those of before a stop."""
        few = spread(part.questions, self._plan.asked_alone(self._name))
        todo = [q for q in few if not part.log.has(q.id, q.question)]
        progress = Progress(part.what, len(part.questions), len(part.todo()), self._events)
        for q in todo:
            self._threads.again()
            asked, more = self._words(q)
            answer = self._engine.answer_alone(asked)
            if answer is not None:
                self._keep(part, q, asked, answer, more)
                progress.tell(1)
        if not self._plan.check_batches:
            return {}
        known = {q.id: part.log.done[q.id] for q in few if part.log.has(q.id, q.question)}
        own = {i: a for i, a in known.items() if i not in part.log.reused}
        return {i: a.answer for i, a in own.items() if a.latency_s is not None}

    def _rest(self, part: _Set, alone: Mapping[str, str]) -> list[str]:
        """Ask all others in batches, and those of `alone` again; ids of these whose answer differs."""
        todo = {q.id: q for q in part.todo()}
        worded = {q.id: self._words(q) for q in part.questions if q.id in todo or q.id in alone}
        progress = Progress(part.what, len(part.questions), len(todo), self._events)
        differ: list[str] = []
        asked = [w[0] for w in worded.values()]
        for batch in self._engine.answer_batches(asked, self._plan.batch_size):
            self._threads.again()
            new = [a for a in batch if a.id in todo]
            for answer in new:
                self._keep(
                    part, todo[answer.id], worded[answer.id][0], answer, worded[answer.id][1]
                )
            differ += [a.id for a in batch if a.id in alone and a.answer != alone[a.id]]
            progress.tell(len(new))
        return sorted(differ)

    def _keep(
        self, part: _Set, q: GoldenQuestion, asked: Asked, answer: Answer, more: dict[str, Any]
    ) -> None:
        part.log.add(answer, q.question, **more)
        if self._shared is not None:
            self._shared.add(asked.question, answer)
