"""Batches side by side: the same answers, and nothing left running or lost however it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import pytest

from core.evaluation.side_by_side import SideBySide, Wanted
from tests.conftest import require
from tests.evaluation.test_straight import made, tokens

pytestmark = pytest.mark.usefixtures("with_torch")


@pytest.fixture
def with_torch() -> Iterator[None]:
    require(find_spec("torch"), "torch")
    import torch

    before, running = torch.get_num_threads(), threading.active_count()
    yield
    assert torch.get_num_threads() == before
    assert threading.active_count() == running  # no thread outlives whoever asked


def twice(batch: int, wanted: Wanted) -> Iterator[int]:
    yield batch
    yield -batch


def test_all_batches_are_answered_by_whoever_is_free() -> None:
    beside = SideBySide(3)
    found = list(beside.answered(twice, range(1, 8)))
    assert sorted(found) == sorted((n, m) for n in range(1, 8) for m in (n, -n))
    assert [m for _, m in found if abs(m) == 5] == [5, -5]
    assert not beside.running


def test_they_are_answered_at_the_same_time_with_torch_threads_of_their_own() -> None:
    import torch

    both = threading.Barrier(2)
    torch.set_num_threads(torch.get_num_threads())

    def meet(batch: int, wanted: Wanted) -> Iterator[int]:
        both.wait(timeout=60)  # one after the other would break it
        yield torch.get_num_threads()

    assert [n for _, n in SideBySide(2, 1).answered(meet, range(4))] == [1] * 4


def until_unwanted(started: threading.Event) -> Callable[[int, Wanted], Iterator[int]]:
    def answer(batch: int, wanted: Wanted) -> Iterator[int]:
        yield batch
        started.set()
        while True:
            wanted()

    return answer


def test_what_was_found_before_an_error_is_handed_over_and_the_error_is_the_same() -> None:
    started = threading.Event()
    endless = until_unwanted(started)
    error = MemoryError("no room")

    def answer(batch: int, wanted: Wanted) -> Iterator[int]:
        if batch == 0:
            yield from endless(batch, wanted)
        assert started.wait(timeout=60)
        yield batch
        raise error

    found = []
    with pytest.raises(MemoryError) as raised:
        for batch, _ in SideBySide(2).answered(answer, range(3)):
            found.append(batch)
    assert raised.value is error and sorted(found) == [0, 1]


@pytest.mark.parametrize("how", ["closed", "raised"])
def test_no_thread_goes_on_when_nobody_asks_any_more(how: str) -> None:
    beside = SideBySide(2)
    going = beside.answered(until_unwanted(threading.Event()), range(2))
    next(going)
    assert beside.running
    if how == "closed":
        going.close()  # type: ignore[attr-defined]  # a generator
    else:  # a signal's handler raises where the answers are waited for
        with pytest.raises(KeyboardInterrupt):
            going.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert not beside.running


@dataclass(frozen=True)
class Asked:
    id: str
    question: str


def model_of(way: bool = True) -> Any:
    """A random model whose questions are numbers, its tokens."""
    from core.evaluation.generate import Generator
    from core.evaluation.straight import straight

    model = made("mistral")

    class Words:
        pad_token_id = 0

    class Prompts:
        def ids(self, question: str) -> list[int]:
            return [int(n) for n in question.split()]

        def text(self, ids: list[int]) -> str:
            return " ".join(map(str, ids))

        said = text

    class Numbers(Generator):
        def _prompter(self) -> Any:
            return Prompts()

    found = straight(model) if way else None
    return Numbers(model, Words(), frozenset({1, 17}), "cpu", "float32", 16, (), found)


QUESTIONS = [
    Asked(f"q{n:03}", " ".join(str((n * 7 + k * k * 5) % 90 + 3) for k in range(1 + n * 11 % 40)))
    for n in range(64)
]


@pytest.mark.slow
def test_two_batches_at_a_time_say_what_one_question_alone_says() -> None:
    model = replace(model_of(), beside=SideBySide(2))
    one = {q.id: model.answer_alone(q).answer for q in QUESTIONS}
    answers = [a for some in model.answer_batches(QUESTIONS, 256) for a in some]
    assert {a.id: a.answer for a in answers} == one and len(answers) == len(one)
    assert {a.trace.batch for a in answers if a.trace} == {32}  # half of them each
    assert len(set(one.values())) > 50
    # 48 at a time are 24 for each of two; with fewer, one thread has them
    for most, sizes in ((48, {24, 8}), (47, {47, 17})):
        answers = [a for some in model.answer_batches(QUESTIONS, most) for a in some]
        assert {a.id: a.answer for a in answers} == one and len(answers) == len(one)
        assert {a.trace.batch for a in answers if a.trace} == sizes


@pytest.mark.slow
def test_together_they_take_no_more_room_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.evaluation import decode

    model = model_of().model
    lengths = [40] * 64
    one = decode.fitting(model, lengths, 16, 256)
    assert one == 64 and decode.fitting(model, lengths, 16, 256, 2) == 32
    assert decode.fitting(model, lengths, 16, 40, 2) == 20
    each = 2 * 3 * 2 * 8 * 4 * (40 + 16)  # keys and values, layers, heads, their size, float32
    monkeypatch.setattr(decode, "ROOM_BYTES", 30 * each)
    assert decode.fitting(model, lengths, 16, 256) == 30
    assert decode.fitting(model, lengths, 16, 256, 2) == 15


@pytest.mark.slow
def test_threads_are_not_measured_while_batches_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from core.evaluation import generate

    monkeypatch.setattr(generate, "settle_threads", lambda model: -5)
    model = replace(model_of(), beside=SideBySide(2))
    answers = model.answer_batches(QUESTIONS, 256)
    next(answers)
    assert model.settle() > 0
    answers.close()  # type: ignore[attr-defined]
    assert model.settle() == -5


@pytest.mark.slow
def test_only_models_with_the_shorter_way_are_answered_side_by_side() -> None:
    from core.evaluation import generate

    model = model_of()
    assert generate.side_by_side(model.model, None, 8).threads == 1
    beside = generate.side_by_side(model.model, model.way, 9)
    assert (beside.threads, beside.each) == (generate.MOST_BESIDE, 9 // generate.MOST_BESIDE)
    assert generate.side_by_side(model.model, model.way, 2).threads == 2
    turns = next(m for m in model.model.modules() if hasattr(m, "rope_type"))
    turns.rope_type = "dynamic"  # it writes its frequencies where other threads read them
    assert generate.side_by_side(model.model, model.way, 8).threads == 1


def test_the_threads_that_were_allowed_are_not_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.evaluation import generate
    from core.training import environment

    monkeypatch.setattr(environment, "usable_cpus", lambda: 8)
    model = model_of()
    for said, threads in (("1", 1), ("3", 3), ("64", generate.MOST_BESIDE), ("nonsense", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        beside = generate.side_by_side(model.model, model.way)
        assert beside.threads == threads


def test_an_error_that_looks_like_the_end_of_the_work_is_an_error() -> None:
    from queue import Empty

    def answer(batch: int, wanted: Wanted) -> Iterator[int]:
        yield batch
        raise Empty

    with pytest.raises(Empty):
        list(SideBySide(2).answered(answer, range(4)))


@pytest.mark.parametrize(
    ("begins", "worth", "groups"),
    [
        ([0], 0, [(0, 1, 0)]),
        ([0, 0, 9, 9], 17, [(0, 2, 0), (2, 4, 9)]),
        ([0, 0, 9, 9], 18, [(0, 4, 0)]),
        ([3, 3, 3], 0, [(0, 3, 3)]),
        ([9, 9, 0], 0, [(0, 2, 9), (2, 3, 0)]),
        ([0, 5, 9], 0, [(0, 1, 0), (1, 2, 5), (2, 3, 9)]),
    ],
)
def test_rows_are_cut_where_it_saves_columns(
    begins: list[int], worth: int, groups: list[tuple[int, int, int]]
) -> None:
    from core.evaluation.kv_room import grouped

    found = grouped(begins, worth)
    assert [(g.rows.start, g.rows.stop, g.begin) for g in found] == groups


@pytest.mark.slow
def test_columns_without_a_token_are_left_out_and_nothing_is_said_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from core.evaluation import decode, kv_room
    from core.evaluation.straight import straight

    made_groups: list[int] = []
    cut = kv_room.grouped

    def counted(begins: Any, worth: int) -> Any:
        made_groups.append(len(groups := cut(begins, worth)))
        return groups

    monkeypatch.setattr(kv_room, "grouped", counted)
    model = made("llama")
    prompts = [[int(n) for n in q.question.split()] for q in QUESTIONS[:12]]
    way = straight(model)
    monkeypatch.setattr(decode, "WORTH_A_CUT", 10**9)
    whole = tokens(model, prompts, way)
    assert set(made_groups) == {1}
    monkeypatch.setattr(decode, "WORTH_A_CUT", 10)
    assert tokens(model, prompts, way) == whole
    assert max(made_groups) > 2
