"""What the base knows: the classes, the examples shown, the cache, and the run that only asks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from core.evaluation.answers import Answer
from core.evaluation.engines import Question
from core.training import census, cli, data, probe_set, run
from core.training.census import Census, Known
from core.training.recipe import CensusPart
from tests.training.conftest import some_pairs, write_pairs
from tests.training.test_run import events_of

PART = CensusPart(facts=6, prompts=3, shots=2, samples=2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("greedy", "sampled", "cls"),
    [
        ((4, 4), (0, 16), "HighlyKnown"),
        ((3, 4), (16, 16), "MaybeKnown"),
        ((1, 4), (0, 16), "MaybeKnown"),
        ((0, 4), (1, 16), "WeaklyKnown"),
        ((0, 4), (0, 16), "Unknown"),
    ],
)
def test_classes(greedy: tuple[int, int], sampled: tuple[int, int], cls: str) -> None:
    assert Known("f", "?", greedy, sampled).cls == cls


class Scripted:
    """Knows fact 0 whatever is shown, fact 1 with some examples; asked: every prompt."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)
        self.asked: dict[str, str] = {}

    def answer_batches(self, questions: Sequence[Question], size: int) -> Iterator[list[Answer]]:
        self.asked |= {q.id: q.question for q in questions}
        for q in questions:
            right = q.id.startswith("pair_0#") or q.id == "pair_1#1"
            cores = 8 * (int(q.id[5:].partition("#")[0]) + 1)
            said = f"It has {cores} cores.\nQuestion: How many GPUs?\nAnswer: 99 cores."
            yield [Answer(q.id, said if right else "It has 7 cores.")]


def taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairs: int = 6, **hashes: str
) -> tuple[Census, Any]:
    file = write_pairs(tmp_path / "trained.jsonl", some_pairs(pairs))
    trained = probe_set.pairs_of(data.read_conversations(file), file)
    engine = Scripted()

    def sampled(engine: Any, prompts: Any, part: CensusPart) -> Iterator[list[tuple[str, str]]]:
        for p in prompts:
            yield [(p.id, "24 cores." if p.id == "pair_2#0" else "none")] * part.samples

    monkeypatch.setattr(census, "_sampled", sampled)
    ids = {"base_sha256": "b", "data_sha256": "d", **hashes}
    return census.take(engine, trained, PART, **ids), engine  # type: ignore[arg-type]


def test_facts_get_their_classes_and_the_file_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = taken(tmp_path, monkeypatch)
    assert found.classes == {"HighlyKnown": 1, "MaybeKnown": 1, "WeaklyKnown": 1, "Unknown": 3}
    assert found.unknown_share == 0.5 and not found.cached
    found.write(tmp_path / "census.jsonl")
    rows = [json.loads(x) for x in (tmp_path / "census.jsonl").read_text().splitlines()]
    assert rows[1] | {"fact": "pair_1", "class": "MaybeKnown", "greedy": [1, 3]} == rows[1]
    assert rows[2]["sampled"] == [2, 6]


def test_examples_are_other_facts_of_other_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, engine = taken(tmp_path, monkeypatch)
    assert len(engine.asked) == 6 * 3
    text = engine.asked["pair_0#0"]
    assert text.endswith("Question: How many cores has node 0 of Delta?\nAnswer:")
    shown = text.rpartition("Question: ")[0]
    # node 5 is Delta's as well, and would give away what kind of number it is
    assert shown.count("Question: ") == 2 and "Delta" not in shown and "<<SRC" not in shown
    assert len({engine.asked[f"pair_0#{n}"] for n in range(3)}) > 1


def test_it_is_asked_once_for_a_base_and_a_set_of_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = taken(tmp_path, monkeypatch)
    again, engine = taken(tmp_path, monkeypatch)
    assert again.cached and again.known == first.known and not engine.asked
    # fewer rows of the same file, as a smoke run has them, are another question
    fewer, engine = taken(tmp_path, monkeypatch, pairs=4)
    assert not fewer.cached and engine.asked
    for other in ({"base_sha256": "b2"}, {"data_sha256": "d2"}):
        fresh, engine = taken(tmp_path, monkeypatch, **other)
        assert not fresh.cached and engine.asked
    for stored in census.cache_path(PART, "b", "d").parent.iterdir():
        stored.write_text('{"fact": "pair_0"')  # a damaged file is no answer
    assert not taken(tmp_path, monkeypatch)[0].cached


def test_sizes_left_to_the_device() -> None:
    cpu = census.settled(CensusPart(), "cpu")
    gpu = census.settled(CensusPart(prompts=10), "cuda:0")
    assert (cpu.facts, cpu.prompts, cpu.samples) == census.BY_DEVICE["cpu"]
    assert (gpu.facts, gpu.prompts, gpu.samples) == (200, 10, 4)


def test_a_real_model_is_asked_and_nothing_is_trained(
    models: Path, pairs_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sets = ["census.facts=3", "census.samples=2", "census.max_new_tokens=4", "census.shots=1"]
    command = ["--recipe", "tiny", "--data", str(pairs_file), "--out", str(out), "--census-only"]
    assert cli.main([*command, *(part for s in sets for part in ("--set", s))]) == 0
    (event,) = events_of(out / "events.jsonl", "census")
    assert event["asked"] == 3 and event["facts"] == 40 and sum(event["classes"].values()) == 3
    assert event["unknown_share"] == 1.0 and event["samples"] == 2 and not event["cached"]
    assert len((out / "census.jsonl").read_text().splitlines()) == 3
    assert events_of(out / "events.jsonl", "result")[0]["routine"] == "census"
    assert not (out / "adapter").exists() and not (out / "summary.json").exists()
    assert cli.main([*command, *(part for s in sets for part in ("--set", s))]) == 0
    assert events_of(out / "events.jsonl", "census")[-1]["cached"]


def test_a_run_that_takes_it_before_ends_in_the_same_bits(request_for: Any) -> None:
    short = ("train.epochs=1", "train.batch_size=8", "lora.dropout=0.1")
    sizes = ("census.facts=2", "census.prompts=1", "census.samples=2", "census.max_new_tokens=4")
    plain = request_for("plain", *short)
    asked = request_for("asked", *short, *sizes, "census.before_training=true")
    assert run.train(plain) == run.train(asked) == 0
    made = [json.loads((r.out / "summary.json").read_text()) for r in (plain, asked)]
    assert made[0]["adapter_sha256"] == made[1]["adapter_sha256"]
    assert "census" not in made[0] and made[1]["census"]["asked"] == 2
