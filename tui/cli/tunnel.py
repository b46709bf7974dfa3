"""`qa tunnel`: a port of a host on this machine, for as long as the command runs."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from tui.cli.show import as_json, out, say


def add_to(root: typer.Typer) -> None:
    root.command("tunnel", short_help="Open a port of the host here.")(tunnel)


def tunnel(
    name: Annotated[str, typer.Argument(help="the host")],
    port: Annotated[int, typer.Argument(help="port on the host's loopback")],
    local: Annotated[int, typer.Option("--local", help="port here; 0 takes a free one")] = 0,
    json: Annotated[bool, typer.Option("--json", help="the address as JSON")] = False,
) -> None:
    """Open 127.0.0.1:LOCAL here as 127.0.0.1:PORT of the host, until Ctrl-C.

    The address is the first line on stdout. A cut link is opened again with the next connection.
    """
    from remote.tunnels import Tunnel, check_port
    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import Line, check_host_name

    check_host_name(name)
    check_port(port)
    line = Line(name)
    try:
        line.log_in(terminal_prompter())
        with Tunnel(line.route, port, local) as opened:
            if json:
                as_json({"address": opened.address, "port": opened.port, "host": name, "to": port})
                sys.stdout.flush()
            else:
                out(opened.address)
            say(f"{opened.address} is port {port} of {name}; Ctrl-C ends it")
            _watch(opened)
    except KeyboardInterrupt:
        say("the tunnel is closed")
    finally:
        line.close()


def _watch(opened: object) -> None:
    """Says once what goes wrong, until interrupted."""
    told = None
    while True:
        error = opened.error  # type: ignore[attr-defined]
        if error is not None and error is not told:
            say(" · ".join(x for x in (error.what, error.why, error.try_next) if x))
        told = error
        time.sleep(0.5)
