"""Plans and earlier runs as the Train screen shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import QAError
from core.jobdir import SUCCEEDED, JobDir, read_events
from tui.desk.api_plans import (
    Behind,
    Ghost,
    Held,
    LintRow,
    Missed,
    PlanView,
    PreflightView,
    Price,
    RecipeRow,
    WayOut,
    Wish,
)

if TYPE_CHECKING:
    from core.training.cost import Cost
    from tui.desk.planning import Plan
    from tui.desk.workbench import Workbench
    from tui.series import Series


class WorkbenchPlans:
    """Implements `tui.desk.api_plans.PlansDesk`. Thread-safe."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def recipes(self) -> Sequence[RecipeRow]:
        return [_recipe_row(name) for name in self._bench.recipes()]

    def plan(self, wish: Wish) -> PlanView:
        """Of the newest snapshot on this host. Raises as `planning.plan` does."""
        from tui.desk import planning

        made = planning.plan(
            self._bench, wish.recipe, None, wish.overrides, accept=wish.accept, smoke=wish.smoke
        )
        return view(made, wish, planning.busy_with(self._bench))

    def preflight(self, wish: Wish) -> PreflightView:
        """Raises PairsError, SettingsError, UsageError: a tokenizer that cannot be trained with."""
        from core.training.recipe import load_recipe
        from tui.desk.preflighting import asked
        from tui.desk.snapshot_files import latest_snapshot, snapshot_file

        recipe = load_recipe(wish.recipe, wish.overrides)
        return asked(snapshot_file(self._bench, latest_snapshot(self._bench)), recipe.resolved())

    def behind(self, job_id: str) -> Behind:
        settings = _settings(self._bench.following.dir(job_id))
        predicted = settings.get("predicted")
        said = predicted if isinstance(predicted, Mapping) else {}
        peak = _number(said, "peak_bytes")
        return Behind(
            job_id,
            None if peak is None else int(peak),
            _number(said, "low_s"),
            _number(said, "high_s"),
            self._ghost(job_id, settings),
        )

    def _ghost(self, job_id: str, settings: Mapping[str, Any]) -> Ghost | None:
        """Of the finished runs of the same recipe before this one, that with the lowest last loss."""
        recipe, following = settings.get("recipe_name"), self._bench.following
        if not recipe or settings.get("smoke"):
            return None
        rows = following.rows()
        mine = next((r.submitted_at for r in rows if r.id == job_id), None)
        found: list[tuple[float, str]] = []
        for row in rows:
            if row.routine != "train" or row.status != SUCCEEDED or row.id == job_id:
                continue
            if mine is not None and (row.submitted_at or 0) > mine:
                continue
            job = following.dir(row.id)
            other = _settings(job)
            last = _number(_summary(job), "loss_last")
            if other.get("recipe_name") == recipe and not other.get("smoke") and last is not None:
                found.append((last, row.id))
        if not found:
            return None
        best = min(found)[1]
        return Ghost(self._label(best), losses(following.dir(best)))

    def _label(self, job_id: str) -> str:
        from core.registry import records

        made = records.list(self._bench.registry(), limit=10_000)
        return next((v.model_version for v in made if v.train_job == job_id), job_id)


def view(made: Plan, wish: Wish, busy: str = "") -> PlanView:
    """A plan as plain values."""
    from core.training.cost import typical
    from core.training.promises import unkept

    taught = made.lessons
    return PlanView(
        wish,
        made.recipe.profile,
        made.base,
        made.parameters,
        made.trainable,
        made.host,
        made.launcher,
        made.data,
        taught.pairs if taught else 0,
        taught.facts if taught else 0,
        taught.per_fact if taught else 0.0,
        taught.deferral_share if taught else 0.0,
        tuple(made.fit.peak.parts.items()),
        made.fit.memory.free,
        made.fit.verdict,
        tuple(WayOut(o.text, o.settings, o.peak, o.verdict) for o in made.fit.options),
        made.fit.notes,
        _price(made.cost),
        tuple(
            LintRow(
                f.rule, f.severity, f.message, f.reason, f.source, f.fix, f.settings, f.accepted
            )
            for f in made.findings
        ),
        tuple(Missed(m.machine, m.figure, m.error, m.runs) for m in typical(made.misses)),
        tuple(unkept(made.recipe)),
        busy,
        command(wish, made.recipe.train.processes),
        tuple(Held(m.job_id, m.figure, m.predicted, m.measured) for m in made.misses),
    )


def command(wish: Wish, processes: int = 1) -> str:
    """The job in words of the command line."""
    smoke = " --smoke" if wish.smoke else ""
    sets = "".join(f" --set {s}" for s in wish.overrides)
    many = f", {processes} processes" if processes > 1 else ""
    return f"qa-train --recipe {wish.recipe}{sets}{smoke}{many}"


def losses(job: JobDir) -> Series:
    """The loss of a job by step, from its events."""
    from tui.feed import JobFeed

    feed = JobFeed(job)
    events, _ = read_events(job.events, 0)
    feed.apply(events)
    return feed.loss


def _price(cost: Cost | None) -> Price | None:
    if cost is None:
        return None
    return Price(
        cost.low_s,
        cost.high_s,
        cost.gpu_hours,
        cost.disk_bytes,
        cost.disk_peak_bytes,
        cost.steps,
        cost.tokens,
        cost.basis,
        cost.assumed,
    )


def _recipe_row(name: str) -> RecipeRow:
    from core.training.recipe import load_recipe, profiles

    try:
        found = load_recipe(name)
        made = tuple(profiles(name))
    except QAError as e:
        return RecipeRow(name, "", problem=e.what)
    return RecipeRow(name, found.model.name, made, found.profile, found.about)


def _settings(job: JobDir) -> dict[str, Any]:
    try:
        return job.spec().settings
    except (OSError, ValueError, TypeError):
        return {}


def _summary(job: JobDir) -> dict[str, Any]:
    path: Path = job.artifacts / "summary.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(values: Mapping[str, Any], name: str) -> float | None:
    from tui.present.words import number

    return number(values.get(name))
