"""Training and evaluation jobs: what they need on the host, and what is kept of them afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import QAError, UsageError
from core.jobdir import JobSpec
from tui.desk import lineage
from tui.desk.outcomes import settle
from tui.desk.probe_inputs import place_probe
from tui.desk.probe_inputs import settings as probe_settings
from tui.desk.readying import require_ready
from tui.desk.snapshot_files import latest_snapshot, place_snapshot

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def start_training(
    bench: Workbench,
    recipe: str,
    *,
    smoke: bool = False,
    queue: bool = False,
    bump: str | None = None,
    snapshot_id: str | None = None,
    init_from: str | None = None,
    overrides: Sequence[str] = (),
    accept: Mapping[str, str] | None = None,
    mark: str = "",
) -> str:
    """Launch qa-train on the host. init_from: job id whose adapter the training builds on, in the way
    that incremental.strategy says.

    queue: wait for a busy accelerator instead of raising AcceleratorBusy.  bump: at least this part
    of the version's number rises (minor, major).  accept: rules of the lint whose errors are taken,
    each with its reason.  mark: said in the job's note.  Raises UsageError for an error of the plan that
    nobody accepted, and what the host would refuse the training for.
    """
    from tui.desk import planning

    snapshot_id = snapshot_id or latest_snapshot(bench)
    made = planning.plan(
        bench, recipe, snapshot_id, overrides, accept=accept, init_from=init_from, smoke=smoke,
        memory=planning.memory_now(bench),
    )  # fmt: skip
    planning.refuse_unless_accepted(made)
    loaded = made.recipe
    earlier = _earlier_snapshot(bench, loaded.incremental.strategy, init_from)
    pairs = place_snapshot(bench, snapshot_id)
    previous = place_snapshot(bench, earlier) if earlier else None
    probe = place_probe(bench, loaded)
    trained = lineage.place(bench, lineage.lineage(bench, init_from).snapshots) if probe else []
    settings: dict[str, Any] = {
        **planning.job_settings(made),
        "recipe_name": recipe,
        "data": pairs.path,
        "snapshot": snapshot_id,
        "base_model": None,
        "smoke": smoke,
        "init_adapter": bench.launching.job_path(init_from, "artifacts/adapter")
        if init_from
        else None,
        "previous_data": previous.path if previous else None,
        "earlier_data": [placed.path for placed in trained],
        "seed": loaded.train.seed,
        **probe_settings(probe),
    }
    if bump is not None:
        settings["bump"] = bump
    require_ready(bench, settings)
    note = f"{'first run, ' if smoke else ''}{recipe} on {snapshot_id}{mark and f', {mark}'}"
    inputs = [pairs, replace(previous, name="previous")] if previous else [pairs]
    inputs += [*probe.values(), *trained]
    spec = bench.launching.spec("train", settings, [asdict(i) for i in inputs], note)
    if made.launcher == "direct":  # Slurm starts as many as it grants
        spec = replace(spec, processes=loaded.train.processes)
    return submit(bench, spec, queue=queue)


def _earlier_snapshot(bench: Workbench, strategy: str, init_from: str | None) -> str | None:
    """What the earlier adapter was trained on, where the difference to it is trained.

    Raises UsageError before anything is sent: there is nothing to build on.
    """
    if strategy == "retrain":
        return None
    if init_from is None:
        raise UsageError(
            f"incremental.strategy is {strategy}, and no earlier training is named",
            try_next="--init-from JOB, or --set incremental.strategy=retrain",
        )
    from tui.desk.specs import spec_of

    snapshot = spec_of(bench, init_from).settings.get("snapshot")
    if not snapshot:
        raise UsageError(
            f"{init_from} was not trained on a frozen snapshot",
            why="what is new is told by comparing with it, and its pairs are replayed",
            try_next="--set incremental.strategy=retrain",
        )
    return str(snapshot)


def submit(bench: Workbench, spec: JobSpec, *, queue: bool = False) -> str:
    """Start a job. A full training has its version from now on, in the state `training`."""
    from core.registry import versions

    job_id = bench.launching.submit(spec, queue=queue)
    makes_one = spec.routine == "train" and not spec.settings.get("smoke")
    if makes_one and {"recipe", "snapshot"} <= spec.settings.keys():
        # It runs: what hinders the registry now is made up for when it has ended.
        with contextlib.suppress(QAError):
            bench.decided(
                lambda reg: versions.begin(
                    reg,
                    base_model=spec.settings["recipe"]["model"]["name"],
                    dataset_version=spec.settings["snapshot"],
                    training_config=spec.settings["recipe"],
                    created_by=spec.requested_by,
                    at_least=spec.settings.get("bump"),
                    train_job=job_id,
                )
            )
            state = bench.following.dir(job_id).state()
            if state is not None and not state.active:  # over before its version was begun
                settle(bench, job_id)
    return job_id


def report_dir() -> Path:
    """Where decision pages are written."""
    path = locations.state_dir() / "reports"
    path.mkdir(parents=True, exist_ok=True)
    return path
