"""`qa hosts links|connect|disconnect`: the connections that are kept for this desk."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tui.cli.show import as_json, out, say, table

Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Name = Annotated[str, typer.Argument(help="the host")]


def add_to(hosts: typer.Typer) -> None:
    hosts.command("links", short_help="The connections that are kept.")(links)
    hosts.command("connect", short_help="Log in now, for the programs to come.")(connect)
    hosts.command("disconnect", short_help="End the kept connection at once.")(disconnect)


def links(json: Json = False) -> None:
    """The link processes of this desk, each with the connection it holds. Connects to nothing."""
    from remote.linking.living import living
    from tui.desk.telling import clock

    found = list(living())
    if json:
        as_json(found)
    elif found:
        now = time.time()
        rows = [
            [f.host, f.state, "yes" if f.needs_you else "", f.clients, clock(now - f.since), f.pid]
            for f in found
        ]
        table(["host", "link", "needs you", "uses now", "since", "process"], rows)
    else:
        say("no connection is kept; the app and every command that needs one make it")


def connect(name: Name, json: Json = False) -> None:
    """Log in to a host; the connection stays for the app and all commands (docs/route.md)."""
    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import Line, check_host_name

    check_host_name(name)
    line = Line(name, terminal_prompter())
    try:
        hops = line.route().status().hops
    finally:
        line.close()
    if json:
        as_json({"host": name, "state": "up", "hops": hops})
    else:
        out(f"{name}: up, through {', '.join(hop.name for hop in hops)}")


def disconnect(name: Name, json: Json = False) -> None:
    """End the connection and forget opened keys. What uses it loses the link; jobs go on."""
    from remote.linking.living import disconnect as end_links
    from tui.desk.line import check_host_name

    ended = end_links(name)
    if not ended:
        check_host_name(name)
    if json:
        as_json({"host": name, "ended": ended})
    elif ended:
        out(f"{name}: ended process {', '.join(map(str, ended))}")
    else:
        say(f"no connection to {name} was kept")
