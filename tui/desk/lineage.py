"""What an adapter rests on: the trainings below it, when one was built on another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from core.errors import NotFound, QAError

if TYPE_CHECKING:
    from core.jobdir import JobSpec
    from tui.desk.launching import Placed
    from tui.desk.workbench import Workbench

LONGEST = 100  # trainings; a settings file that names itself must end


@dataclass(frozen=True, slots=True)
class Lineage:
    """snapshots: that the trainings were on, the newest training's first.  rewordings: the most that
    one of them trained beside each question (train.rewordings).
    """

    snapshots: tuple[str, ...]
    rewordings: int


def lineage(bench: Workbench, train_job: str | None) -> Lineage:
    """Of the adapter that a training made. Where a job is forgotten the chain ends with it."""
    specs = list(_chain(bench, train_job))
    snapshots = [str(s.settings["snapshot"]) for s in specs if s.settings.get("snapshot")]
    return Lineage(
        tuple(dict.fromkeys(snapshots)), max((_rewordings(s.settings) for s in specs), default=0)
    )


def place(bench: Workbench, snapshots: Iterable[str]) -> list[Placed]:
    """Their pairs on the host; those that this registry does not have are left out."""
    from tui.desk.snapshot_files import place_snapshot

    placed = []
    for name in snapshots:
        with contextlib.suppress(NotFound):
            placed.append(replace(place_snapshot(bench, name), name=f"trained {name}"))
    return placed


def _chain(bench: Workbench, job_id: str | None) -> Iterator[JobSpec]:
    from tui.desk.specs import spec_of

    seen: set[str] = set()
    while job_id and job_id not in seen and len(seen) < LONGEST:
        seen.add(job_id)
        try:
            spec = spec_of(bench, job_id)
        except QAError:
            return
        yield spec
        job_id = _built_on(spec.settings)


def _built_on(settings: dict[str, Any]) -> str | None:
    """The job whose adapter this one began from: "…/jobs/<id>/artifacts/adapter"."""
    adapter = settings.get("init_adapter")
    parts = PurePosixPath(adapter).parts if isinstance(adapter, str) else ()
    return parts[-3] if parts[-2:] == ("artifacts", "adapter") and len(parts) > 3 else None


def _rewordings(settings: dict[str, Any]) -> int:
    try:
        return int(settings["recipe"]["train"]["rewordings"])
    except (KeyError, TypeError, ValueError):
        return 0
