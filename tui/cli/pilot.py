"""`qa pilot`: the four weeks, headless."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    app.command("pilot")(pilot)


def pilot(
    host: Annotated[str, typer.Option(help="sandbox, or a host of configs/hosts.yaml")] = "sandbox",
    recipe: Annotated[str, typer.Option(help="recipe of configs/recipes")] = "smollm2-135m",
    all_pairs: Annotated[bool, typer.Option("--all", help="train on every pair")] = False,
    golden: Annotated[Path | None, typer.Option(help="another golden set")] = None,
) -> int:
    """Run the four checklist weeks for real: preflight, data, training, evaluation, release, rollback."""
    from tui import clean
    from tui.cli.prompting import terminal_prompter
    from tui.desk.line import check_host_name
    from tui.desk.pilot import run_pilot
    from tui.desk.workbench import Workbench

    check_host_name(host)
    bench = Workbench(
        host, recipe=recipe, all_pairs=all_pairs, golden=golden, prompter=terminal_prompter()
    )

    def out(text: str) -> None:
        for line in text.split("\n"):
            print(clean.line(line), flush=True)

    try:
        return run_pilot(bench, out)
    finally:
        bench.close()
