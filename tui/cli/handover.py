"""`qa handover`: what ran, what changed, what is open, as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.cli.show import as_json, out, say


def add_to(root: typer.Typer) -> None:
    root.command("handover")(handover)


def handover(
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="write it there, not on stdout")
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            help="8h, 2d, or a time as `qa at` takes it; default: the last note, or a day"
        ),
    ] = "",
    host: Annotated[
        str, typer.Option(envvar="QA_HOST", help="whose mirrored jobs to tell of")
    ] = "sandbox",
    json: Annotated[bool, typer.Option("--json", help="the facts as one JSON document")] = False,
) -> None:
    """What ran, what changed and what is open, as a note for whoever comes next."""
    from tui import handover as notes
    from tui.desk.workbench import Workbench

    start = _since(since) if since else notes.last_written()
    bench = Workbench(host, read_only=True)
    try:
        shift = bench.handover(start)
    finally:
        bench.close()
    if json:
        as_json(shift)
        return
    text = notes.note(shift)
    if out_file is None:
        out(text)
    else:
        from tui.cli.writing import write_file

        write_file(out_file, text)
        say(f"written: {out_file}")


def _since(text: str) -> float:
    """Unix seconds of `8h`, `2d`, `30min` ago, or of a moment. Raises UsageError."""
    import re
    import time

    found = re.fullmatch(r"(\d{1,6})\s*(min|h|d)", text.strip())
    if found:
        return time.time() - int(found[1]) * {"min": 60, "h": 3600, "d": 86_400}[found[2]]
    from core.registry.time_machine import parse_moment

    return parse_moment(text).timestamp()
