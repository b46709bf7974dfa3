"""A version built on another knows what that one was trained on as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.jobdir import JobSpec, new_job_id
from core.registry import open_registry, snapshots
from tests.core.conftest import make_pair
from tests.desk.test_incremental import bench  # noqa: F401  fixture
from tui.desk import lineage
from tui.desk.jobs import start_training
from tui.desk.lineage import Lineage
from tui.desk.workbench import Workbench


def trained(bench: Workbench, snapshot: str, on: str | None = None, rewordings: int = 0) -> str:  # noqa: F811
    settings: dict[str, Any] = {
        "snapshot": snapshot,
        "recipe": {"train": {"rewordings": rewordings}},
        "init_adapter": f"/host/jobs/{on}/artifacts/adapter" if on else None,
    }
    job = JobSpec(new_job_id("train"), "train", ["x"], host=bench.host_name, settings=settings)
    bench.following.expect(job)
    return job.id


def test_the_whole_chain_is_walked(bench: Workbench) -> None:  # noqa: F811
    first = trained(bench, "a", rewordings=2)
    second = trained(bench, "b", on=first)
    third = trained(bench, "c", on=second)
    assert lineage.lineage(bench, third) == Lineage(("c", "b", "a"), 2)
    assert lineage.lineage(bench, trained(bench, "d")) == Lineage(("d",), 0)
    assert lineage.lineage(bench, None) == Lineage((), 0)


def test_a_chain_ends_where_nothing_is_known_or_it_bites_its_tail(bench: Workbench) -> None:  # noqa: F811
    lost = trained(bench, "b", on="train-20200101-000000-0000")
    assert lineage.lineage(bench, lost).snapshots == ("b",)
    odd = JobSpec("train-odd", "train", ["x"], host=bench.host_name, settings={
        "snapshot": "o", "init_adapter": "/x/jobs/train-odd/artifacts/adapter", "recipe": ["?"]
    })  # fmt: skip
    bench.following.expect(odd)
    assert lineage.lineage(bench, "train-odd") == Lineage(("o",), 0)


def test_what_was_trained_before_goes_along_to_the_probe(bench: Workbench) -> None:  # noqa: F811
    with open_registry() as reg:
        first = snapshots.freeze(reg, [make_pair(n) for n in range(3)])
        second = snapshots.freeze(reg, [make_pair(n) for n in range(5)])
    lowest = trained(bench, "gone-from-this-registry")
    below = trained(bench, first.id, on=lowest)
    overrides = ["incremental.strategy=merge", "probe.every=epoch"]
    made = start_training(
        bench, "tiny", snapshot_id=second.id, init_from=below, overrides=overrides
    )
    spec = bench.following.dir(made).spec()
    (path,) = map(Path, spec.settings["earlier_data"])  # the embedded host is this machine
    assert len(path.read_text().splitlines()) == 3
    assert spec.inputs[-1]["name"] == f"trained {first.id}"
