"""What is asked of a training run, by a job directory or on the command line. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.jobdir import JobDir
from core.training import recipe as recipes
from core.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Request:
    """What to train, and where the parts are put.

    out: receives adapter/ and summary.json.  checkpoints: a folder for those of this run alone;
    removed when the run succeeds, unless the stop rule chose among them.  init_adapter: build on
    this adapter; previous_data: the pairs it was trained on; earlier_data: those, and what the adapters
    under it were trained on.  resume: from the newest whole
    checkpoint, if there is one.  resume_from: the checkpoints of an earlier, ended run of the same
    work; its newest whole one is where to go on, unless this run has one of its own by now.
    probe: files of golden questions to probe with; () = those of configs/golden.yaml, if there are
    any.  sources: rows of the source registry.  census_only: ask what the base knows, train nothing.
    """

    recipe: Recipe
    data: Path
    out: Path
    events: Path
    checkpoints: Path
    base_model: Path | None = None
    init_adapter: Path | None = None
    smoke: bool = False
    resume: bool = False
    resume_from: Path | None = None
    previous_data: Path | None = None
    earlier_data: tuple[Path, ...] = ()
    probe: tuple[Path, ...] = ()
    sources: Path | None = None
    census_only: bool = False


def as_job(folder: Path) -> Request:
    """The request in a job directory's spec.json."""
    job = JobDir(folder.resolve())
    return of_settings(job.spec().settings, job)


def of_settings(s: Mapping[str, Any], job: JobDir) -> Request:
    """The request in a job's settings; `job` need not be there yet."""
    recipe = recipes.from_settings(s["recipe"])
    if s.get("seed") is not None:
        train_part = recipe.train.model_copy(update={"seed": int(s["seed"])})
        recipe = recipe.model_copy(update={"train": train_part})
    return Request(
        recipe=recipe,
        data=Path(s["data"]),
        out=job.artifacts,
        events=job.events,
        checkpoints=job.path / "checkpoints",
        base_model=_path(s, "base_model"),
        init_adapter=_path(s, "init_adapter"),
        smoke=bool(s.get("smoke")),
        resume_from=_path(s, "resume_from"),
        resume=True,  # a job that was preempted and is started again goes on where it stopped
        previous_data=_path(s, "previous_data"),
        earlier_data=tuple(map(Path, s.get("earlier_data") or ())),
        probe=tuple(map(Path, s.get("probe") or ())),
        sources=_path(s, "sources"),
        census_only=bool(s.get("census_only")),
    )


def _path(settings: Mapping[str, Any], name: str) -> Path | None:
    return Path(settings[name]) if settings.get(name) else None
