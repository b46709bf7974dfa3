"""`qa jobs train` and `qa jobs evaluate`: what the keys s and e of the app start, as commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.accepting import Accept, WithReasons, reasons
from tui.cli.jobs import HostName, Json, Queue
from tui.cli.named import opened
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from tui.desk.sweeping import Result

Wait = Annotated[bool, typer.Option("--wait", help="until it has ended; exit 4 if it failed")]


def add_to(jobs: typer.Typer) -> None:
    jobs.command("train", cls=WithReasons)(train)
    jobs.command("evaluate")(evaluate)


def train(
    recipe: Annotated[str, typer.Argument(help="a recipe of configs/recipes")],
    snapshot: Annotated[str | None, typer.Option(help="default: the newest")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="one epoch over a few rows")] = False,
    bump: Annotated[str | None, typer.Option(help="raise at least: minor or major")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="e.g. train.epochs=5")] = None,
    sweep: Annotated[
        str | None,
        typer.Option(help="KEY=A,B,C: one training for each value, one after another"),
    ] = None,
    init_from: Annotated[
        str | None, typer.Option(help="a training job whose adapter this one builds on")
    ] = None,
    accept: Accept = None,
    queue: Queue = False,
    wait: Wait = False,
    host: HostName = "sandbox",
    json: Json = False,
) -> int:
    """Start a training on the host; a full one makes a version. Prints the job's id.

    An error of the plan (qa recipe check) stops it, unless it is taken with a reason. With --sweep
    and --wait a table of what came of each value.
    """
    from tui.desk.jobs import start_training

    taken = reasons(accept or [])
    given: dict[str, Any] = {
        "smoke": smoke, "bump": bump, "snapshot_id": snapshot, "overrides": set_ or [],
        "init_from": init_from, "accept": taken,
    }  # fmt: skip
    if sweep is not None:
        return _swept(host, recipe, sweep, given, wait=wait, json=json)
    with opened(host) as bench:
        bench.connect()
        job_id = start_training(bench, recipe, queue=queue, **given)
        _told(job_id, json)
        if wait:
            bench.following.wait_succeeded(job_id, say)
    return 0


def _swept(
    host: str, recipe: str, sweep: str, given: dict[str, Any], *, wait: bool, json: bool
) -> int:
    """0, or 4 if one of those waited for did not succeed. What was started is said, whatever follows."""
    from tui.desk import sweeping

    sweeping.settings_of(sweep)  # before anything is opened
    points: list[sweeping.Point] = []
    with opened(host) as bench:
        bench.connect()
        try:
            for point in sweeping.start(bench, recipe, sweep, **given):
                points.append(point)
                say(f"{point.job_id}  {point.setting}")
        finally:
            if points and not wait:
                as_json(points) if json else out("\n".join(p.job_id for p in points))
        if not wait:
            return 0
        found = sweeping.results(bench, points, say)
    if json:
        as_json(found)
    else:
        head = ["setting", "job", "status", "last loss", "recall", "fabricated"]
        table(head, [[r.setting, r.job_id, r.status, *_figures(r)] for r in found])
    return 0 if all(r.status == "succeeded" for r in found) else 4


def _figures(r: Result) -> list[str]:
    loss = "–" if r.loss is None else f"{r.loss:.3f}"
    return [loss, *("–" if x is None else f"{x:.0%}" for x in (r.recall, r.fabricated))]


def evaluate(
    version: Annotated[str, typer.Argument(help="a version of qa versions list")],
    mcp_latency: Annotated[
        Path | None,
        typer.Option(help="what the live tools took: .jsonl or .csv; see configs/evaluation.yaml"),
    ] = None,
    wait: Wait = False,
    host: HostName = "sandbox",
    json: Json = False,
) -> None:
    """Start the evaluation of a version on the host. Prints the job's id."""
    with opened(host) as bench:
        bench.connect()
        job_id = bench.start_evaluation(version, mcp_latency)
        _told(job_id, json)
        if wait:
            bench.following.wait_succeeded(job_id, say)


def _told(job_id: str, json: bool) -> None:
    if json:
        as_json({"job_id": job_id})
    else:
        out(job_id)
