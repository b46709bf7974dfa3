"""Questions and answers: who waits reads, for all who wait."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.errors import LinkLost, RouteError
from remote.helper_client import HelperClient


class Line:
    """A Duplex over a pair of sockets; `far` is the helper's end."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.asked = self.far.makefile("rb")

    def send(self, data: bytes) -> None:
        self.near.sendall(data)

    def recv(self, timeout: float | None = None) -> bytes:
        if not select.select([self.near], [], [], timeout)[0]:
            raise TimeoutError
        return self.near.recv(1 << 16)

    def exit_status(self) -> int | None:
        return None

    def stderr_tail(self) -> str:
        return ""

    def close(self) -> None:
        self.near.shutdown(socket.SHUT_RDWR)

    def question(self) -> dict[str, Any]:
        return dict(json.loads(self.asked.readline()))

    def answer(self, number: int, what: object) -> None:
        self.far.sendall(json.dumps({"id": number, "ok": what}).encode() + b"\n")


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    for end in (line.asked, line.near, line.far):
        end.close()


def test_answers_in_any_order_reach_those_who_asked(line: Line) -> None:
    client = HelperClient(line)
    with ThreadPoolExecutor(8) as pool:
        asked = {n: pool.submit(client.call, "echo", value=n) for n in range(8)}
        questions = [line.question() for _ in asked]
        for question in reversed(questions):
            line.answer(question["id"], question["value"])
        assert {n: future.result(20) for n, future in asked.items()} == {n: n for n in range(8)}


def test_one_whose_time_is_over_leaves_the_reading_to_the_next(line: Line) -> None:
    client = HelperClient(line)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.call, "never", timeout=0.2)
        line.question()
        second = pool.submit(client.call, "later")
        number = line.question()["id"]
        with pytest.raises(RouteError, match="did not answer"):
            first.result(20)
        line.answer(number, "here")
        assert second.result(20) == "here"


def test_an_answer_that_comes_late_is_nobody_elses(line: Line) -> None:
    client = HelperClient(line)
    with pytest.raises(RouteError):
        client.call("slow", timeout=0.01)
    line.answer(line.question()["id"], "late")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.call, "quick")
        line.answer(line.question()["id"], "mine")
        assert asked.result(20) == "mine"


def test_an_end_is_seen_by_who_looks_and_by_all_who_wait(line: Line) -> None:
    client = HelperClient(line)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.call, "never") for _ in range(3)]
        for _ in waiting:
            line.question()
        assert client.alive
        line.far.shutdown(socket.SHUT_RDWR)
        for future in waiting:
            with pytest.raises(LinkLost):
                future.result(20)
    assert not client.alive


def test_an_end_while_nobody_asks_is_seen_behind_what_came_late(line: Line) -> None:
    client = HelperClient(line)
    assert client.alive
    line.answer(7, "nobody's")
    line.far.shutdown(socket.SHUT_WR)
    assert not client.alive


def test_a_long_question_while_the_helper_is_stuck_with_a_long_answer(line: Line) -> None:
    """It reads on only when its answer is taken."""
    client = HelperClient(line)
    with pytest.raises(RouteError):
        client.call("slow", timeout=0.01)
    number = line.question()["id"]

    def helper() -> None:
        line.answer(number, "x" * (4 << 20))
        question = line.question()
        line.answer(question["id"], len(question["value"]))

    thread = threading.Thread(target=helper, daemon=True)
    thread.start()
    assert client.call("put", value="y" * (4 << 20)) == 4 << 20
    thread.join(20)
