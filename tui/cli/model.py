"""`qa model`: base models in the cache."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tui.cli.show import as_json, table

app = typer.Typer(help="Base models by name: fetch, list, check.", no_args_is_help=True)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="smollm2-135m")]) -> None:
    """Fetch a base model once, convert it, check its hash. Does nothing if it is there and whole."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    from core import base_models

    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=total or None)
            bar.update(tasks[phase], completed=done, total=total or None)

        path = base_models.fetch(name, progress)
    print(f"{name}: {path}", file=sys.stderr)


@app.command("list")
def list_models(json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """What is in the cache."""
    from core import base_models, locations

    root = locations.models_dir()
    found = [
        {"name": p.name, "path": str(p), **base_models.identity(p)}
        for p in sorted(root.glob("*"))
        if p.is_dir() and not p.name.startswith(".")
    ]
    if json:
        as_json(found)
    else:
        table(["name", "path"], [[f["name"], f["path"]] for f in found])


@app.command()
def check(name: str) -> None:
    """Verify every file of a cached model against its manifest."""
    from core import base_models

    print(f"{name}: {base_models.resolve(name)} is whole")
