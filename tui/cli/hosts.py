"""`qa hosts` and `qa doctor`: the hosts, and what one of them is fit for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli import links
from tui.cli.show import as_json, say, table

if TYPE_CHECKING:
    from tui.desk.workbench import Workbench

app = typer.Typer(help="Hosts that can be driven.", no_args_is_help=True)
Fix = Annotated[
    bool,
    typer.Option("--fix", help="first make the Python environment of the jobs, if it is not there"),
]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
links.add_to(app)


def add_to(root: typer.Typer) -> None:
    root.command("doctor", short_help="What a host is, and what would fail there.")(doctor)


@app.command("list", short_help="All hosts that can be named.")
def list_hosts(json: Json = False) -> None:
    """Names in configs/hosts.yaml, the aliases of the ssh configuration, and the sandbox."""
    from core.errors import QAError
    from remote.hosts import load_hosts
    from remote.ways import ssh_config

    found: list[dict[str, Any]] = [_row("sandbox", "embedded", "embedded", ["embedded"])]
    hosts = load_hosts()
    for name in hosts.names():
        try:
            h = hosts.get(name)
        except QAError as e:  # of one entry: the others are still of use
            found.append(_row(name, hosts.origin.name, "", [], problem=e.what))
            say(e.what)
            continue
        jumps = [j.address for j in h.jumps]
        found.append(_row(name, hosts.origin.name, h.address, jumps, h.launcher))
        for note in h.notes:
            say(f"{name}: {note}")
    taken = {f["name"] for f in found}
    found += [_row(a, "ssh config") for a in ssh_config.aliases() if a not in taken]
    if json:
        as_json(found)
    else:
        header = ["name", "from", "address", "jumps", "launcher"]
        table(header, [[f[h] if h != "jumps" else " → ".join(f[h]) for h in header] for f in found])


def _row(
    name: str,
    source: str,
    address: str = "",
    jumps: Sequence[str] = (),
    launcher: str = "direct",
    problem: str = "",
) -> dict[str, Any]:
    first = jumps[0] if jumps else ""
    row = {"name": name, "from": source, "address": address, "jump": first, "jumps": list(jumps)}
    return row | {"launcher": launcher} | ({"problem": problem} if problem else {})


@app.command("show", short_help="The way to one host, and its settings.")
def show_host(name: str, json: Json = False) -> None:
    """The way to one host and its settings, each with where it was found. Connects to nothing."""
    from remote.hosts import SANDBOX, load_hosts
    from remote.ways.host_shown import as_dict, rows

    if name == SANDBOX:
        _show_sandbox(json)
        return
    host = load_hosts().get(name)
    for note in host.notes:
        say(note)
    if json:
        as_json(as_dict(host))
    else:
        table(["", "", "from"], rows(host))


def _show_sandbox(json: bool) -> None:
    """Made on this machine when it is first used; there is nothing to resolve."""
    from core import locations

    folder = locations.state_dir() / "sandbox"
    about: dict[str, Any] = {
        "name": "sandbox",
        "title": "embedded jump host and GPU host",
        "folder": str(folder),
    }
    about |= {"jumps": ["jump.sandbox"], "address": "gh200.sandbox", "launcher": "direct"}
    if json:
        as_json(about)
    else:
        table(["", ""], [[k, ", ".join(v) if isinstance(v, list) else v] for k, v in about.items()])


@app.command("doctor")
def hosts_doctor(name: str, fix: Fix = False, json: Json = False) -> int:
    """As `qa doctor --host NAME`."""
    return doctor(name, fix, json)


def doctor(
    host: Annotated[str, typer.Option(envvar="QA_HOST", help="host to look at")] = "sandbox",
    fix: Fix = False,
    json: Json = False,
) -> int:
    """Connect and say what the host is, what would fail there and what to do. Exit 6 if something would."""
    from remote.preflight import preflight
    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import check_host_name
    from tui.desk.workbench import Workbench

    check_host_name(host)
    bench = Workbench(host, prompter=terminal_prompter())
    try:
        say(f"connecting to {host}")
        if fix:
            _fix(bench)
        findings = preflight(bench.line.route(), index=True, torch=True)
    finally:
        bench.close()
    if json:
        as_json(findings)
    else:
        table(["", "what", "found"], [[f.outcome, f.title, f.detail] for f in findings])
        for f in findings:
            if f.outcome in ("fail", "warn"):
                say(f"{f.title}: {' · '.join(x for x in (f.consequence, f.try_next) if x)}")
    return 6 if any(f.outcome == "fail" for f in findings) else 0


def _fix(bench: Workbench) -> None:
    """Make the environment of the jobs, unless it is there. Raises JobFailed with the log's end."""
    from tui.desk import environment

    job_id = environment.start(bench)
    say(f"job {job_id} makes the environment; its log: qa logs {job_id} --host {bench.host_name}")
    bench.following.wait_succeeded(job_id, say)
    bench.line.use_environment()
