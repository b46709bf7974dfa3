"""Plans before a launch: the page of `qa recipe check`, and the desk's plan over real parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.corpus import pair_files, pilot_selection
from core.errors import NotFound, PairsError, UsageError
from core.jobdir import SUCCEEDED, JobSpec, JobState
from core.pairs import Message, Pair, read_pairs, write_pairs
from core.registry import open_registry, snapshots
from core.training import recipe as recipes
from core.training.fit import GIB, Memory
from remote.sandbox import Sandbox
from tests.core.conftest import make_pair
from tui.cli.root import run
from tui.desk import planning
from tui.desk.workbench import Workbench
from tui.present.plan import page

GH200 = Memory(round(95.6 * GIB), round(95.6 * GIB), "gpu", "NVIDIA GH200 480GB", 1)


def deferring(n: int) -> Pair:
    answer = "That needs live data from `get_infrastructure_news`."
    pair = make_pair(n, messages=(Message("user", f"down {n}?"), Message("assistant", answer)))
    return replace(pair, metadata={"source_data": {"kind": "dynamic"}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, [make_pair(n) for n in range(40)])
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Sandbox(tmp_path / "box") as box:
        it = Workbench("gh200")
        it.line._host = box.host
        yield it
        it.close()


def freeze(pairs: list[Pair]) -> str:
    return snapshots.freeze(open_registry(), pairs).id


def qa(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([str(a) for a in args])
    return code, *capsys.readouterr()


def test_check_tells_memory_time_and_lint_and_stops(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    code, text, _ = qa(capsys, "recipe", "check", "mistral-7b", "--data", file, "--memory", 95.6)
    assert code == 2
    for word in ("✔ fits", "weights 13.5", "assumed:", "✘ L4", "✘ L5", "▲ L1", "not before L4, L5"):
        assert word in text
    taken = ["--accept", "L4", "a comparison", "--accept", "l5", "the same"]
    code, text, _ = qa(capsys, "recipe", "check", *taken, "mistral-7b", "--data", file)
    assert code == 0 and "accepted: a comparison" in text


def test_check_in_json(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    args = ["recipe", "check", "llama-3.1-70b", "--data", file, "--memory", 95.6, "--json"]
    code, text, _ = qa(capsys, *args, "--accept", "L4", "known", "--accept", "L5", "known")
    found = json.loads(text)
    assert code == 2 and not found["can_start"]
    assert found["fit"]["verdict"] == "NO" and found["cost"]["assumed"]
    assert found["fit"]["options"][1]["settings"] == ["model.quantise=nf4"]
    errors = [f for f in found["findings"] if f["severity"] == "error"]
    assert {f["rule"]: f["accepted"] for f in errors} == {"L4": "known", "L5": "known", "L9": ""}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--accept", "L5"], "reason is missing"),
        (["--accept", "L5", "--brief"], "reason is missing"),
        (["--accept", "L55", "because"], "no such rule"),
        (["--memory", "-3"], "not a size"),
        (["--unknown", "7"], "not a share"),
        (["--snapshot", "dataset-none", "--memory", "1"], "dataset-none"),
        (["--set", "train.processes=1.5"], "train.processes"),
        (["--data", "/no/such/file.jsonl"], "no such file"),
        (["--init-adapter", "/no/such/adapter"], "no adapter there"),
    ],
)
def test_odd_words_are_refused(
    capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    code, _, err = qa(capsys, "recipe", "check", "mistral-7b", *args)
    assert code in (2, 6) and said in err


def test_show_prints_each_origin(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["recipe", "show", "mistral-7b", "--profile", "recommended", "--set", "lora.r=32"]
    code, text, _ = qa(capsys, *args, "--json")
    found = {row["key"]: row for row in json.loads(text)}
    assert code == 0
    assert found["lora.r"] == {"key": "lora.r", "value": 32, "from": "--set"}
    assert found["train.lr"]["from"].endswith("(profile recommended)")
    assert found["train.batch_size"]["from"].startswith("mistral-7b.yaml:")
    assert found["train.packing"]["from"] == "default"
    code, text, _ = qa(capsys, *args)
    assert code == 0 and "train.lr" in text
    code, text, _ = qa(capsys, "recipe", "list", "--json")
    assert "mixtral-8x7b" in [row["name"] for row in json.loads(text)]


def test_hostile_pairs_cannot_write_on_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "p\x1b[31m.jsonl"
    write_pairs(path, [make_pair(n) for n in range(3)])
    for more in ([], ["--json"]):
        _, text, err = qa(capsys, "recipe", "check", "tiny", "--data", path, *more)
        assert "\x1b" not in text + err


# -- the desk ----------------------------------------------------------------------------------------


def test_the_desk_plans_the_newest_snapshot_on_its_host(bench: Workbench) -> None:
    with pytest.raises(NotFound):
        planning.plan(bench, "smollm2-135m")
    train = pilot_selection(read_pairs(pair_files()).pairs).train
    frozen = freeze(train)
    memory = planning.asked_memory(bench)
    assert memory.kind == "cpu" and memory.free and memory.total and memory.free <= memory.total
    made = planning.plan(bench, "smollm2-135m", memory=memory)
    assert made.data == frozen and made.lessons and made.lessons.pairs == len(train)
    assert made.fit.verdict in ("PASS", "TIGHT", "NO") and made.cost and made.cost.assumed
    assert any(f.rule == "L4" and f.accepted for f in made.findings)
    if made.fit.verdict == "PASS":
        planning.refuse_unless_accepted(made)
    stored = planning.job_settings(made)
    assert recipes.from_settings(stored["recipe"]).accept["L4"]
    assert stored["predicted"]["peak_bytes"] == made.fit.peak.total
    json.dumps(stored)
    assert page(made)[0].startswith("recipe smollm2-135m (recommended)   dataset-")


def test_an_error_refuses_the_launch_until_accepted(bench: Workbench) -> None:
    freeze([make_pair(n) for n in range(20)])
    made = planning.plan(bench, "mistral-7b", memory=GH200)
    with pytest.raises(UsageError, match="L4"):
        planning.refuse_unless_accepted(made)
    reasons = {"L4": "known", "L5": "known"}
    planning.refuse_unless_accepted(
        planning.plan(bench, "mistral-7b", memory=GH200, accept=reasons)
    )


def test_a_snapshot_of_one_pair_is_refused(bench: Workbench) -> None:
    frozen = freeze([make_pair(1)])
    with pytest.raises(PairsError, match="one pair"):
        planning.plan(bench, "tiny", frozen)


def test_a_recipe_for_more_accelerators_than_there_are(bench: Workbench) -> None:
    freeze([make_pair(1), deferring(2)])
    with pytest.raises(UsageError, match="asks for 4 accelerators, gh200 has 1 accelerator"):
        planning.plan(bench, "mixtral-8x7b", overrides=["profile=recommended"], memory=GH200)


def finish(
    bench: Workbench, job_id: str, recipe: str, summary: dict[str, Any], **more: Any
) -> None:
    """A finished training, as its mirror looks."""
    settings = {"recipe": recipes.load_recipe(recipe).resolved(), **more}
    bench.following.expect(JobSpec(job_id, "train", ["x"], settings, host="gh200"))
    bench.following.settle(job_id, JobState(SUCCEEDED, started_at=100.0, ended_at=420.0))
    (bench.following.dir(job_id).artifacts / "summary.json").write_text(json.dumps(summary))


def test_past_runs_set_the_time_and_the_error_of_past_predictions(bench: Workbench) -> None:
    freeze([make_pair(n) for n in range(10)])
    summary = {"tokens": 109_152, "wall_s": 312.0, "peak_memory_bytes": 3_493_507_072}
    predicted = {"peak_bytes": 3_000_000_000, "wall_s": 400.0}
    finish(bench, "train-1", "smollm2-135m", summary, predicted=predicted)
    finish(bench, "train-2", "smollm2-135m", {"wall_s": "?"})
    finish(bench, "train-3", "smollm2-135m", {**summary, "smoke": True})
    made = planning.plan(bench, "smollm2-135m", accept={"L5": "known"})
    assert made.cost and not made.cost.assumed and made.cost.runs == 1
    assert {m.figure: round(m.error, 2) for m in made.misses} == {
        "peak_bytes": 0.16,
        "wall_s": -0.2,
    }
    text = "\n".join(page(made))
    assert "memory ±16% (1 run), time ±20% (1 run)" in text and "from 1 run of smollm2-135m" in text


def test_a_census_of_an_earlier_run_tells_how_many_facts_are_unknown(bench: Workbench) -> None:
    frozen = freeze([make_pair(n) for n in range(10)])

    def told() -> tuple[float | None, str]:
        made = planning.plan(bench, "smollm2-135m", accept={"L5": "known"})
        assert made.lessons
        (rule,) = [f for f in made.findings if f.rule == "L6"] or [None]
        return made.lessons.unknown_share, rule.message if rule else ""

    finish(bench, "train-1", "mistral-7b", {"census": {"unknown_share": 0.9}}, snapshot=frozen)
    finish(bench, "train-2", "smollm2-135m", {"census": {"unknown_share": True}}, snapshot=frozen)
    finish(bench, "train-3", "smollm2-135m", {"census": ["?"]}, snapshot=frozen)
    assert told()[0] is None and "has not been asked" in told()[1]
    finish(bench, "train-4", "smollm2-135m", {"census": {"unknown_share": 0.7}}, snapshot="older")
    assert told() == (
        0.7, "70% of the facts are unknown to the base (census of train-4, of the pairs of older)"
    )  # fmt: skip
    finish(bench, "train-5", "smollm2-135m", {"census": {"unknown_share": 0.62}}, snapshot=frozen)
    assert told() == (0.62, "62% of the facts are unknown to the base (census of train-5)")
    text = "\n".join(page(planning.plan(bench, "smollm2-135m", accept={"L5": "known"})))
    assert "10 facts, 62% of them unknown to the base" in text
    finish(bench, "train-6", "smollm2-135m", {"census": {"unknown_share": 0.3}}, snapshot=frozen)
    given = planning.plan(bench, "smollm2-135m", accept={"L5": "known"}, unknown_share=0.8)
    assert given.lessons and given.lessons.unknown_share == 0.8  # said by the operator


def test_going_on_from_an_adapter_of_another_base(bench: Workbench) -> None:
    freeze([make_pair(1), deferring(2)])
    finish(bench, "train-1", "smollm2-135m", {})
    with pytest.raises(UsageError, match="base model smollm2-135m, the recipe says mistral-7b"):
        planning.plan(bench, "mistral-7b", init_from="train-1")
    with pytest.raises(NotFound):
        planning.plan(bench, "mistral-7b", init_from="train-9")


def test_going_on_costs_what_is_new_and_replayed(bench: Workbench) -> None:
    first = freeze([make_pair(n) for n in range(40)])
    finish(bench, "train-1", "smollm2-135m", {}, snapshot=first)
    freeze([make_pair(n) for n in range(44)])
    accept = {"L4": "a test", "L5": "a test"}

    def rows(*sets: str) -> float:
        made = planning.plan(
            bench,
            "smollm2-135m",
            overrides=["train.epochs=3", *sets],
            init_from="train-1",
            accept=accept,
        )
        assert made.cost is not None and made.lessons is not None and made.lessons.pairs == 44
        return made.cost.tokens / made.lessons.mean_tokens / 3

    assert rows() == pytest.approx(44, abs=1)
    again = ["incremental.strategy=continue", "incremental.replay=0.5"]
    assert rows(*again) == pytest.approx(8, abs=1), "4 new ones and as many old ones"
