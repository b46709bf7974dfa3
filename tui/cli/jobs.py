"""`qa jobs`: what runs and ran; stop, resume, run again, remove."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import QAError, RouteError, UsageError
from tui.cli import logs
from tui.cli.named import mirrored, named, opened
from tui.cli.show import as_json, as_json_line, out, problem, say, table

if TYPE_CHECKING:
    from tui.desk.api import JobRow
    from tui.desk.workbench import Workbench

app = typer.Typer(help="Jobs on a host.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
HostName = Annotated[str, typer.Option("--host", envvar="QA_HOST", help="host the job is on")]
Job = Annotated[str, typer.Argument(help="job id, its beginning or its last part, where unique")]
Queue = Annotated[bool, typer.Option("--queue", help="wait for a busy accelerator")]


def add_to(root: typer.Typer) -> None:
    root.command("logs", short_help="Print the log of a job.")(logs.logs)


@app.command("list", short_help="All jobs of the host.")
def list_jobs(host: HostName = "sandbox", offline: bool = False, json: Json = False) -> int:
    """All jobs of the host; --offline: as they were last known here. Newest first.

    Where the host cannot be asked: what was known, with its age, and exit code 3.
    """
    from tui.desk import job_list

    code = 0
    with opened(host) as bench:
        try:
            rows = bench.following.rows() if offline else job_list.asked(bench)
        except RouteError as e:
            problem(e)
            say("this is what was known before:")
            rows, code = bench.following.rows(), e.exit_code
    if json:
        as_json(rows)
        return code
    head = ["job", "status", "submitted, UTC", "run time", "known", "exit", "note"]
    table(head, [_cells(row) for row in rows])
    return code


@app.command(short_help="What is known of a job, as JSON.")
def show(job_id: Job, host: HostName = "sandbox", json: Json = False) -> None:
    """A job's specification, state and seams as mirrored here, and what a failure usually means."""
    from remote.segments import seams
    from tui.desk.work_desk import FAILED, why_failed

    with opened(host) as bench:
        job = mirrored(bench, job_id)
        row = bench.following.row(job)
        as_json(
            {
                "spec": job.spec(),
                "state": job.state(),
                "age_s": row.age_s,
                "elapsed_s": row.elapsed_s,
                "mirror": str(job.path),
                "seams": seams(job.path),
                "explanation": why_failed(job) if row.status in FAILED else None,
            }
        )


