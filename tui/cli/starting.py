"""`qa jobs train` and `qa jobs evaluate`: what the keys s and e of the app start, as commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.cli.accepting import Accept, WithReasons, reasons
from tui.cli.jobs import HostName, Json, Queue
from tui.cli.named import opened
from tui.cli.show import as_json, out, say

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
    init_from: Annotated[
        str | None, typer.Option(help="a training job whose adapter this one builds on")
    ] = None,
    accept: Accept = None,
    queue: Queue = False,
    wait: Wait = False,
    host: HostName = "sandbox",
    json: Json = False,
) -> None:
    """Start a training on the host; a full one makes a version. Prints the job's id.

    An error of the plan (qa recipe check) stops it, unless it is taken with a reason.
    """
    from tui.desk.jobs import start_training

    taken = reasons(accept or [])
    with opened(host) as bench:
        bench.connect()
        job_id = start_training(
            bench, recipe, smoke=smoke, queue=queue, bump=bump, snapshot_id=snapshot,
            overrides=set_ or [], init_from=init_from, accept=taken,
        )  # fmt: skip
        _told(job_id, json)
        if wait:
            bench.following.wait_succeeded(job_id, say)


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
