"""`qa recipe`: training configurations; what they would cost, and whether they can teach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import UsageError
from tui.cli.accepting import Accept, WithReasons, reasons
from tui.cli.show import as_json, out, say, table

if TYPE_CHECKING:
    from core.training.fit import Memory
    from tui.desk.planning import Plan

app = typer.Typer(help="Training configurations.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key=value, may be repeated")]
Profile = Annotated[str | None, typer.Option(help="a profile of the recipe")]


@app.command("list")
def list_recipes(json: Json = False) -> None:
    """Recipes of configs/recipes."""
    from core.training.recipe import load_recipe, names, profiles

    rows: list[dict[str, Any]] = []
    for name in names():
        found = load_recipe(name)
        about = {"name": name, "model": found.model.name, "profile": found.profile}
        rows.append({**about, "profiles": profiles(name), "about": found.about})
    if json:
        as_json(rows)
    else:
        head = ["recipe", "profiles", "about"]
        table(head, [[r["name"], " ".join(r["profiles"]), r["about"]] for r in rows])


@app.command()
def show(name: str, set_: Set = None, profile: Profile = None, json: Json = False) -> None:
    """Every value of a recipe and where it comes from: file and line, profile, --set, default."""
    from core.training.recipe import load_with_origins

    loaded = load_with_origins(name, set_ or [], profile=profile)
    flat = _flat(loaded.recipe.resolved())
    if json:
        as_json([{"key": k, "value": v, "from": loaded.origins.get(k, "default")} for k, v in flat])
        return
    shown = [[k, _plain(v), loaded.origins.get(k, "default")] for k, v in flat]
    table(["key", "value", "from"], shown)


@app.command(cls=WithReasons)
def check(
    name: str,
    data: Annotated[Path | None, typer.Option(help="pairs to train on, JSONL")] = None,
    snapshot: Annotated[str | None, typer.Option(help="a frozen snapshot instead")] = None,
    host: Annotated[str | None, typer.Option(envvar="QA_HOST", help="where it would run")] = None,
    memory: Annotated[
        float | None, typer.Option(help="GiB that are free on one accelerator, if no host is asked")
    ] = None,
    set_: Set = None,
    profile: Profile = None,
    accept: Accept = None,
    init_adapter: Annotated[Path | None, typer.Option(help="adapter to go on from")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="it will be merged into the base")] = False,
    unknown: Annotated[
        float | None, typer.Option(help="share of facts the base does not know, 0 to 1")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="one epoch over 20 rows")] = False,
    brief: Annotated[bool, typer.Option("--brief", help="without reasons and sources")] = False,
    json: Json = False,
) -> int:
    """Memory, time, disk and lint of a training, without starting it. Exit 2 if an error is open."""
    if data and snapshot:
        raise UsageError("--data and --snapshot", try_next="keep one of them")
    if memory is not None and not 0 < memory < 1e6:
        raise UsageError(f"--memory {memory:g}: not a size in GiB")
    if unknown is not None and not 0 <= unknown <= 1:
        raise UsageError(f"--unknown {unknown:g}: not a share from 0 to 1")
    made = _planned(
        name, data, snapshot, host, memory, unknown, reasons(accept or []),
        {"overrides": set_ or [], "profile": profile, "merge": merge, "smoke": smoke},
    )  # fmt: skip
    if init_adapter:
        from core.training.refusals import check_adapter_directory

        check_adapter_directory(init_adapter, made.recipe)
    if json:
        as_json(made.as_json())
    else:
        from tui.present.plan import page

        out("\n".join(page(made, why=not brief)))
        from core.training.promises import unkept

        for promise in unkept(made.recipe):
            say(f"▲ not carried out yet: {promise}")
    return 2 if made.blocking else 0


def _planned(
    name: str,
    data: Path | None,
    snapshot: str | None,
    host: str | None,
    memory: float | None,
    unknown: float | None,
    accepted: dict[str, str],
    more: dict[str, Any],
) -> Plan:
    from core.training import lessons
    from tui.desk import planning

    taught = None
    if data is not None:
        taught = lessons.of_file(data, unknown_share=unknown)
    elif snapshot is not None:
        from core.registry import open_registry, snapshots

        found = snapshots.iter_pairs(open_registry(), snapshot)
        taught = lessons.of_pairs(found, unknown_share=unknown)
    label = snapshot or (data.name if data else "")
    given = _given(memory)
    if host is None:
        return planning.plan_of(
            name, taught=taught, data=label, accept=accepted, memory=given, **more
        )
    from tui.cli.prompting import terminal_prompter
    from tui.desk.workbench import Workbench

    bench = Workbench(host, prompter=terminal_prompter())
    try:
        asked = given or planning.asked_memory(bench)
        if taught and unknown is None:
            taught = planning.asked_before(
                bench, taught, name, more["overrides"], snapshot or "", profile=more["profile"]
            )
        return planning.plan_of(
            name, taught=taught, data=label, accept=accepted, memory=asked, host=host,
            launcher=bench.line.host().launcher, past=planning.history(bench), **more,
        )  # fmt: skip
    finally:
        bench.close()


def _given(gib: float | None) -> Memory | None:
    from core.training.fit import GIB, Memory

    return None if gib is None else Memory(round(gib * GIB), round(gib * GIB))


def _flat(data: dict[str, Any], at: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in data.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{at}{key}.")
        else:
            found.append((f"{at}{key}", value))
    return found


def _plain(value: Any) -> str:
    if isinstance(value, list | dict):
        return ", ".join(map(str, value)) or "–"
    return f"{value:g}" if isinstance(value, float) else "–" if value == "" else str(value)
