"""Asking a question, and which path answered it.

    endpoint    an OpenAI-compatible server: the model itself, now
    stored      the answer a version gave to the same or a like question when it was evaluated
    retrieval   the nearest pair of a snapshot, as the evaluation's baseline gives it

Only the first asks a model. A reply says which it was, and a stored one which question it answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from core import citations
from core.citations import Classified, SourceIndex
from core.errors import NotFound, UsageError
from core.evaluation import deferral
from core.evaluation.answers import Answer
from core.evaluation.endpoint import Endpoint, served_models
from core.evaluation.normalise import Prepared
from core.evaluation.openai_http import Limits, server
from core.evaluation.retrieval import Store
from core.registry import answers, records, search, snapshots, sources
from core.registry.store import Registry
from core.tracing.given import known_version

Path = Literal["endpoint", "stored", "retrieval"]
MAX_NEW_TOKENS = 256
MAX_QUESTION = 10_000
WHOLE = 2_000  # pairs that are read and indexed for one question, in some 0.1 s; of more, the index's best
SHORTLIST = 200  # of a large snapshot, by search
LIMITS = Limits(connect=10.0, stall=60.0, total=120.0)


@dataclass(frozen=True, slots=True)
class Reply:
    """path: what answered; where: the model and its address, the stored answer's id, or the snapshot.

    answered: the question that this answers, "" if it is the one asked.  alike: 0…1, how like it is.
    latency_s: seconds; of a stored answer as it was measured then, None where it was not.
    deferred: it hands the question over.  tools: the live tools it names.
    """

    path: Path
    where: str
    version: str | None
    answer: str
    latency_s: float | None
    markers: tuple[Classified, ...]
    deferred: bool
    tools: tuple[str, ...]
    answered: str = ""
    alike: float = 1.0
    response: str = ""
    note: str = ""


def ask_endpoint(
    reg: Registry,
    question: str,
    url: str,
    *,
    model: str = "",
    key_env: str = "",
    begun: Callable[[Endpoint], object] = lambda engine: None,
) -> Reply:
    """Ask a server. model: as it names it; "" takes the only one it serves.

    begun: given the engine before it asks; its `close`, from another thread, ends the asking.
    Raises EndpointFailed, UsageError (no usable address; several models and none named).
    """
    asked = _checked(question)
    at = server(url, key_env)
    if not model:
        served = served_models(at, LIMITS)
        if len(served) != 1:
            raise UsageError(
                f"{at.url} serves {len(served) or 'unnamed'} models: which one?",
                why=", ".join(served[:10])[:500],
                try_next="name it: --model NAME",
            )
        model = served[0]
    engine = Endpoint(at, model, MAX_NEW_TOKENS, LIMITS, tries=2)
    begun(engine)
    given: Answer = engine.ask(asked)
    index = sources.index(reg)
    note = "cut off at the token limit" if given.finish == "length" else ""
    return _reply("endpoint", f"{model} at {at.url}", known_version(model), given.answer,
                  given.latency_s, index, note=note)  # fmt: skip


def ask_stored(reg: Registry, question: str, version: str | None = None) -> Reply:
    """What the version (None: the newest that was evaluated) answered to the question most like this.

    Raises NotFound: no such version, nothing stored, or nothing like it.
    """
    asked = _checked(question)
    name = version or newest_evaluated(reg)
    found = answers.of_version(reg, records.get(reg, name).model_version)
    near = answers.nearest(asked, found)
    if near is None:
        raise NotFound(
            f"{name} was not asked anything like this",
            why=f"{len(found)} answers of its evaluation are stored"
            if found
            else "it was not evaluated",
            try_next="ask an endpoint that serves it: --endpoint URL; or take retrieval's answer",
        )
    stored, alike = near
    return _reply(
        "stored", stored.response, name, stored.answer, stored.latency_s, sources.index(reg),
        answered="" if alike == 1.0 else stored.question, alike=alike, response=stored.response,
        note="stored when it was evaluated; nobody was asked now",
    )  # fmt: skip


def ask_retrieval(reg: Registry, question: str, version: str | None = None) -> Reply:
    """The nearest pair's answer, from the snapshot of the version (None: the newest snapshot).

    Raises NotFound (no such version, no snapshot), Refused (a large snapshot without its index).
    """
    asked = _checked(question)
    if version is not None:
        name = records.get(reg, version).dataset_version
    else:
        known = snapshots.list(reg)
        if not known:
            raise NotFound("there is no snapshot yet", try_next="qa snapshots freeze FILES")
        name = known[0].dataset_version
    began = time.perf_counter()
    if snapshots.row(reg, name).pair_count <= WHOLE:
        pairs = [(p.question, p.answer) for p in snapshots.iter_pairs(reg, name)]
    else:
        hits = search.find(reg, asked, snapshot=name, limit=SHORTLIST)
        pairs = [(h.question, h.full_answer) for h in hits]
    if not pairs:
        raise NotFound(f"{name} has no pair with any of these words")
    with Store(pairs) as store:
        found = store.answer(asked)
    seconds = time.perf_counter() - began
    return _reply("retrieval", name, None, found.answer, seconds, sources.index(reg),
                  answered=found.nearest, alike=found.coverage,
                  note="the nearest stored pair; no model was asked")  # fmt: skip


def ask(reg: Registry, question: str, version: str | None = None) -> Reply:
    """The stored answer where there is one, else retrieval. Raises as those do."""
    try:
        return ask_stored(reg, question, version)
    except NotFound:
        if version is not None:
            records.get(reg, version)  # a name that is wrong stays an error
        return ask_retrieval(reg, question, version)


def newest_evaluated(reg: Registry) -> str:
    """Raises NotFound."""
    known = answers.versions_with(reg, 1)
    if not known:
        raise NotFound(
            "no version was evaluated yet", try_next="evaluate one: qa jobs evaluate VERSION"
        )
    return known[0]


def _checked(question: str) -> str:
    asked = question.strip()
    if not asked:
        raise UsageError("there is no question", try_next="type one")
    if len(asked) > MAX_QUESTION:
        raise UsageError(
            f"a question of {len(asked):,} characters", try_next=f"at most {MAX_QUESTION:,}"
        )
    return asked


def _reply(
    path: Path,
    where: str,
    version: str | None,
    answer: str,
    latency_s: float | None,
    index: SourceIndex,
    *,
    answered: str = "",
    alike: float = 1.0,
    response: str = "",
    note: str = "",
) -> Reply:
    said = deferral.read(Prepared(answer))
    return Reply(path, where, version, answer, latency_s,
                 tuple(citations.classify(answer, index)), said.deferred, said.tools,
                 answered, alike, response, note)  # fmt: skip
