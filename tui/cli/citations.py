"""`qa citations`: markers in the text on stdin."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from tui.cli.show import as_json, table

app = typer.Typer(help="<<SRC:domain:entity_id>> markers.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command("find")
def find_markers(json: Json = False) -> None:
    """Markers in the text on stdin; offsets in code points."""
    from core.citations import find

    found = [asdict(m) for m in find(sys.stdin.read())]
    _markers(found, ["source_id", "start", "end"], json)


@app.command("check")
def check_markers(json: Json = False) -> None:
    """As find, with the class of each marker and what it points to."""
    from core import citations as grammar
    from core.registry import open_registry
    from core.registry import sources as store

    text = sys.stdin.read()
    found = [
        {
            "text": c.text,
            "class": c.cls,
            "start": c.start,
            "end": c.end,
            "display_name": c.source.display_name if c.source else None,
            "url": c.source.url if c.source else None,
        }
        for c in grammar.classify(text, store.index(open_registry()), None)
    ]
    _markers(found, ["text", "class", "display_name", "url"], json)


def _markers(found: list[dict[str, Any]], columns: list[str], json: bool) -> None:
    if json:
        as_json(found)
    else:
        table(columns, [[f[c] for c in columns] for f in found])
