"""`qa web`: the app in a browser of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import MissingComponent


def add_to(root: typer.Typer) -> None:
    root.command("web")(web)


def web(
    host: Annotated[
        str, typer.Option(envvar="QA_HOST", help="host of configs/hosts.yaml, or an SSH alias")
    ] = "sandbox",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="on 127.0.0.1; 0 takes a free one")
    ] = 0,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="look only: every change is refused")
    ] = False,
) -> None:
    """The app in a browser of this machine, behind an address that works once."""
    import importlib.util

    if importlib.util.find_spec("textual_serve") is None:
        raise MissingComponent(
            "textual-serve is not installed", try_next="pip install -e '.[web]' -c constraints.txt"
        )
    from tui.desk.line import check_host_name
    from tui.web import serve

    check_host_name(host)
    serve(host, port, read_only=read_only)