@app.command(short_help="Tell what jobs do until they have ended.")
def watch(
    jobs: Annotated[list[str] | None, typer.Argument(help="default: all active ones")] = None,
    host: HostName = "sandbox",
    json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> int:
    """Print changes of state and progress until the jobs have ended.

    Exit code 4 if one of the named jobs did not succeed.
    """
    from tui.desk.job_list import asked
    from tui.desk.watching import watch

    last: dict[str, str] = {}
    with opened(host) as bench:
        rows = asked(bench) if jobs else []
        ids = [_find(rows, name) for name in jobs or []]
        for record in watch(bench, ids):
            if record["kind"] == "state":
                last[record["job"]] = record["status"]
            if json:
                as_json_line(record)
            else:
                out(_words(record))
    return 4 if any(last.get(job_id) != "succeeded" for job_id in ids) else 0


@app.command(short_help="Ask a job to stop, after a checkpoint.")
def stop(
    job_id: Job,
    host: HostName = "sandbox",
    kill: Annotated[bool, typer.Option("--kill", help="at once, without a checkpoint")] = False,
    wait: Annotated[bool, typer.Option(help="wait for the end")] = True,
    json: Json = False,
) -> None:
    """Ask a job to stop: a checkpoint first, then an end; killed only after its grace."""
    with opened(host) as bench:
        job_id = named(bench, job_id)
        bench.line.launcher().stop(job_id, kill=kill)
        state = bench.following.wait(job_id, say) if wait else bench.line.launcher().state(job_id)
        if json:
            as_json({"job": job_id, "state": state})
        else:
            out(f"{job_id}: {state.status}")


@app.command(short_help="Go on with an ended job, as a new one.")
def resume(
    job_id: Job, host: HostName = "sandbox", queue: Queue = False, json: Json = False
) -> None:
    """Go on with an ended job as a new one: a training from its last whole checkpoint."""
    from tui.desk import again

    with opened(host) as bench:
        old = named(bench, job_id)
        _started(bench, again.resume(bench, old, queue=queue), json)


@app.command(short_help="Start a job anew from the beginning.")
def rerun(
    job_id: Job, host: HostName = "sandbox", queue: Queue = False, json: Json = False
) -> None:
    """Start a job anew from the beginning: same settings and inputs, this desk's code."""
    from tui.desk import again

    with opened(host) as bench:
        old = named(bench, job_id)
        _started(bench, again.rerun(bench, old, queue=queue), json)


@app.command(short_help="What a job left; --fetch copies one here.")
def artifacts(
    job_id: Job,
    host: HostName = "sandbox",
    fetch: Annotated[str, typer.Option(help="a file or folder of the list")] = "",
    json: Json = False,
) -> None:
    """What a job left on the host, and what of it is here. --fetch NAME copies one here."""
    with opened(host) as bench:
        job_id = named(bench, job_id)
        if fetch:
            path = bench.work.fetch(job_id, fetch)
            if json:
                as_json({"job": job_id, "path": str(path)})
            else:
                out(path)
            return
        found = bench.work.artifacts(job_id)
    if json:
        as_json(found)
    else:
        table(["", "size", "name"], [["here" if a.here else "", a.size, a.name] for a in found])


@app.command(short_help="Remove an ended job from the host.")
def rm(
    job_id: Job,
    host: HostName = "sandbox",
    confirm: Annotated[str, typer.Option(help="the job's full id, once more")] = "",
    here: Annotated[bool, typer.Option("--here", help="the mirror on this machine too")] = False,
    json: Json = False,
) -> None:
    """Remove an ended job's directory from the host: log, checkpoints, artifacts."""
    from tui.desk.removing import remove

    with opened(host) as bench:
        job_id = named(bench, job_id)
        if confirm != job_id:
            more = " and its mirror here" if here else "; its mirror here stays"
            raise UsageError(
                f"this removes {job_id} with all its files from {host}{more}",
                why="--confirm does not name it" if confirm else "",
                try_next=f"qa jobs rm {job_id} --confirm {job_id}{' --here' if here else ''}",
            )
        done = remove(bench, job_id, here=here)
        if json:
            as_json({"job": job_id, "done": done})
        else:
            out("\n".join(done))


# -- helpers ----------------------------------------------------------------------------------------


def _find(rows: list[JobRow], name: str) -> str:
    from tui.desk.job_list import find

    return find(rows, name)


def _started(bench: Workbench, job_id: str, json: bool) -> None:
    state = None
    with contextlib.suppress(QAError):  # it is started; how it stands is only told along
        state = bench.line.launcher().state(job_id)
    if json:
        as_json({"job": job_id, "state": state})
        return
    from tui.desk.following import waiting_words

    words = waiting_words(state) if state else ""
    out(f"{job_id}: {state.status if state else 'started'}{f'  {words}' if words else ''}")


def _cells(row: JobRow) -> list[Any]:
    from tui.desk.telling import clock

    status = f"{row.status} ({row.position})" if row.position else row.status
    known = "–" if row.age_s is None else "now" if row.age_s < 5 else f"{clock(row.age_s)} ago"
    elapsed = "–" if row.elapsed_s is None else clock(row.elapsed_s)
    words = row.note if row.exit_code in (0, None) and not row.reason else row.reason or row.note
    return [row.id, status, _at(row.submitted_at), elapsed, known, row.exit_code, words]


def _words(record: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(record["t"]).strftime("%H:%M:%S")
    if record["kind"] != "state":
        return f"{at}  {record['job'] or '–'}  {record['text']}"
    place = f", number {record['position']} in line" if record["position"] else ""
    reason = f" ({record['reason']})" if record["reason"] else ""
    return f"{at}  {record['job']}  {record['status']}{place}{reason}"


def _at(t: float | None) -> str | None:
    return None if t is None else datetime.fromtimestamp(t, UTC).strftime("%m-%d %H:%M:%S")
