"""`qa citations`: markers in the text on stdin."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from core.errors import UsageError
from tui.cli.show import as_json, out, table

app = typer.Typer(help="<<SRC:domain:entity_id>> markers.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Sources = Annotated[
    str | None, typer.Option("--sources", help="judge against this file instead of the registry")
]


@app.command("find")
def find_markers(json: Json = False) -> None:
    """Markers in the text on stdin; offsets in code points."""
    from core.citations import find

    found = [asdict(m) for m in find(_stdin())]
    _show(found, ["source_id", "start", "end"], json)


@app.command("check")
def check_markers(
    accept: Annotated[
        list[str] | None, typer.Option(help="a source id that is right here; may be repeated")
    ] = None,
    sources: Sources = None,
    json: Json = False,
) -> None:
    """As find, with malformed markers, the class of each and what it points to.

    Classes: correct, wrong_entity (with --accept), known, unknown_entity, unknown_domain, stale, malformed.
    """
    from core.citations import classify, find, find_malformed

    text = _stdin()
    index = _index(sources)
    parts = {m.start: asdict(m) for m in find(text)}
    faults = {m.start: m.what for m in find_malformed(text)}
    empty: dict[str, Any] = {"source_id": None, "domain": None, "entity_id": None}
    found = []
    for c in classify(text, index, accept):
        target = index.resolve(c.source.source_id) if c.source else None
        found.append(
            {
                **parts.get(c.start, {**empty, "start": c.start, "end": c.end}),
                "text": c.text,
                "class": c.cls,
                "fault": faults.get(c.start),
                "display_name": c.source.display_name if c.source else None,
                "url": target.link if target else None,
                "leads_to": target.source_id if target else None,
            }
        )
    _show(found, ["text", "class", "display_name", "url"], json)


@app.command("render")
def render(
    to: Annotated[
        str, typer.Option(help="markdown, html, plain, or rich: styles and links of a terminal")
    ] = "markdown",
    sources: Sources = None,
) -> None:
    """The text on stdin with markers as numbered footnotes that link to their sources."""
    from core.citations import render_html, render_markdown, render_plain

    if to == "rich":
        from rich.console import Console

        from tui.present.cited import answer

        Console().print(answer(_stdin(), _index(sources)), soft_wrap=True)
        return
    kinds = {"markdown": render_markdown, "html": render_html, "plain": render_plain}
    if to not in kinds:
        raise UsageError(f"{to!r} is not a format", try_next=f"one of: {', '.join(kinds)}, rich")
    out(kinds[to](_stdin(), _index(sources)))


def _stdin() -> str:
    """Whatever arrives is text: what is no UTF-8 is replaced."""
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _index(sources: str | None) -> Any:
    if sources is not None:
        from pathlib import Path

        from core.citations import SourceIndex
        from core.source_files import read_sources

        return SourceIndex.load(read_sources(Path(sources)).rows)
    from core.registry import open_registry
    from core.registry import sources as store

    return store.index(open_registry())


def _show(found: list[dict[str, Any]], columns: list[str], json: bool) -> None:
    if json:
        as_json(found)
    else:
        table(columns, [[f[c] for c in columns] for f in found])
