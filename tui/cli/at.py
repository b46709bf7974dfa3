"""`qa at`: what was live at a moment of the past, and what was known of it then."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.show import as_json, out

Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


def add_to(root: typer.Typer) -> None:
    root.command("at")(at)


def at(moment: str, json: Json = False) -> None:
    """What was live: 2026-01-14T09:00 (local time), …Z, …+02:00, or a date alone."""
    from core.registry import open_registry
    from tui.desk.version_views import at as view
    from tui.present.moments import lines

    found = view(open_registry(), moment)
    if json:
        as_json(found)
    else:
        out("\n".join(text for text, _ in lines(found)))
