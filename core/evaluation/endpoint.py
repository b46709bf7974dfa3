"""An OpenAI-compatible server as an engine: several questions at once, each tried again where that helps.

429, 5xx, a stall, a broken connection and broken JSON are tried again after a wait that doubles. A
question that still has no answer is `unanswered`; so many of them in a row end the evaluation, for
then it is the server and not the question.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import UsageError
from core.evaluation.answers import Answer, Trace
from core.evaluation.engines import Question, Unanswered
from core.evaluation.openai_http import Call, EndpointFailed, Limits, Server

MAX_ANSWER = 1_000_000  # characters; what is longer is cut off there
IN_A_ROW = 8  # questions without an answer, one after the other, after which it is the server
LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of the server. finish: its own word; "length" also where it was cut off here."""

    text: str
    finish: str
    model: str
    tokens: int | None
    prompt_tokens: int | None


def request_body(model: str, question: str, max_tokens: int, **more: Any) -> dict[str, Any]:
    """The JSON of a greedy chat completion. question: the whole of the user's turn."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": max_tokens,
        **more,
    }


def read_completion(document: Any) -> Completion:
    """Raises EndpointFailed where it is no chat completion."""
    try:
        choice = document["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise EndpointFailed(
            "the server's answer is no chat completion",
            why="there is no choices[0].message.content",
            try_next="give the address of the OpenAI-compatible API, which mostly ends in /v1",
        ) from None
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise EndpointFailed("the server's answer is no text", why=type(text).__name__)
    finish = str(choice.get("finish_reason") or "")
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    if len(text) > MAX_ANSWER:
        text, finish = text[:MAX_ANSWER], "length"
    return Completion(
        text,
        finish[:40],
        str(document.get("model") or "")[:200],
        _count(usage.get("completion_tokens")),
        _count(usage.get("prompt_tokens")),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def served_models(server: Server, limits: Limits) -> tuple[str, ...]:
    """Names the server lists under /models; none where it does not say."""
    try:
        listed = Call(server, replace(limits, total=min(30.0, limits.total))).json("/models")
        return tuple(str(m["id"]) for m in listed["data"])
    except EndpointFailed as e:
        if e.status in (404, 405, 501):
            return ()
        raise
    except (KeyError, TypeError):
        return ()


@dataclass(slots=True)
class Endpoint:
    """An `engines.Engine`. tries: requests a question is worth.  wait_s: before the second one."""

    server: Server
    model: str
    max_new_tokens: int
    limits: Limits = field(default_factory=Limits)
    tries: int = 4
    wait_s: float = 0.5
    notes: tuple[str, ...] = ()
    _failed: dict[str, str] = field(default_factory=dict)
    _calls: set[Call] = field(default_factory=set)
    _closed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer_alone(self, question: Question) -> Answer | None:
        return self._kept(question, self._ask_noting(question, 1))

    def answer_batches(
        self, questions: Sequence[Question], batch_size: int
    ) -> Iterator[list[Answer]]:
        """batch_size: requests on their way at the same time."""
        pool = ThreadPoolExecutor(max_workers=batch_size, thread_name_prefix="ask")
        in_a_row = 0
        try:
            asked: dict[Future[Answer | EndpointFailed], Question] = {
                pool.submit(self._ask_noting, q, batch_size): q for q in questions
            }
            for future in as_completed(asked):
                outcome = future.result()
                answer = self._kept(asked.pop(future), outcome)
                in_a_row = in_a_row + 1 if answer is None else 0
                if answer is not None:
                    yield [answer]
                elif in_a_row >= IN_A_ROW and isinstance(outcome, EndpointFailed):
                    raise EndpointFailed(
                        f"{in_a_row} questions in a row got no answer from {self.server.url}",
                        why=outcome.what + (f": {outcome.why}" if outcome.why else ""),
                        try_next="see to the server and run again: every answer so far is kept",
                    )
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._cut_all()

    def settle(self) -> int:
        return 0

    def unanswered(self) -> tuple[Unanswered, ...]:
        return tuple(Unanswered(i, why) for i, why in self._failed.items())

    def close(self) -> None:
        self._closed.set()
        self._cut_all()

    def ask(self, text: str, batch: int = 1) -> Answer:
        """One answer to `text`, tried again where that helps; its id is "". Raises EndpointFailed."""
        for attempt in range(1, self.tries + 1):
            try:
                return self._once(text, batch, attempt)
            except EndpointFailed as e:
                if not e.again or attempt == self.tries or self._closed.is_set():
                    raise
                wait = self.wait_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
                if self._closed.wait(min(max(wait, e.after_s or 0.0), LONGEST_WAIT_S)):
                    raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _once(self, text: str, batch: int, attempt: int) -> Answer:
        call = Call(self.server, self.limits)
        with self._lock:
            self._calls.add(call)
        try:
            began = time.perf_counter()
            # half a character pair cannot travel as UTF-8, and servers stumble over its escape
            sent = text.encode("utf-8", "replace").decode("utf-8")
            body = request_body(self.model, sent, self.max_new_tokens, stream=False)
            found = read_completion(call.json("/chat/completions", body))
            seconds = time.perf_counter() - began
        finally:
            with self._lock:
                self._calls.discard(call)
        trace = Trace(
            prompt=sent,
            raw=found.text,
            prompt_tokens=found.prompt_tokens,
            batch=batch,
            seconds=seconds,
            device="endpoint",
            model=found.model,
            attempts=attempt,
        )
        alone = seconds if batch == 1 else None
        return Answer("", found.text.strip(), alone, found.tokens, found.finish, trace)

    def _ask_noting(self, question: Question, batch: int) -> Answer | EndpointFailed:
        try:
            return self.ask(question.question, batch)
        except EndpointFailed as e:
            return e

    def _kept(self, question: Question, outcome: Answer | EndpointFailed) -> Answer | None:
        if isinstance(outcome, Answer):
            self._failed.pop(question.id, None)
            return replace(outcome, id=question.id)
        if outcome.status in (401, 403):
            raise EndpointFailed(
                outcome.what,
                why=outcome.why,
                try_next="give the name of the variable that holds the right key with --api-key-env",
            )
        self._failed[question.id] = outcome.what + (f": {outcome.why}" if outcome.why else "")
        return None

    def _cut_all(self) -> None:
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.cut()


def connect(
    server: Server, model: str, *, max_new_tokens: int, limits: Limits | None = None
) -> Endpoint:
    """An endpoint whose model the server knows.

    Raises EndpointFailed (nobody there), UsageError (it serves other models).
    """
    limits = limits or Limits()
    known = served_models(server, limits)
    if known and model not in known:
        raise UsageError(
            f"{server.url} does not serve {model!r}",
            why=f"it serves: {', '.join(known[:10])[:500]}",
            try_next="name the served model with --serve SYSTEM=MODEL",
        )
    note = f"{model} at {server.url}"
    return Endpoint(server, model, max_new_tokens, limits, notes=(note,))
