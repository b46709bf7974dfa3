"""`qa sync`: files to a host and from it, over the connection that is there."""

from __future__ import annotations

import sys
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui import clean
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from remote.sync import Plan, Progress, Transfer

app = typer.Typer(help="Files to a host and from it.", no_args_is_help=True)
HostName = Annotated[str, typer.Option("--host", envvar="QA_HOST", help="the host")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would move")]
Rsync = Annotated[bool | None, typer.Option("--rsync/--no-rsync", help="default: where it pays")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command()
def push(
    files: Annotated[list[Path], typer.Argument(help="files and folders; links are left out")],
    to: Annotated[str, typer.Option("--to", help="folder below the host's work folder")] = "data",
    host: HostName = "sandbox",
    dry_run: DryRun = False,
    rsync: Rsync = None,
    json: Json = False,
) -> None:
    """Copy files and folders to the host. What is there with the same content stays.

    A cut transfer goes on where it stopped when the command is repeated.
    """
    from remote import sync

    wanted = sync.tree(files, to)
    with _route(host) as route:
        if dry_run:
            _show_plan(sync.plan_push(route, wanted, to), json)
            return
        moved = sync.push(route, wanted, _progress(), rsync=rsync)
    if json:
        as_json(moved)
    else:
        out(
            f"{moved.files} files ({size(moved.bytes)}) on {host}, {moved.skipped} were there; "
            f"{size(moved.wire)} travelled"
        )


@app.command()
def pull(
    remote: Annotated[list[str], typer.Argument(help="files or folders below the work folder")],
    into: Annotated[Path, typer.Option("--into", help="folder here")],
    host: HostName = "sandbox",
    dry_run: DryRun = False,
    rsync: Rsync = None,
    json: Json = False,
) -> None:
    """Copy files and folders from the host. Links of the host are not followed."""
    from remote import sync

    paths: list[Path] = []
    with _route(host) as route:
        plans: list[Any] = []
        for name in remote:
            folder, names, place = _wanted(route, name, into)
            if dry_run:
                plans += sync.plan_pull(route, folder, place, names=names).changes
            else:
                paths += sync.pull(route, folder, place, _progress(), names=names, rsync=rsync)
    if dry_run:
        _show_plan(sync.Plan(tuple(plans)), json)
    elif json:
        as_json([str(p) for p in paths])
    else:
        for path in paths:
            out(path)


def _wanted(route: Any, name: str, into: Path) -> tuple[str, list[str] | None, Path]:
    """(folder on the host, names in it, folder here). Raises NotFound."""
    from core.errors import NotFound

    path = PurePosixPath(name)
    there = route.helper().call("stat", path=name)
    if there is None:
        raise NotFound(f"no {name!r} on the host", try_next="paths begin at its work folder")
    if there["kind"] == "dir":
        return name, None, into / path.name if path.name not in ("", "..") else into
    return str(path.parent), [path.name], into


def _show_plan(plan: Plan, json: bool) -> None:
    if json:
        as_json({"changes": plan.changes, "bytes": plan.bytes})
        return
    rows = [[c.kind, size(c.size) if c.kind != "extra" else None, c.name] for c in plan.changes]
    table(["", "size", "name"], rows)
    say(
        f"{len(plan.of('new', 'changed'))} files, at most {size(plan.bytes)}, would move; "
        f"{len(plan.of('same'))} are the same; {len(plan.of('extra'))} are only there and stay"
    )


def _route(host: str) -> Any:
    from contextlib import contextmanager

    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import Line, check_host_name

    @contextmanager
    def opened() -> Any:
        check_host_name(host)
        line = Line(host, terminal_prompter())
        try:
            yield line.route()
        finally:
            line.close()

    return opened()


def _progress() -> Progress:
    """A line that is drawn over on a terminal; now and then a line elsewhere."""
    from remote.sync import rated

    tty = sys.stderr.isatty()
    last = [0.0 if tty else time.monotonic()]

    def show(step: Transfer) -> None:
        ended = step.done >= step.total
        if time.monotonic() - last[0] < (0.1 if tty else 5.0) and not (ended and tty):
            return
        last[0] = time.monotonic()
        line = clean.line(transfer_line(step))
        if tty:
            print(f"\r\x1b[2K{line}", end="\n" if ended else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    return rated(show)


def transfer_line(step: Transfer) -> str:
    """`12.5 of 300.0 MB   4 %   98.1 MB/s   0:03 left   name`"""
    share = 100 * step.done // step.total if step.total else 100
    left = "" if step.eta is None else f"{int(step.eta) // 60}:{int(step.eta) % 60:02} left"
    parts = [f"{size(step.done)} of {size(step.total)}", f"{share} %", f"{size(step.rate)}/s"]
    return "   ".join([*parts, *(p for p in (left, step.name) if p)])


def size(n: float) -> str:
    """Bytes for a person: 1 kB is 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    raise AssertionError
