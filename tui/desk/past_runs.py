"""Trainings that have ended, read from their mirror for a plan: what they took, what their base knew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.jobdir import SUCCEEDED, JobDir

if TYPE_CHECKING:
    from core.training.cost import PastRun
    from core.training.lessons import Lessons
    from tui.desk.workbench import Workbench


def history(bench: Workbench) -> list[PastRun]:
    """Finished trainings whose mirror is here, newest first."""
    return [run for job in _finished(bench) if (run := past_run(job)) is not None]


def past_run(job: JobDir) -> PastRun | None:
    """None where the mirror has no summary, or one that tells nothing."""
    from core.training import cost

    try:
        summary = json.loads((job.artifacts / "summary.json").read_text("utf-8"))
        spec, state = job.spec(), job.state()
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(summary, dict):
        return None
    lasted = None
    if state and state.started_at is not None and state.ended_at is not None:
        lasted = state.ended_at - state.started_at
    return cost.past_run(job.id, summary, spec.settings, host=spec.host, lasted_s=lasted)


def asked_before(
    bench: Workbench,
    taught: Lessons,
    recipe: str,
    overrides: Sequence[str],
    snapshot: str,
    *,
    profile: str | None = None,
) -> Lessons:
    """With the share of unknown facts by the newest census of this base: of these pairs, else of others.

    A census of other pairs is said to be one: it is a guess, and a better one than none.
    """
    from core.training.recipe import load_recipe

    base = load_recipe(recipe, overrides, profile=profile).model.name
    other: Lessons | None = None
    for job in _finished(bench):
        share, settings = _census(job), _settings(job)
        if share is None or _base(settings) != base:
            continue
        of = str(settings.get("snapshot") or "")
        if of == snapshot:
            return replace(taught, unknown_share=share, unknown_from=f"census of {job.id}")
        told = f"census of {job.id}, of the pairs of {of or 'a file'}"
        other = other or replace(taught, unknown_share=share, unknown_from=told)
    return other or taught


def _finished(bench: Workbench) -> list[JobDir]:
    rows = [r for r in bench.jobs() if r.routine == "train" and r.status == SUCCEEDED]
    return [bench.following.dir(row.id) for row in rows]


def _settings(job: JobDir) -> Mapping[str, Any]:
    try:
        return job.spec().settings
    except (OSError, ValueError, TypeError):
        return {}


def _base(settings: Mapping[str, Any]) -> object:
    try:
        return settings["recipe"]["model"]["name"]
    except (KeyError, TypeError):
        return None


def _census(job: JobDir) -> float | None:
    """The share of unknown facts that a run's census found; None for a run without."""
    try:
        found = json.loads((job.artifacts / "summary.json").read_text("utf-8"))["census"]
        share = found["unknown_share"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sound = isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    return float(share) if sound else None
