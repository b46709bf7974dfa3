"""`qa sandbox`: the embedded jump host and GPU host, kept running for plain ssh and for rehearsals."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from remote.sandbox.files import Layout
    from remote.sandbox.records import Record

app = typer.Typer(
    help="The embedded jump host and GPU host: start, stop, make things go wrong.",
    no_args_is_help=True,
)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command(short_help="Start one that stays.")
def up(
    second_factor: Annotated[
        bool, typer.Option("--second-factor", help="the jump host asks for password and passcode")
    ] = False,
    disk: Annotated[
        str, typer.Option(help="size of a small disk for the host, e.g. 64M; needs root")
    ] = "",
    clock_skew: Annotated[float, typer.Option(help="seconds the host's clock is ahead")] = 0.0,
    port: Annotated[int, typer.Option(help="of the jump host on loopback; 0: a free one")] = 0,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="stay in this terminal until Ctrl-C")
    ] = False,
    json: Json = False,
) -> None:
    """Start the sandbox so that it stays until `qa sandbox down`. Does nothing if it is up."""
    from remote.sandbox import detached
    from remote.sandbox.disk import parse_size
    from remote.sandbox.options import Options
    from remote.sandbox.servers_process import serve_argv

    layout = _layout()
    options = Options(port, second_factor, parse_size(disk) if disk else None, clock_skew)
    if foreground:
        from core import locations

        detached.refuse_a_second(layout)
        say(f"the sandbox runs here until Ctrl-C; log: {layout.log}")
        argv = serve_argv(layout.root, options, stay=True)
        os.chdir(locations.project_root())
        os.execv(argv[0], argv)
    record, new = detached.up(layout, options)
    say("the sandbox is up" if new else "the sandbox was up already")
    if second_factor:
        from remote.sandbox import PASSCODE

        say(f"password of the jump host: in {layout.password}; passcode: {PASSCODE}")
    if json:
        as_json({**record.as_dict(), "new": new})
    else:
        out(f"jump host on 127.0.0.1:{record.jump_port}, process {record.pid}, in {layout.root}")


@app.command(short_help="End the one that `up` started.")
def down(json: Json = False) -> None:
    """End the servers that `up` started, and the link to them. Jobs in the sandbox go on."""
    from remote.linking.living import disconnect
    from remote.sandbox import detached

    disconnect("sandbox")  # kept for the day, it would look for servers that are gone
    record = detached.down(_layout())
    if json:
        as_json({"ended": record.as_dict() if record else None})
    elif record:
        out(f"ended process {record.pid}")
    else:
        say("no sandbox was up")


@app.command(short_help="What runs, and the faults in force.")
def status(json: Json = False) -> None:
    """The servers that run over the sandbox's directory, and the faults in force."""
    from remote.sandbox import detached

    layout = _layout()
    found = detached.states(layout) if layout.run.is_dir() else []
    if json:
        up = any(s["stays"] for s in found)
        as_json({"up": up, "directory": str(layout.root), "servers": found})
        return
    if not found:
        say("no sandbox is running; qa sandbox up starts one")
        return
    rows = [[s["pid"], s["jump_port"], _kind(s), _faults(s["faults"])] for s in found]
    table(["process", "jump port", "started by", "faults"], rows)


@app.command("ssh-config", short_help="Print a configuration for plain ssh.")
def ssh_config() -> None:
    """Print an OpenSSH configuration: `qa sandbox ssh-config > f; ssh -F f gh200.sandbox`."""
    from remote.sandbox.ssh_config import ssh_config as text

    layout = _layout()
    print(text(layout, _running(layout)), end="")


@app.command(
    context_settings={"ignore_unknown_options": True},
    short_help="Make something go wrong; alone: list what can.",
)
def fault(
    name: Annotated[str, typer.Argument(help="which; none: list them")] = "",
    value: Annotated[str, typer.Argument(help="what some of them take")] = "",
    json: Json = False,
) -> None:
    """Make something go wrong in every running sandbox, or list what can. `all-clear` ends all of it."""
    from remote.sandbox.faults import FAULTS

    if not name:
        if json:
            as_json([asdict(f) for f in FAULTS])
        else:
            table(
                ["fault", "ends with", "what happens"],
                [[f"{f.name} {f.value}", f.ends_with, f.what] for f in FAULTS],
            )
        return
    from remote.sandbox import detached

    layout = _layout()
    answer = detached.tell_all(layout, f"{name} {value}".strip())
    if json:
        as_json(answer)
    else:
        say(f"in force: {_faults(answer['faults']) or 'nothing'}")


def _layout() -> Layout:
    from core import locations
    from remote.sandbox.files import Layout

    return Layout((locations.state_dir() / "sandbox").absolute())


def _running(layout: Layout) -> Record:
    from core.errors import EnvironmentProblem
    from remote.sandbox import records

    for record in records.living(layout):
        return record
    raise EnvironmentProblem("no sandbox is running", try_next="qa sandbox up")


def _kind(server: dict[str, Any]) -> str:
    return "qa sandbox up" if server["stays"] else "an app or command"


def _faults(faults: dict[str, Any]) -> str:
    """`frozen, delay_ms 200`"""
    return ", ".join(name if v is True else f"{name} {_value(v)}" for name, v in faults.items())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
