"""A sweep: one training for each value, all looked at before the first is started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import QAError, UsageError
from core.registry import open_registry, snapshots
from core.training.fit import GIB, Memory
from core.training.recipe import load_recipe
from remote.sandbox import Sandbox
from tests.core.conftest import make_pair
from tests.remote.conftest import end_jobs
from tui.cli.root import run
from tui.desk import jobs, launching, planning, sweeping
from tui.desk.workbench import Workbench

TAKEN = {"L4": "a comparison", "L5": "a comparison"}
RATES = ["train.lr=2e-5", "train.lr=6e-5", "train.lr=2e-4"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setitem(launching.ROUTINES, "train", "this")  # says its zen and ends
    monkeypatch.setattr(jobs, "require_ready", lambda *a, **k: None)
    memory = Memory(round(8 * GIB), round(8 * GIB), "cpu")
    monkeypatch.setattr(planning, "memory_now", lambda bench: memory)
    with Sandbox(tmp_path / "box") as box:
        it = Workbench("gh200")
        it.line._host = box.host
        with open_registry() as reg:
            snapshots.freeze(reg, [make_pair(n) for n in range(20)])
        yield it
        it.close()
        end_jobs(Path(box.host.workdir))


def test_each_value_is_a_job_and_a_version_of_its_own(bench: Workbench) -> None:
    sets = ["probe.every=0", "stop.rule=none"]
    sweep = "train.lr=2e-5, 6e-5, 2e-4"
    points = list(sweeping.start(bench, "tiny", sweep, accept=TAKEN, overrides=sets))
    assert [p.setting for p in points] == RATES
    specs = [bench.following.dir(p.job_id).spec() for p in points]
    assert [s.settings["recipe"]["train"]["lr"] for s in specs] == [2e-5, 6e-5, 2e-4]
    assert all(s.note.endswith(f", {p.setting}") for s, p in zip(specs, points, strict=True))
    assert len({s.settings["snapshot"] for s in specs}) == 1
    with open_registry() as reg:
        made = {row["train_job"] for row in reg.rows("SELECT train_job FROM versions")}
    assert made == {p.job_id for p in points}


@pytest.mark.parametrize("last", ["lots", "-1"])
def test_a_value_that_is_refused_starts_none(bench: Workbench, last: str) -> None:
    with pytest.raises(QAError, match=r"train\.lr"):
        list(sweeping.start(bench, "tiny", f"train.lr=2e-5,{last}", accept=TAKEN))
    with pytest.raises(UsageError, match="L4"):
        list(sweeping.start(bench, "mistral-7b", "train.lr=2e-5,6e-5"))
    assert not bench.jobs(), "nothing was recorded"


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("train.lr", "two values or more"),
        ("train.lr=1e-5", "two values or more"),
        ("=1,2", "two values or more"),
        ("train.lr=1e-5,,2e-5", "two values or more"),
        ("train.lr=1e-5,1e-5", "twice"),
        ("train.seed=" + ",".join(map(str, range(10))), "9 at most"),
    ],
)
def test_odd_sweeps(sweep: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "train", "tiny", "--sweep", sweep]) == 2
    assert said in capsys.readouterr().err


def test_what_came_of_a_value() -> None:
    point = sweeping.Point("train.lr=1e-3", "train-1")
    summary = {"loss_last": 0.5, "curves": [{"recall": 0.1}, {"recall": 0.75, "fabricated": 0.02}]}
    found = sweeping.result_of(point, "succeeded", json.loads(json.dumps(summary)))
    assert (found.loss, found.recall, found.fabricated) == (0.5, 0.75, 0.02)
    assert sweeping.result_of(point, "succeeded", {"loss_last": 0.5}).recall is None


@pytest.mark.parametrize(
    "summary",
    [
        None,
        ["x"],
        {"loss_last": "\x1b[31m0.5", "curves": "many"},
        {
            "loss_last": True,
            "curves": [{"recall": []}, {"recall": "NaN", "fabricated": float("nan")}],
        },
        {"loss_last": 10**400, "curves": [7]},
    ],
)
def test_figures_that_are_none_are_left_out(summary: object) -> None:
    found = sweeping.result_of(sweeping.Point("train.lr=1e-3", "train-1"), "succeeded", summary)
    assert (found.loss, found.recall, found.fabricated) == (None, None, None)


def test_a_value_whose_figures_cannot_be_read_ends_no_other(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui.desk import outcomes

    sets = ["probe.every=0", "stop.rule=none"]
    points = list(sweeping.start(bench, "tiny", "train.lr=2e-5,6e-5", accept=TAKEN, overrides=sets))
    monkeypatch.setattr(outcomes, "settle", lambda *a: None)
    said: list[str] = []
    found = sweeping.results(bench, points, said.append)  # the routine leaves no summary
    assert [r.setting for r in found] == ["train.lr=2e-5", "train.lr=6e-5"]
    assert all(r.status == "succeeded" and r.loss is None for r in found)
    assert sum("could not be read" in line for line in said) == 2


def test_the_lint_offers_one_that_can_be_started() -> None:
    from core.training import lint
    from core.training.architectures import KNOWN

    run_ = lint.Run(load_recipe("mistral-7b", ["train.lr=1e-5"]), KNOWN["mistral-7b"])
    (found,) = [f for f in lint.lint(run_) if f.rule == "L2"]
    sweep = found.fix.split("--sweep ")[1]
    assert sweeping.settings_of(sweep) == ["train.lr=1e-05", "train.lr=3e-05", "train.lr=1e-04"]
    assert [load_recipe("tiny", [s]).train.lr for s in sweeping.settings_of(sweep)] == [
        pytest.approx(x) for x in (1e-5, 3e-5, 1e-4)
    ]
