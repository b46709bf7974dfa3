"""One recipe at several values of one setting, each a training of its own: which value is best?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import QAError, UsageError
from tui import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.desk.workbench import Workbench

MOST = 9


@dataclass(frozen=True, slots=True)
class Point:
    """setting: as for --set."""

    setting: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a point. loss: of the last step; recall, fabricated: shares of the last probe; None
    where there is none."""

    setting: str
    job_id: str
    status: str
    loss: float | None = None
    recall: float | None = None
    fabricated: float | None = None


def settings_of(sweep: str) -> list[str]:
    """ "train.lr=1e-5,2e-5" → one for --set each. Raises UsageError."""
    key, _, values = sweep.partition("=")
    found = [v.strip() for v in values.split(",")]
    example = "for example --sweep train.lr=2e-5,6e-5,2e-4"
    if not key.strip() or len(found) < 2 or not all(found):
        raise UsageError(f"--sweep {sweep!r}: not a key and two values or more", try_next=example)
    if len(set(found)) < len(found):
        raise UsageError(f"--sweep {sweep!r}: a value stands there twice", try_next=example)
    if len(found) > MOST:
        raise UsageError(
            f"--sweep {key.strip()}: {len(found)} values, {MOST} at most",
            why="each is a whole training",
            try_next="fewer values, far apart; then again around the best",
        )
    return [f"{key.strip()}={value}" for value in found]


def start(
    bench: Workbench,
    recipe: str,
    sweep: str,
    *,
    snapshot_id: str | None = None,
    overrides: Sequence[str] = (),
    accept: Mapping[str, str] | None = None,
    init_from: str | None = None,
    smoke: bool = False,
    bump: str | None = None,
) -> Iterator[Point]:
    """Start one training for each value, on the same snapshot; they wait in line for one another.

    Every plan is looked at before the first is started. Raises what `start_training` raises; those
    given out before are started.
    """
    from tui.desk import planning
    from tui.desk.jobs import start_training
    from tui.desk.snapshot_files import latest_snapshot

    settings = settings_of(sweep)
    snapshot_id = snapshot_id or latest_snapshot(bench)
    memory = planning.memory_now(bench)
    for setting in settings:
        made = planning.plan(
            bench, recipe, snapshot_id, [*overrides, setting], accept=accept, init_from=init_from,
            smoke=smoke, memory=memory,
        )  # fmt: skip
        planning.refuse_unless_accepted(made)
    for setting in settings:
        job_id = start_training(
            bench, recipe, smoke=smoke, queue=True, bump=bump, snapshot_id=snapshot_id,
            init_from=init_from, overrides=[*overrides, setting], accept=accept, mark=setting,
        )  # fmt: skip
        yield Point(setting, job_id)


def results(bench: Workbench, points: Sequence[Point], say: Callable[[str], None]) -> list[Result]:
    """Wait until all have ended; what came of each, in their order. One that fails ends no other."""
    from tui.desk.outcomes import fetch_result, settle

    found = []
    for point in points:
        status = bench.following.wait(point.job_id, say).status
        if status != "succeeded":
            found.append(Result(point.setting, point.job_id, status))
            continue
        try:
            settle(bench, point.job_id)
            job = fetch_result(bench, point.job_id, ["summary.json"])
            summary = json.loads((job.artifacts / "summary.json").read_text("utf-8"))
        except (QAError, OSError, ValueError) as e:
            say(f"{point.job_id}: its figures could not be read: {clean.line(e, 200)}")
            summary = None
        found.append(result_of(point, status, summary))
    return found


def result_of(point: Point, status: str, summary: object) -> Result:
    """summary: of the host, so that anything may stand there."""
    from tui.present.words import number

    said = summary if isinstance(summary, Mapping) else {}
    curves = said.get("curves")
    last = curves[-1] if isinstance(curves, list) and curves else {}
    last = last if isinstance(last, Mapping) else {}
    figures = (said.get("loss_last"), last.get("recall"), last.get("fabricated"))
    return Result(point.setting, point.job_id, status, *map(number, figures))
