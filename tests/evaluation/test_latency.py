"""Latency under a stated load: fixed schedules, streams, failures, and the live tools beside them."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UsageError
from core.evaluation.cli import main
from core.evaluation.latency import Load, Shot, figures, measure, run, schedule
from core.evaluation.openai_http import EndpointFailed, Limits, server
from core.evaluation.targets import Command, Posted, Reply, Served, filled
from tests.evaluation.openai_server import Asked, Do, OpenAIServer
from tests.evaluation.parts import static_set, write_golden

SHORT = Limits(connect=5, stall=0.4, total=1.2)
QUESTIONS = [(f"q{n}", f"question {n}") for n in range(5)]


@pytest.fixture
def serve() -> Iterator[Callable[[Do], OpenAIServer]]:
    running: list[OpenAIServer] = []

    def start(do: Do) -> OpenAIServer:
        running.append(OpenAIServer(do).__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__()


@dataclass
class Told:
    """A target that does what it is told."""

    do: Callable[[int, str], Reply]
    name: str = "told"
    what: str = "a test"
    asked: list[str] = field(default_factory=list)
    was_cut: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, question: str) -> Reply:
        with self.lock:
            n = len(self.asked)
            self.asked.append(question)
        return self.do(n, question)

    def cut(self) -> None:
        self.was_cut.set()


@settings(max_examples=200)
@given(
    rate=st.floats(0.5, 50),
    seconds=st.floats(2, 60),
    spacing=st.sampled_from(["random", "even"]),
    seed=st.integers(0, 99),
)
def test_a_schedule_is_fixed_in_advance(
    rate: float, seconds: float, spacing: Any, seed: int
) -> None:
    try:
        due = schedule(rate, seconds, spacing=spacing, seed=seed)
    except UsageError:
        assert spacing == "random" and rate * seconds < 12  # so few that none may fall inside
        return
    assert due == sorted(due) == schedule(rate, seconds, spacing=spacing, seed=seed)
    assert due[0] >= 0 and due[-1] < seconds
    if spacing == "even":
        assert len(due) == math.ceil(rate * seconds - 1e-9)
    else:  # six standard deviations of a Poisson count
        assert abs(len(due) - rate * seconds) <= 6 * math.sqrt(rate * seconds) + 1


@pytest.mark.parametrize(
    ("rate", "seconds"), [(0, 5), (-1, 5), (1, 0), (math.nan, 1), (1, math.inf)]
)
def test_a_load_that_is_none(rate: float, seconds: float) -> None:
    with pytest.raises(UsageError, match="no rate"):
        schedule(rate, seconds)


def test_requests_leave_when_due_whatever_became_of_those_before() -> None:
    """The first answer waits for the last request: whoever asks one after the other never ends."""
    everybody = threading.Event()

    def do(n: int, _: str) -> Reply:
        if n == 19:
            everybody.set()
        assert n or everybody.wait(30)
        return Reply(first=0.0, last=0.0)

    kept: list[Shot] = []
    shots = run(Told(do), QUESTIONS, [n / 200 for n in range(20)], kept.append, grace_s=30)
    assert [s.n for s in shots] == list(range(20)) and len(kept) == 20
    assert [s.id for s in shots] == [f"q{n % 5}" for n in range(20)]
    assert all(s.sent is not None and s.sent >= s.due and not s.error for s in shots)


def test_waiting_for_a_place_counts_as_waiting() -> None:
    """One request at a time: the others leave late, and their latency is from when they were due."""
    shots = run(
        Told(lambda n, _: Reply(first=0.05, last=0.1)),
        QUESTIONS,
        [0.0, 0.0, 0.0],
        lambda _: None,
        most_in_flight=1,
        grace_s=30,
    )
    assert all(s.sent is not None and s.last is not None for s in shots)
    assert all(s.latency == pytest.approx((s.sent or 0) + 0.1, abs=1e-5) for s in shots)


def test_what_never_left_has_failed() -> None:
    stuck, ended = threading.Event(), threading.Event()
    target = Told(lambda n, _: Reply(last=1.0) if stuck.wait(30) else Reply())

    def cut() -> None:
        ended.set()
        stuck.set()

    target.cut = cut  # type: ignore[method-assign]
    shots = run(target, QUESTIONS, [0.0] * 4, lambda _: None, most_in_flight=1, grace_s=0.2)
    assert ended.is_set() and len(target.asked) == 1
    assert ["did not leave" in s.error for s in shots] == [False, True, True, True]
    assert shots[1].sent is None and shots[1].latency == math.inf


def test_a_fault_of_ours_is_not_swallowed() -> None:
    def full(_: Shot) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        run(Told(lambda *_: Reply(last=0.0)), QUESTIONS, [0.0], full, grace_s=5)


def shots(latencies: list[float | None], tokens: int = 11) -> list[Shot]:
    return [
        Shot(
            n,
            "q",
            1.0,
            1.0,
            1.0,
            None if s is None else 1.0 + s / 2,
            None if s is None else 1.0 + s,
            tokens,
            error="" if s is not None else "500",
        )
        for n, s in enumerate(latencies)
    ]


def test_figures_of_known_times() -> None:
    f = figures(shots([n / 100 for n in range(1, 1001)]))
    assert f["latency"]["p50"]["s"] == 5.0 and f["latency"]["p95"]["s"] == 9.5
    assert f["first_token"]["p99"]["s"] == pytest.approx(4.95)
    p95 = f["latency"]["p95"]
    # of 1000 values the interval's ends are near the 936th and the 964th
    assert 9.34 <= p95["low"] <= 9.38 and 9.62 <= p95["high"] <= 9.66
    assert (f["n"], f["failed"], f["answered_per_s"]) == (1000, 0, 100.0)
    assert f["tokens_per_s"] == 1100.0 and f["tokens_per_answer"] == 11


def test_a_failed_request_is_slower_than_any() -> None:
    f = figures(shots([0.1] * 94 + [None] * 6))
    assert f["failed"] == 6 and f["errors"] == {"500": 6}
    assert f["latency"]["p50"]["s"] == 0.1 and f["latency"]["p95"]["s"] is None
    everything = figures(shots([None] * 3))
    assert everything["latency"]["p50"]["s"] is None and everything["first_token"] is None
    json.dumps(everything, allow_nan=False)


def test_too_few_requests_have_no_upper_end() -> None:
    p95 = figures(shots([0.1, 0.2, 0.3]))["latency"]["p95"]
    assert p95["s"] == 0.3 and p95["high"] is None


class TestServed:
    def served(self, s: OpenAIServer, limits: Limits = SHORT) -> Served:
        return Served("m", server(s.url), "m", 16, limits)

    def test_a_stream_has_a_first_token_before_its_last(self, serve: Any) -> None:
        held = threading.Event()

        def slow(asked: Asked) -> None:
            with asked.streaming() as send:
                send({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
                send({"choices": [{"delta": {"content": "one"}}]})
                assert not held.wait(0.1)
                send(b": a comment\n\n")
                send({"choices": [{"delta": {"content": " two"}, "finish_reason": "stop"}]})
                send({"choices": [], "usage": {"completion_tokens": 9}})
                send(None)

        s = serve(slow)
        reply = self.served(s).ask("hello")
        assert reply.error == "" and reply.tokens == 9 and reply.finish == "stop"
        assert reply.connected is not None and reply.first is not None and reply.last is not None
        assert 0 < reply.connected < reply.first and reply.first + 0.1 <= reply.last
        assert reply.characters == len("one two")
        assert s.asked[0].body["stream"] is True and s.asked[0].body["temperature"] == 0

    def test_without_a_count_the_pieces_are_counted(self, serve: Any) -> None:
        reply = self.served(serve(lambda a: a.stream(["a", "b", "c"]))).ask("x")
        assert (reply.tokens, reply.error) == (3, "")

    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            (lambda a: a.status(500, "boom"), "500"),
            (Asked.stall, "silent for 0.4 s"),
            (Asked.drip, "no whole answer within 1.2 s"),
            (lambda a: a.stream(["a"], done=False), "in the middle"),
            (lambda a: _streamed(a, b"data: {broken\n\n"), "broken JSON"),
            (lambda a: _streamed(a, b'data: {"error": {"message": "x"}}\n\n'), "streamed an error"),
            (lambda a: _streamed(a, b"data: " + b"x" * (2 << 20)), "too long"),
            (Asked.hang_up, "connection broke"),
        ],
        ids="500 stall drip torn broken error long hang-up".split(),
    )
    def test_every_failure_is_a_reply(self, serve: Any, fault: Do, says: str) -> None:
        reply = self.served(serve(fault)).ask("x")
        assert says in reply.error and reply.last is None

    def test_half_a_stream_keeps_its_first_token(self, serve: Any) -> None:
        def stops(asked: Asked) -> None:
            with asked.streaming() as send:
                send({"choices": [{"delta": {"content": "one"}}]})
                asked.release.wait(30)

        reply = self.served(serve(stops)).ask("x")
        assert reply.first is not None and "silent" in reply.error


def _streamed(asked: Asked, data: bytes) -> None:
    with asked.streaming() as send:
        send(data)
        send(None)


class TestTools:
    def test_a_question_is_put_into_the_body_and_stays_data(self, serve: Any) -> None:
        body = {"messages": [{"content": "{question}"}], "params": {"a": ["x {question}", 1, None]}}
        s = serve(lambda a: a.handler.give(200, {"jsonrpc": "2.0", "id": 1, "result": {}}))
        reply = Posted("docs", server(s.url), body, SHORT).ask('"}, {question}')
        assert reply.error == "" and reply.last is not None and reply.first is not None
        assert s.asked[0].body["params"]["a"] == ['x "}, {question}', 1, None]
        assert filled({"a": True}, "q") == {"a": True}

    @pytest.mark.parametrize(
        "answer",
        [
            b'{"jsonrpc": "2.0", "error": {"code": -32602, "message": "no"}}',
            b'{"result": {"isError": true, "content": []}}',
            b'event: message\ndata: {"result": {"isError": true}}\n\n',
        ],
    )
    def test_an_error_that_comes_with_200_is_one(self, serve: Any, answer: bytes) -> None:
        s = serve(lambda a: a.handler.raw(200, answer))
        body = {"messages": [{"content": "{question}"}]}
        assert "the tool says" in Posted("t", server(s.url), body, SHORT).ask("x").error

    def command(self, code: str, *args: str) -> Command:
        return Command("c", (sys.executable, "-c", code, *args), SHORT)

    def test_a_command_gets_the_question_as_one_argument(self) -> None:
        code = "import sys; assert sys.argv[1] == '$(date); \"x\"', sys.argv; print('yes')"
        reply = Command("c", (sys.executable, "-c", code, "{question}"), Limits()).ask(
            '$(date); "x"'
        )
        assert reply.error == "" and reply.characters == 4
        assert reply.first is not None and reply.last is not None and reply.first <= reply.last

    def test_or_on_its_input(self) -> None:
        code = "import sys; assert sys.stdin.read() == 'hello\\n'; print('yes')"
        assert Command("c", (sys.executable, "-c", code), Limits()).ask("hello").error == ""

    def test_one_that_fails_or_hangs_is_ended_with_its_children(self) -> None:
        assert (
            "ended with 3"
            in Command("c", (sys.executable, "-c", "exit(3)"), Limits()).ask("x").error
        )
        assert "No such file" in Command("c", ("/nowhere/tool",), Limits()).ask("x").error
        sleeper = Command("c", ("sh", "-c", "echo started; sleep 60 & wait"), SHORT)
        reply = sleeper.ask("x")
        assert "no whole answer" in reply.error and reply.first is not None

    def test_a_command_line_is_split_without_a_shell(self) -> None:
        assert Command.of("c", "ask 'a b' {question}", SHORT).argv == ("ask", "a b", "{question}")
        for line in ("", "'open"):
            with pytest.raises(UsageError):
                Command.of("c", line, SHORT)


def test_a_target_that_answers_nothing_is_found_while_warming_up(tmp_path: Path) -> None:
    load = Load(rates=(100.0,), seconds=1, warm_up=2)
    with pytest.raises(EndpointFailed, match="told answers nothing"):
        measure([Told(lambda *_: Reply(error="500"))], QUESTIONS, load, tmp_path, lambda _: None)


def test_the_command_measures_a_model_and_the_tools_beside_it(
    serve: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def do(asked: Asked) -> None:
        if "stream" in asked.body:
            asked.stream(["It ", "has ", "256 GB."], usage=5)
        else:
            asked.handler.give(200, {"result": {}})

    s = serve(do)
    (tmp_path / "call.json").write_text(json.dumps({"messages": [{"content": "{question}"}]}))
    golden = write_golden(tmp_path / "golden.jsonl", static_set(6))
    args = ["latency", "--golden", str(golden), "--endpoint", s.url, "--model", "m"]
    args += ["--against", f"docs/mcp={s.url}", "--against-body", str(tmp_path / "call.json")]
    args += ["--against-command", "echo=echo {question}", "--rate", "20,40", "--seconds", "0.5"]
    args += ["--warmup", "2", "--spacing", "even", "--out", str(tmp_path / "out")]
    assert main([*args, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "latency.json").read_text("utf-8"))
    assert printed["targets"] == ["m", "docs/mcp", "echo"]
    assert [(r["target"], r["rate"], r["n"], r["failed"]) for r in printed["results"]] == [
        (name, rate, n, 0) for name in printed["targets"] for rate, n in ((20.0, 10), (40.0, 20))
    ]
    for r in printed["results"]:
        raw = [json.loads(x) for x in (tmp_path / "out" / r["raw"]).read_text().splitlines()]
        assert raw[0]["rate"] == r["rate"] and len(raw) == 1 + r["n"]
        assert all(x["due"] <= x["sent"] <= x["last"] for x in raw[1:])
    model = printed["results"][0]
    assert model["tokens_per_answer"] == 5 and model["first_token"]["p95"]["s"] > 0
    assert main(args) == 0
    assert "P95 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "nothing to measure"),
        (["--endpoint", "http://127.0.0.1:1/v1"], "needs the name of a model"),
        (["--endpoint", "http://127.0.0.1:1/v1", "--model", "m"], "nobody answers"),
        (["--against-command", "a=true", "--rate", "fast"], "not numbers"),
        (["--against-command", "a=true", "--rate", "1,1"], "each rate once"),
        (["--against-command", "a=true", "--rate", "0"], "no rate"),
        (["--against-command", "a"], "not NAME="),
        (["--against", "a=http://10.1.1.1/mcp"], "plain http"),
        (["--against-command", "a=true", "--against", "a=http://127.0.0.1:1/mcp"], "same name"),
    ],
)
def test_wrong_input_is_a_typed_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    golden = write_golden(tmp_path / "golden.jsonl", static_set(2))
    args = ["latency", "--golden", str(golden), "--out", str(tmp_path / "out"), *more]
    assert main(args) in (2, 6)
    assert says in capsys.readouterr().err
