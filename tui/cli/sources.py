"""`qa sources`: what a marker may point to."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.show import as_json, table

app = typer.Typer(help="What a marker may point to.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command("list")
def list_sources(json: Json = False) -> None:
    """Every known source."""
    from core.registry import open_registry
    from core.registry import sources as store

    found = store.rows(open_registry())
    if json:
        as_json(found)
    else:
        columns = ["source_id", "status", "display_name", "url"]
        table(columns, [[f[c] for c in columns] for f in found])


@app.command("unknown")
def list_unknown(json: Json = False) -> None:
    """Sources that answers cited and the registry does not know, with counts."""
    from core.registry import open_registry
    from core.registry import sources as store

    found = store.unknown(open_registry())
    if json:
        as_json(found)
    else:
        table(
            ["source_id", "times", "first seen", "last seen"],
            [[u.source_id, u.occurrences, u.first_seen, u.last_seen] for u in found],
        )
