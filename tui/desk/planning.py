"""What a training would take and whether it can teach, before it is started: one plan, plain values.

`plan` looks; `refuse_unless_accepted` is the gate in front of a launch; `job_settings` is what the
launch stores of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import QAError
from core.jobdir import ACTIVE, QUEUED
from tui.desk.past_runs import asked_before as asked_before
from tui.desk.past_runs import history as history

if TYPE_CHECKING:
    from core.pairs import Pair
    from core.training.cost import Cost, Miss, PastRun
    from core.training.fit import Fit, Memory
    from core.training.lessons import Lessons
    from core.training.lint import Finding
    from core.training.recipe import Recipe
    from tui.desk.workbench import Workbench

READING_S = 6.0  # the host's first figures come within two


@dataclass(frozen=True, slots=True)
class Plan:
    """origins: where each value of the recipe comes from.  data: snapshot id or file, "" for none.
    lessons, cost: None without data.  parameters: of the base.  misses: of past predictions here.
    """

    recipe_name: str
    recipe: Recipe
    origins: Mapping[str, str]
    base: str
    parameters: int
    trainable: int
    host: str
    launcher: str
    data: str
    lessons: Lessons | None
    fit: Fit
    cost: Cost | None
    findings: tuple[Finding, ...]
    misses: tuple[Miss, ...] = ()
    smoke: bool = False

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Errors that nobody accepted."""
        return tuple(f for f in self.findings if f.stops)

    def as_json(self) -> dict[str, Any]:
        from core.training import lessons
        from core.training.cost import typical

        return {
            "recipe": self.recipe_name,
            "profile": self.recipe.profile,
            "base": self.base,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "host": self.host,
            "data": self.data,
            "lessons": lessons.as_json(self.lessons) if self.lessons else None,
            "fit": self.fit.as_json(),
            "cost": self.cost,
            "findings": self.findings,
            "past_errors": typical(self.misses),
            "accepted": dict(self.recipe.accept),
            "can_start": not self.blocking,
        }


def plan(
    bench: Workbench,
    recipe: str,
    snapshot: str | None = None,
    overrides: Sequence[str] = (),
    *,
    profile: str | None = None,
    accept: Mapping[str, str] | None = None,
    init_from: str | None = None,
    memory: Memory | None = None,
    smoke: bool = False,
    merge: bool = False,
    unknown_share: float | None = None,
) -> Plan:
    """Plan a training of a frozen snapshot (default: the newest) on the desk's host.

    memory: default as the host last said (not known while it has not).  init_from: the job whose
    adapter is to be trained on.  Raises SettingsError, NotFound, PairsError (nothing to learn from),
    UsageError (more accelerators than there are, an adapter of another base).
    """
    from core.training import lessons
    from tui.desk.snapshot_files import latest_snapshot

    snapshot = snapshot or latest_snapshot(bench)
    taught = lessons.of_pairs(_pairs(bench, snapshot), unknown_share=unknown_share)
    if unknown_share is None:
        taught = asked_before(bench, taught, recipe, overrides, snapshot, profile=profile)
    planned = partial(
        plan_of,
        recipe,
        overrides,
        profile=profile,
        accept=accept,
        taught=taught,
        data=snapshot,
        host=bench.host_name,
        launcher=_launcher(bench),
        memory=memory or last_memory(bench),
        past=history(bench),
        smoke=smoke,
        merge=merge,
    )
    made = planned()
    if init_from:
        _check_same_base(bench, init_from, made.recipe)
        if rows := _difference(bench, init_from, snapshot, made.recipe):
            return planned(trained=rows)
    return made


def plan_of(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    profile: str | None = None,
    accept: Mapping[str, str] | None = None,
    taught: Lessons | None = None,
    data: str = "",
    host: str = "",
    launcher: str = "direct",
    memory: Memory | None = None,
    past: Sequence[PastRun] = (),
    smoke: bool = False,
    merge: bool = False,
    trained: int | None = None,
) -> Plan:
    """The same from plain values; asks nobody. trained: rows of the data that are, if not all."""
    from core.training import architectures, cost, fit, lint, refusals
    from core.training.recipe import accepting, load_with_origins
    from core.training.recipe import smoke as one_epoch

    memory = memory or fit.Memory()
    loaded = load_with_origins(recipe, overrides, profile=profile)
    chosen = one_epoch(loaded.recipe) if smoke else loaded.recipe
    chosen = accepting(chosen, accept) if accept else chosen
    if taught and smoke:
        from core.training.data import SMOKE_ROWS

        taught = replace(taught, pairs=min(taught.pairs, SMOKE_ROWS))
    priced = replace(taught, pairs=min(taught.pairs, trained)) if taught and trained else taught
    refusals.check_devices(chosen, memory.devices, host or "this host")
    shape = architectures.of_recipe(chosen)
    fitted = fit.fit(
        chosen,
        shape,
        memory,
        longest=taught.longest_tokens if taught else None,
        steps=cost.steps_of(chosen, cost.rows_of(chosen, priced)) if priced else None,
    )
    price = priced and cost.predict(
        chosen, shape, priced, past, device=host, hardware=memory.name, kind=memory.kind
    )
    run = lint.Run(chosen, shape, taught, fitted, merge, smoke)
    return Plan(
        recipe_name=str(recipe),
        recipe=chosen,
        origins=loaded.origins,
        base=chosen.model.name,
        parameters=shape.parameters,
        trainable=shape.lora_parameters(chosen.lora),
        host=host,
        launcher=launcher,
        data=data,
        lessons=taught,
        fit=fitted,
        cost=price or None,
        findings=lint.lint(run),
        misses=cost.misses(past),
        smoke=smoke,
    )


