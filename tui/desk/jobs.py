"""Training and evaluation jobs: what they need on the host, and what is kept of them afterwards."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import NotFound, QAError
from core.jobdir import JobSpec
from tui.desk.launching import Placed
from tui.desk.outcomes import settle
from tui.desk.selecting import probe_rows

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench


def latest_snapshot(bench: Workbench) -> str:
    """Id of the newest frozen snapshot. Raises NotFound."""
    from core.registry import snapshots

    found = snapshots.list(bench.registry())
    if not found:
        raise NotFound(
            "no snapshot is frozen yet", try_next="run the item 'Verify data loader works'"
        )
    return found[0].dataset_version


def place_snapshot(bench: Workbench, snapshot_id: str) -> Placed:
    """The snapshot's pairs as JSONL on the host."""
    from core.registry import snapshots

    path = locations.state_dir() / "snapshots" / f"{snapshot_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    snapshots.write_jsonl(bench.registry(), snapshot_id, path)
    return bench.launching.place({"pairs": path})["pairs"]


def start_training(
    bench: Workbench,
    recipe: str,
    *,
    smoke: bool = False,
    queue: bool = False,
    bump: str | None = None,
    snapshot_id: str | None = None,
    init_from: str | None = None,
    overrides: list[str] | None = None,
) -> str:
    """Launch qa-train on the host. init_from: job id whose adapter the training continues from.

    queue: wait for a busy accelerator instead of raising AcceleratorBusy.  bump: at least this part
    of the version's number rises (minor, major).
    """
    from core.training.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    snapshot_id = snapshot_id or latest_snapshot(bench)
    pairs = place_snapshot(bench, snapshot_id)
    settings: dict[str, Any] = {
        "recipe": loaded.resolved(),
        "recipe_name": recipe,
        "data": pairs.path,
        "snapshot": snapshot_id,
        "base_model": None,
        "smoke": smoke,
        "init_adapter": bench.launching.job_path(init_from, "artifacts/adapter")
        if init_from
        else None,
        "seed": loaded.train.seed,
    }
    if bump is not None:
        settings["bump"] = bump
    note = f"{'first run, ' if smoke else ''}{recipe} on {snapshot_id}"
    spec = bench.launching.spec("train", settings, [asdict(pairs)], note)
    return submit(bench, spec, queue=queue)


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


def start_evaluation(bench: Workbench, model_version: str, *, previous: str | None = None) -> str:
    """Launch qa-eval for a registered version: base, retrieval, tuned (and the previous version)."""
    from core.evaluation.gates import load_gates
    from core.registry import sources, versions

    reg = bench.registry()
    version = versions.get(reg, model_version)
    inputs = {
        "golden": bench.launching.place({"golden": bench.golden})["golden"],
        "pairs": place_snapshot(bench, version.dataset_version),
        "probe": bench.launching.place_rows("probe", probe_rows(bench)),
        "sources": bench.launching.place_rows("sources", sources.rows(reg)),
    }
    reuse = _reusable(
        bench, model_version, version.base_model, inputs["golden"], inputs["probe"], previous
    )
    settings: dict[str, Any] = {
        **{name: placed.path for name, placed in inputs.items()},
        "systems": ["base", "retrieval", "tuned", *(["previous"] if previous else [])],
        "model_name": version.base_model,
        "base_model": None,
        "adapter": version.adapter_path,
        "previous_adapter": versions.get(reg, previous).adapter_path if previous else None,
        "version": model_version,
        "previous_version": previous,
        "gates": load_gates().model_dump(mode="json"),
        "max_new_tokens": 96,  # 8 % of the corpus' answers are longer than 64, and the marker stands last
        "batch_size": 32,
        "limit": None,
        "reuse": reuse,
    }
    return bench.launching.start(
        "evaluate", settings, list(inputs.values()), f"evaluate {model_version}"
    )


def _reusable(
    bench: Workbench, version: str, base: str, golden: Placed, probe: Placed, previous: str | None
) -> dict[str, str]:
    """Answers already on the host: the base model's to the same questions, and the previous version's."""
    found: dict[str, str] = {}
    for row in bench.following.rows():
        if row.routine != "evaluate" or row.status != "succeeded":
            continue
        spec = bench.following.dir(row.id).spec()
        hashes = {i["name"]: i["sha256"] for i in spec.inputs}
        if (hashes.get("golden"), hashes.get("probe")) != (golden.sha256, probe.sha256):
            continue
        if spec.settings.get("model_name") == base:
            found.setdefault(
                "base", bench.launching.job_path(row.id, "artifacts/answers/base.jsonl")
            )
        if previous and spec.settings.get("version") == previous:
            found.setdefault(
                "previous", bench.launching.job_path(row.id, "artifacts/answers/tuned.jsonl")
            )
    return found


def report_dir() -> Path:
    """Where decision pages are written."""
    path = locations.state_dir() / "reports"
    path.mkdir(parents=True, exist_ok=True)
    return path
