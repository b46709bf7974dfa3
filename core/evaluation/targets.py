"""What latency is measured of: a served model, a tool behind HTTP (MCP), or a command.

Each is asked one question and says when it began to answer and when it had answered. All times are
seconds since the question was asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.errors import UsageError
from core.evaluation.endpoint import request_body
from core.evaluation.openai_http import Call, EndpointFailed, Limits, Server

MAX_OUTPUT = 8 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """error: "" where it answered.  first: to the first word; None where nobody could tell.
    tokens: generated, None if unknown.
    """

    connected: float | None = None
    first: float | None = None
    last: float | None = None
    tokens: int | None = None
    characters: int = 0
    finish: str = ""
    error: str = ""


class Target(Protocol):
    """May be asked from several threads at once."""

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str:
        """For the record: what was asked, and where. No secrets."""

    def ask(self, question: str) -> Reply:
        """Never raises for what the other side does: that is an error in the reply."""

    def cut(self) -> None:
        """End what is on its way."""


@dataclass(slots=True)
class _Calls:
    """The requests on their way."""

    live: set[Call] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def one(self, server: Server, limits: Limits) -> Iterator[Call]:
        call = Call(server, limits)
        with self.lock:
            self.live.add(call)
        try:
            yield call
        finally:
            with self.lock:
                self.live.discard(call)

    def cut(self) -> None:
        with self.lock:
            calls = list(self.live)
        for call in calls:
            call.cut()


@dataclass(slots=True)
class Served:
    """A model behind an OpenAI-compatible API, asked for a stream of tokens."""

    name: str
    server: Server
    model: str
    max_new_tokens: int
    limits: Limits
    _calls: _Calls = field(default_factory=_Calls)

    @property
    def what(self) -> str:
        return f"{self.model} at {self.server.url}, streamed, ≤ {self.max_new_tokens} tokens"

    def ask(self, question: str) -> Reply:
        body = request_body(
            self.model,
            question.encode("utf-8", "replace").decode("utf-8"),
            self.max_new_tokens,
            stream=True,
            stream_options={"include_usage": True},
        )
        first: float | None = None
        pieces = characters = 0
        usage: int | None = None
        finish = ""
        with self._calls.one(self.server, self.limits) as call:
            try:
                for event in call.events("/chat/completions", body):
                    said, ended, counted = _read_event(event)
                    if said:
                        first = call.elapsed() if first is None else first
                        pieces, characters = pieces + 1, characters + len(said)
                    finish, usage = ended or finish, counted if counted is not None else usage
            except EndpointFailed as e:
                return Reply(call.timing.connected, first, error=_words(e))
            tokens = usage if usage is not None else pieces
            last = call.timing.last
            return Reply(call.timing.connected, first, last, tokens, characters, finish)

    def cut(self) -> None:
        self._calls.cut()


def _read_event(event: Any) -> tuple[str, str, int | None]:
    """(text, finish reason, completion tokens) of one streamed chunk. Raises EndpointFailed."""
    if not isinstance(event, dict) or "error" in event:
        raise EndpointFailed("the server streamed an error", why=json.dumps(event)[:200])
    said, ended, usage = "", "", event.get("usage")
    choices = event.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        delta = choices[0].get("delta")
        text = delta.get("content") if isinstance(delta, dict) else None
        said = text if isinstance(text, str) else ""
        ended = str(choices[0].get("finish_reason") or "")
    counted = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return said, ended[:40], counted if isinstance(counted, int) else None


@dataclass(slots=True)
class Posted:
    """A tool behind HTTP: `body` is posted with the question in the place of "{question}".

    MCP's own errors count as errors, though they come with status 200.
    """

    name: str
    server: Server
    body: Any
    limits: Limits
    _calls: _Calls = field(default_factory=_Calls)

    @property
    def what(self) -> str:
        return f"POST {self.server.url}"

    def ask(self, question: str) -> Reply:
        with self._calls.one(self.server, self.limits) as call:
            try:
                data = call.bytes("", filled(self.body, question))
            except EndpointFailed as e:
                return Reply(call.timing.connected, call.timing.first, error=_words(e))
            timing = call.timing
        return Reply(
            timing.connected,
            timing.first,
            timing.last,
            characters=len(data),
            error=_tool_error(data),
        )

    def cut(self) -> None:
        self._calls.cut()


def filled(template: Any, question: str) -> Any:
    """The template with the question in every "{question}", also deep inside."""
    if isinstance(template, str):
        return template.replace("{question}", question)
    if isinstance(template, Mapping):
        return {k: filled(v, question) for k, v in template.items()}
    if isinstance(template, Sequence):
        return [filled(v, question) for v in template]
    return template


def _tool_error(data: bytes) -> str:
    """What a JSON-RPC answer says went wrong, whether plain or as an event stream; "" if nothing."""
    documents = [
        line[5:] if line.startswith(b"data:") else line
        for line in (
            data.split(b"\n") if data.startswith((b"data:", b"event:", b"id:")) else [data]
        )
    ]
    for text in documents:
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(text)
            if not isinstance(found, dict):
                continue
            result = found.get("result")
            if found.get("error") or (isinstance(result, dict) and result.get("isError")):
                return f"the tool says: {json.dumps(found.get('error') or result)[:200]}"
    return ""


@dataclass(slots=True)
class Command:
    """A command that gets the question in the place of "{question}", or else on standard input, and
    prints the answer. It runs without a shell.
    """

    name: str
    argv: tuple[str, ...]
    limits: Limits
    _live: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, name: str, line: str, limits: Limits) -> Command:
        """Raises UsageError: no command."""
        try:
            argv = tuple(shlex.split(line))
        except ValueError as e:
            raise UsageError(f"{name}: not a command: {line!r}", why=str(e)) from None
        if not argv:
            raise UsageError(f"{name}: no command")
        return cls(name, argv, limits)

    @property
    def what(self) -> str:
        return f"command {self.argv[0]}"

    def ask(self, question: str) -> Reply:
        began = time.perf_counter()
        question = question.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
        argv = [a.replace("{question}", question) for a in self.argv]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as e:
            return Reply(error=f"{argv[0]}: {e.strerror}")
        with self._lock:
            self._live.add(process.pid)
        try:
            return self._read(process, argv == list(self.argv), question, began)
        finally:
            with self._lock:
                self._live.discard(process.pid)
            _end(process)

    def cut(self) -> None:
        with self._lock:
            for pid in self._live:
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)

    def _read(
        self, process: subprocess.Popen[bytes], by_input: bool, question: str, began: float
    ) -> Reply:
        assert process.stdin is not None and process.stdout is not None  # both are pipes
        with contextlib.suppress(BrokenPipeError):
            if by_input:
                process.stdin.write(question.encode() + b"\n")
            process.stdin.close()
        first: float | None = None
        said = 0
        while True:
            left = self.limits.total - (time.perf_counter() - began)
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, left))
            if not ready:
                return Reply(first=first, error=f"no whole answer within {self.limits.total:g} s")
            part = os.read(process.stdout.fileno(), 1 << 16)
            now = time.perf_counter() - began
            if not part:
                break
            first = now if first is None else first
            said += len(part)
            if said > MAX_OUTPUT:
                return Reply(first=first, error=f"more than {MAX_OUTPUT >> 20} MB")
        code = process.wait()
        return Reply(
            first=first,
            last=now,
            characters=said,
            error=f"{self.argv[0]} ended with {code}" if code else "",
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _words(error: EndpointFailed) -> str:
    return error.what + (f": {error.why}" if error.why else "")
