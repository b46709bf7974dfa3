"""`qa hosts` and `qa doctor`: the hosts, and what one of them is fit for."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.show import as_json, say, table

app = typer.Typer(help="Hosts that can be driven.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


def add_to(root: typer.Typer) -> None:
    root.command("doctor")(doctor)


@app.command("list")
def list_hosts(json: Json = False) -> None:
    """Names in configs/hosts.yaml, and the sandbox."""
    from remote.hosts import load_hosts

    found = [{"name": "sandbox", "address": "embedded", "jump": "embedded", "launcher": "direct"}]
    for h in load_hosts():
        jump = h.jump.address if h.jump else ""
        found.append({"name": h.name, "address": h.address, "jump": jump, "launcher": h.launcher})
    if json:
        as_json(found)
    else:
        table(["name", "address", "jump", "launcher"], [list(f.values()) for f in found])


@app.command("doctor")
def hosts_doctor(name: str, json: Json = False) -> int:
    """As `qa doctor --host NAME`."""
    return doctor(name, json)


def doctor(
    host: Annotated[str, typer.Option(help="host to look at")] = "sandbox", json: Json = False
) -> int:
    """Connect and say what the host is, what would fail there and what to do. Exit 6 if something would."""
    from remote.preflight import preflight
    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import Line, check_host_name

    check_host_name(host)
    line = Line(host, terminal_prompter())
    try:
        say(f"connecting to {host}")
        findings = preflight(line.route())
    finally:
        line.close()
    if json:
        as_json(findings)
    else:
        table(["", "what", "found"], [[f.outcome, f.title, f.detail] for f in findings])
        for f in findings:
            if f.outcome in ("fail", "warn"):
                say(f"{f.title}: {' · '.join(x for x in (f.consequence, f.try_next) if x)}")
    return 6 if any(f.outcome == "fail" for f in findings) else 0
