"""`qa jobs` and `qa logs`: what runs and ran, offline too."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from tui.cli.show import as_json, out, say, table

app = typer.Typer(help="Jobs on a host.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
HostName = Annotated[str, typer.Option("--host", help="host the job is on")]


def add_to(root: typer.Typer) -> None:
    root.command("logs")(logs)


@app.command("list")
def list_jobs(host: HostName = "sandbox", offline: bool = False, json: Json = False) -> None:
    """All jobs known here; asks the host first unless --offline."""
    from tui.desk.workbench import Workbench

    bench = Workbench(host)
    try:
        if not offline:
            bench.connect()
            time.sleep(0.3)  # the first frames of each mirror
        found = bench.jobs()
    finally:
        bench.close()
    if json:
        as_json(found)
        return
    rows = [[j.id, j.status, _at(j.started_at), j.exit_code, j.note] for j in found]
    table(["job", "status", "started (UTC)", "exit", "note"], rows)


@app.command()
def show(job_id: str, host: HostName = "sandbox") -> None:
    """A job's specification and state, as mirrored here."""
    from tui.desk.workbench import Workbench

    job = _mirrored(Workbench(host), job_id)
    as_json({"spec": job.spec(), "state": job.state(), "mirror": str(job.path)})


@app.command()
def stop(job_id: str, host: HostName = "sandbox") -> None:
    """Ask a job to stop: a checkpoint first, then an end; killed only after its grace."""
    from tui.desk.workbench import Workbench

    bench = Workbench(host)
    try:
        bench.connect()
        bench.stop_job(job_id)
        state = bench.following.wait(job_id, say)
        out(f"{job_id}: {state.status}")
    finally:
        bench.close()


def logs(job_id: str, host: HostName = "sandbox", follow: bool = False, since: int = 0) -> None:
    """Print a job's log from byte --since; --follow until the job ends."""
    from tui import clean
    from tui.desk.workbench import Workbench

    bench = Workbench(host)
    try:
        mirror = None
        if follow:
            bench.connect()
            mirror = bench.following.follow(job_id)
        path, offset, rest = bench.job_dir(job_id).output, since, b""
        while True:
            ended = mirror is None or mirror.done.wait(0.1)
            if not path.exists() and mirror is None:
                _mirrored(bench, job_id)
            if path.exists():
                with open(path, "rb") as f:
                    f.seek(offset)
                    data = f.read()
                offset += len(data)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    print(clean.line(line.decode("utf-8", "replace"), 100_000))
                sys.stdout.flush()
            if ended:
                if rest:
                    print(clean.line(rest.decode("utf-8", "replace"), 100_000))
                return
    finally:
        bench.close()


def _mirrored(bench: object, job_id: str):  # type: ignore[no-untyped-def]
    from core.errors import NotFound

    job = bench.job_dir(job_id)  # type: ignore[attr-defined]
    if not job.spec_path.exists():
        raise NotFound(f"no job {job_id!r} is mirrored here", try_next="qa jobs list")
    return job


def _at(t: float | None) -> str | None:
    return None if t is None else datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S")