def refuse_unless_accepted(plan: Plan) -> None:
    """The gate in front of a launch. Raises UsageError naming every error nobody accepted."""
    from core.training.lint import require_accepted

    require_accepted(plan.findings)


def job_settings(plan: Plan) -> dict[str, Any]:
    """What a launch stores: the recipe with what was accepted, the prediction, the findings."""
    from core.training import cost, lint

    return {
        "recipe": plan.recipe.resolved(),
        "predicted": cost.prediction(plan.fit.peak.total, plan.cost),
        "lint": lint.record(plan.findings),
    }


# -- what is known of the host and of the past ---------------------------------------------------


def last_memory(bench: Workbench) -> Memory:
    """As the host last said; instant."""
    from core.training.fit import Memory

    gauge, granted = bench.reading(), _slurm_devices(bench)
    if gauge is None or gauge.memory_total is None or granted is not None:
        return Memory(devices=granted)  # a login node's memory is not the job's
    free = gauge.memory_total - (gauge.memory_used or 0)
    if busy_with(bench):
        free = gauge.memory_total  # what holds it now will have gone
    gpus = sum(d.gauge.kind == "gpu" for d in bench.host.devices())
    return Memory(free, gauge.memory_total, gauge.kind, gauge.name, gpus or None)


def memory_now(bench: Workbench) -> Memory:
    """As last said, else asked for, which takes seconds. Raises RouteError."""
    found = last_memory(bench)
    if found.total is not None or found.devices is not None:
        return found
    asked = asked_memory(bench)
    return replace(asked, free=asked.total) if busy_with(bench) else asked


def busy_with(bench: Workbench) -> str:
    """Id of the job that holds the host's accelerator, as far as is known here; "" if none."""
    held = (r.id for r in bench.jobs() if r.status in ACTIVE and r.status != QUEUED)
    return next(held, "")


def asked_memory(bench: Workbench) -> Memory:
    """Ask the host now: the first GPU and how many there are, else the CPU's memory. Raises RouteError."""
    from core.training.fit import Memory
    from remote.readings import Readings

    route = bench.line.route()
    if _slurm_devices(bench) is not None:
        return Memory(devices=_slurm_devices(bench))
    readings = Readings(route).start()
    try:
        until = time.monotonic() + READING_S
        while not readings.all() and time.monotonic() < until:
            time.sleep(0.05)
        found = readings.all()
    finally:
        readings.stop()
    gpus = [r for r in found if r.kind == "gpu"]
    if not found:
        return Memory()
    first = found[0]
    free = None if first.memory_total is None else first.memory_total - (first.memory_used or 0)
    return Memory(free, first.memory_total, first.kind, first.name, len(gpus) if gpus else None)


def _pairs(bench: Workbench, snapshot: str) -> Iterator[Pair]:
    from core.registry import snapshots

    return snapshots.iter_pairs(bench.registry(), snapshot)


def _difference(bench: Workbench, init_from: str, snapshot: str, recipe: Recipe) -> int | None:
    """Rows that a training going on from that job is taught: new, changed and replayed ones.

    None: all of them, or what the host will refuse (nothing new, an earlier training without a snapshot).
    """
    from core.training import replay
    from tui.desk.specs import spec_of

    part = recipe.incremental
    earlier = spec_of(bench, init_from).settings.get("snapshot")
    if part.strategy == "retrain" or not earlier:
        return None
    before, after = (list(_pairs(bench, name)) for name in (str(earlier), snapshot))
    try:
        mixed = replay.mix(before, after, share=part.replay, seed=recipe.train.seed)
    except QAError:
        return None
    return len(mixed.ids)


def _launcher(bench: Workbench) -> str:
    try:
        return bench.line.host().launcher
    except QAError:
        return "direct"


def _slurm_devices(bench: Workbench) -> int | None:
    """GPUs a job gets through Slurm; None on a host without."""
    host = bench.line.host()
    if host.launcher != "slurm" or host.slurm is None:
        return None
    return max(1, host.slurm.gpu_count) * host.slurm.nodes


def _check_same_base(bench: Workbench, job_id: str, recipe: Recipe) -> None:
    from core.training.refusals import check_same_base
    from tui.desk.specs import spec_of

    earlier = spec_of(bench, job_id).settings.get("recipe")
    if isinstance(earlier, dict):
        check_same_base(earlier, recipe, f"job {job_id}")
