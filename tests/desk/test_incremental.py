"""A training that builds on an earlier job: what is placed on the host for it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import NotFound, UsageError
from core.jobdir import JobSpec, new_job_id
from core.registry import open_registry, snapshots
from remote.sandbox import Sandbox
from tests.core.conftest import make_pair
from tests.remote.conftest import end_jobs
from tui.desk import jobs, launching
from tui.desk.jobs import start_training
from tui.desk.workbench import Workbench

MERGE = ["incremental.strategy=merge"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setitem(launching.ROUTINES, "train", "this")  # says its zen and ends
    # the adapters it builds on are not there; tests/desk/test_readying.py has real ones
    monkeypatch.setattr(jobs, "require_ready", lambda bench, settings: None)
    with Sandbox(tmp_path / "box") as box:
        it = Workbench("gh200")
        it.line._host = box.host
        yield it
        it.close()
        end_jobs(Path(box.host.workdir))


def job(bench: Workbench, **settings: Any) -> str:
    command = ["/bin/sh", "-c", "true"]
    spec = JobSpec(new_job_id("test"), "test", command, host=bench.host_name, settings=settings)
    return bench.launching.submit(spec)


def test_the_earlier_snapshot_goes_along(bench: Workbench) -> None:
    with open_registry() as reg:
        first = snapshots.freeze(reg, [make_pair(n) for n in range(3)])
        second = snapshots.freeze(reg, [make_pair(n) for n in range(5)])
    earlier = job(bench, snapshot=first.id)
    made = start_training(bench, "tiny", snapshot_id=second.id, init_from=earlier, overrides=MERGE)
    spec = bench.following.dir(made).spec()
    assert spec.settings["recipe"]["incremental"]["strategy"] == "merge"
    assert spec.settings["init_adapter"].endswith(f"jobs/{earlier}/artifacts/adapter")
    placed = Path(spec.settings["previous_data"])  # the embedded host is this machine
    ids = [json.loads(line)["id"] for line in placed.read_text().splitlines()]
    assert ids == [make_pair(n).id for n in range(3)]
    assert [i["name"] for i in spec.inputs] == ["pairs", "previous"]


def test_nothing_to_build_on_is_refused_before_anything_is_sent(bench: Workbench) -> None:
    with open_registry() as reg:
        snapshots.freeze(reg, [make_pair(n) for n in range(3)])
    with pytest.raises(UsageError, match="no earlier training is named"):
        start_training(bench, "tiny", overrides=MERGE)
    with pytest.raises(UsageError, match="was not trained on a frozen snapshot"):
        start_training(bench, "tiny", init_from=job(bench), overrides=MERGE)
    with pytest.raises(NotFound, match="no job"):
        start_training(bench, "tiny", init_from="train-20200101-000000-0000", overrides=MERGE)


def test_training_anew_places_no_earlier_data(bench: Workbench) -> None:
    with open_registry() as reg:
        snapshots.freeze(reg, [make_pair(n) for n in range(3)])
    spec = bench.following.dir(start_training(bench, "tiny")).spec()
    assert spec.settings["previous_data"] is None
    assert [i["name"] for i in spec.inputs] == ["pairs"]
