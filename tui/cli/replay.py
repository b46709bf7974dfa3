"""`qa replay`: a recorded day at the desk, shown again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def add_to(root: typer.Typer) -> None:
    root.command("replay", short_help="Show a recorded day at the desk again.")(replay)


def replay(
    recording: Annotated[Path, typer.Argument(help="a file that `qa app --record` made")],
    speed: Annotated[str, typer.Option(help="4: four times as fast; 0.5: half")] = "1",
    start: Annotated[float, typer.Option(min=0, help="seconds from its beginning")] = 0.0,
    info: Annotated[bool, typer.Option("--info", help="only say what it holds")] = False,
    json: Annotated[bool, typer.Option("--json", help="with --info: one JSON document")] = False,
) -> int:
    """The same screens over what was recorded, as fast as you like; nothing can be changed in it.

    f5 pauses, f6 and f7 go ten seconds back and on, f8 and f9 change the speed.
    """
    from tui.cli.show import as_json, say, table
    from tui.recording.about import about
    from tui.recording.player import speed_of

    chosen = speed_of(speed)
    if info:
        found = about(recording)
        if json:
            as_json(found)
        else:
            table(["", ""], [[k, v] for k, v in found.items()])
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        say("qa replay needs a terminal; --info tells what a recording holds")
        return 2
    from tui.recording.centre import show

    show(recording, speed=chosen, start=start)
    return 0
