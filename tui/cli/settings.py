"""`qa settings`: what holds at this desk, and where it was found."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.cli.show import as_json, problem, table


def add_to(root: typer.Typer) -> None:
    root.command("settings")(settings)


def settings(
    json: Annotated[bool, typer.Option("--json", help="one JSON document")] = False,
) -> None:
    """Every setting and folder of this desk, and whether a file, a variable or nobody set it."""
    from tui import keymap, origins, settings_file

    faults = [*settings_file.load()[1], *keymap.load()[1]]
    rows = origins.told()
    if json:
        as_json(rows)
    else:
        table(("setting", "value", "from"), [(r.label, r.value, r.origin) for r in rows])
    for fault in faults:
        problem(fault)
    if faults:
        raise typer.Exit(2)
