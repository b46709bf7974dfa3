"""The gate in front of every training: an open error stops it, and what was predicted is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import UsageError
from core.jobdir import JobSpec
from core.registry import open_registry, snapshots
from core.training.fit import GIB, Memory
from remote.sandbox import Sandbox
from tests.core.conftest import make_pair
from tests.remote.conftest import end_jobs
from tui.cli.root import run
from tui.desk import jobs, launching, outcomes, planning
from tui.desk.api_plans import Wish
from tui.desk.jobs import start_training
from tui.desk.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setitem(launching.ROUTINES, "train", "this")  # says its zen and ends
    with Sandbox(tmp_path / "box") as box:
        it = Workbench("gh200")
        it.line._host = box.host
        with open_registry() as reg:
            snapshots.freeze(reg, [make_pair(n) for n in range(20)])
        yield it
        it.close()
        end_jobs(Path(box.host.workdir))


def enough(monkeypatch: pytest.MonkeyPatch, devices: int = 4) -> None:
    memory = Memory(round(95.6 * GIB), round(95.6 * GIB), "gpu", "NVIDIA GH200 480GB", devices)
    monkeypatch.setattr(planning, "memory_now", lambda bench: memory)


def test_an_open_error_starts_nothing_and_an_accepted_one_is_kept(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough(monkeypatch)
    ready: list[str] = []  # the base model is not on this machine, and need not be
    monkeypatch.setattr(jobs, "require_ready", lambda *a, **k: ready.append("asked"))
    with pytest.raises(UsageError, match="L4") as refused:
        start_training(bench, "mistral-7b")
    assert "--accept L4" in refused.value.try_next
    assert not bench.jobs(), "nothing was recorded"
    taken = {"L4": "a comparison", "L5": "a comparison"}
    made = start_training(
        bench, "mistral-7b", accept=taken, overrides=["train.processes=2", "probe.every=0"]
    )
    assert ready == ["asked"], "the host is asked after the lint, before a job is made"
    spec = bench.following.dir(made).spec()
    assert spec.processes == 2
    assert spec.settings["recipe"]["accept"] == taken
    assert spec.settings["predicted"]["peak_bytes"] > 10 * GIB
    assert {row["rule"]: row.get("accepted") for row in spec.settings["lint"]}[
        "L4"
    ] == "a comparison"
    plan = bench.plans.plan(Wish("mistral-7b", accept=taken))
    assert not plan.blocking and plan.pairs == 20 and plan.price is not None
    assert bench.plans.behind(made).peak == spec.settings["predicted"]["peak_bytes"]


def test_what_came_is_held_against_what_was_predicted() -> None:
    spec = JobSpec("train-1", "train", ["x"], {"predicted": {"peak_bytes": 4e9, "wall_s": 100.0}})
    summary = {"tokens": 1000, "wall_s": 110.0, "peak_memory_bytes": 3e9}
    found = outcomes._held_against(spec, summary)["predicted_measured"]
    assert found["peak_bytes"]["error"] == -0.25 and found["wall_s"]["error"] == 0.1
    json.dumps(found)
    assert outcomes._held_against(replace(spec, settings={}), summary) == {}


def test_the_command_line_takes_a_rule_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "train", "tiny", "--accept", "L44", "known"]) == 2
    assert "no such rule" in capsys.readouterr().err
    assert run(["jobs", "train", "tiny", "--accept", "L4", "--smoke"]) == 2
    assert "the reason is missing" in capsys.readouterr().err
