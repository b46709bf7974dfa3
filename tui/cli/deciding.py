"""`qa gates`, `qa report`, `qa recipe`, `qa checklist`: what a decision rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.errors import NotFound
from tui.cli.show import as_json, out, say, table

gates = typer.Typer(help="The gates of a release.", no_args_is_help=True)
recipe = typer.Typer(help="Training configurations.", no_args_is_help=True)
checklist = typer.Typer(help="The pilot's sixteen items.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


def add_to(root: typer.Typer) -> None:
    root.command("report")(report)


@gates.command("check")
def gates_check(version: str, json: Json = False) -> int:
    """The verdict of each gate for a version, from its newest evaluation. Exit 5 unless GO."""
    scores = _scores(version)
    if json:
        as_json(
            {
                "verdict": scores["verdict"],
                "gates": scores["gates"],
                "reasons": scores.get("reasons", []),
            }
        )
    else:
        columns = [
            "gate",
            "verdict",
            "target",
            "estimate",
            "low",
            "high",
            "n",
            "n_needed",
            "action",
        ]
        table(columns, [[g.get(c) for c in columns] for g in scores["gates"]])
        out(scores["verdict"])
    return 0 if scores["verdict"] == "GO" else 5


def report(
    version: str,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="write it there (Markdown)")
    ] = None,
) -> None:
    """The GO / NO-GO page of a version."""
    from core.evaluation.report import render, render_text

    scores = _scores(version)
    if out_file is None:
        out(render_text(scores))
    else:
        out_file.write_text(render(scores), "utf-8")
        say(f"wrote {out_file}")


def _scores(version: str) -> dict:  # type: ignore[type-arg]
    from core.registry import evaluations, open_registry, versions

    reg = open_registry()
    versions.get(reg, version)
    found = evaluations.latest(reg, version)
    if found is None:
        raise NotFound(f"{version} has not been evaluated")
    return found.scores


@recipe.command("list")
def recipe_list() -> None:
    """Recipes of configs/recipes."""
    from core.training.recipe import names

    print("\n".join(names()))


@recipe.command("show")
def recipe_show(
    name: str,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value")] = None,
    profile: Annotated[str | None, typer.Option(help="a profile of the recipe")] = None,
) -> None:
    """Every value of a recipe and where it comes from."""
    from core.training.recipe import load_with_origins

    loaded = load_with_origins(name, set_ or [], profile=profile)
    flat = _flat(loaded.recipe.resolved())
    table(["key", "value", "from"], [[k, v, loaded.origins.get(k, "")] for k, v in flat])


def _flat(data: dict, at: str = "") -> list[tuple[str, object]]:  # type: ignore[type-arg]
    out: list[tuple[str, object]] = []
    for key, value in data.items():
        out += _flat(value, f"{at}{key}.") if isinstance(value, dict) else [(f"{at}{key}", value)]
    return out


@checklist.command("list")
def checklist_list(json: Json = False) -> None:
    """Every item, its state and its newest evidence."""
    from core.registry import open_registry
    from tui.desk.checklist import rows

    found = rows(open_registry())
    if json:
        as_json(found)
    else:
        newest = [
            [i.week, i.id, i.state, i.title, i.evidence[0].summary if i.evidence else ""]
            for i in found
        ]
        table(["week", "id", "state", "item", "evidence"], newest)


@checklist.command("run")
def checklist_run(item: str, host: str = "sandbox", recipe: str = "smollm2-135m") -> int:
    """Run the check of one item on a host and store the evidence. Exit 4 if it failed."""
    from tui.desk.workbench import Workbench

    bench = Workbench(host, recipe=recipe)
    try:
        bench.connect()
        evidence = bench.run_item(item, say)
    finally:
        bench.close()
    out(f"{evidence.outcome}: {evidence.summary}")
    if evidence.detail:
        for line in evidence.detail.splitlines():
            say(line)
    return 4 if evidence.outcome == "fail" else 0
