"""`qa versions`: list, show, compare, propose, promote, roll back, return, approve, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import Refused
from tui.cli.registries import deciding_registry
from tui.cli.show import as_json, out, say, table

app = typer.Typer(help="Versions of the model.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Environment = Annotated[str, typer.Option("--to", help="staging or production")]
In = Annotated[str, typer.Option("--in", help="staging or production")]
Recipe = Annotated[
    str | None,
    typer.Option("--recipe", help="what it was trained by; another architecture is major"),
]
Reason = Annotated[str, typer.Option("--reason", help="why; it is kept")]


@app.command("list")
def list_versions(json: Json = False) -> None:
    """The newest hundred, highest first. ▲: promoted once against its gates."""
    from core.registry import open_registry
    from tui.desk.version_views import rows

    found = rows(open_registry())
    if json:
        as_json(found)
        return

    def share(x: float | None) -> str:
        return "–" if x is None else f"{100 * x:.0f}"

    table(
        ["version", "status", "live in", "base", "snapshot", "acc", "cite", "fab", "verdict", "override"],
        [
            [
                v.model_version, v.status, ",".join(v.live_in), v.base_model, v.dataset_version,
                *(share(v.headline.get(m)) for m in ("accuracy", "citation_presence", "fabricated")),
                v.verdict, f"▲ {v.override}" if v.override else "",
            ]
            for v in found
        ],
    )  # fmt: skip


@app.command()
def show(version: str, json: Json = True) -> None:
    """Every tracked field of a version, with approvals, overrides and its share of the history."""
    from core.registry import open_registry
    from tui.desk.version_views import detail

    as_json(detail(open_registry(), version))


@app.command("compare")
def compare_versions(a: str, b: str, json: Json = False) -> None:
    """B against A: configuration, data, answers (paired test, regressions first)."""
    from core.registry import open_registry
    from tui.desk.pilot import comparison_lines
    from tui.desk.version_views import compare

    result = compare(open_registry(), a, b)
    if json:
        as_json(result)
        return
    for key, (was, now) in {**result["base_model"], **result["config"]}.items():
        out(f"{key}: {was} → {now}")
    if result["metrics"]:
        table(["metric", a, b], [[name, *pair] for name, pair in result["metrics"].items()])
    if "no_answers" in result:
        data = result["data"]
        out(
            f"{b} against {a}: {data['added']} pairs added, {data['removed']} removed,"
            f" {data['changed']} changed"
        )
        say(f"no answers to compare: {result['no_answers']}")
    else:
        out("\n".join(comparison_lines(result)))


@app.command()
def propose(
    snapshot: str,
    base_model: Annotated[str, typer.Option("--base-model", help="as the recipe names it")],
    bump: Annotated[str | None, typer.Option(help="raise it to minor or major")] = None,
    recipe: Recipe = None,
    json: Json = False,
) -> None:
    """The number the next version would get, and why. A bump may be raised, never lowered."""
    from core.registry import open_registry, versions

    found = versions.propose(open_registry(), base_model, snapshot, _config(recipe), bump)  # type: ignore[arg-type]
    if json:
        as_json(found)
    else:
        out(f"{found.version}  {found.part}: {found.reason}")


def _config(recipe: str | None) -> dict[str, Any]:
    if recipe is None:
        return {}
    from core.training.recipe import load_recipe

    return load_recipe(recipe).resolved()


@app.command()
def register(
    snapshot: str,
    adapter: Path,
    base_model: Annotated[str, typer.Option("--base-model", help="what it adapts")],
    bump: Annotated[str | None, typer.Option(help="raise it to minor or major")] = None,
    note: Annotated[str, typer.Option(help="where it comes from")] = "",
    recipe: Recipe = None,
    json: Json = False,
) -> None:
    """Register an adapter folder that was trained elsewhere, as a candidate."""
    from core.errors import NotFound, UsageError
    from core.registry import precheck, versions
    from tui.desk.launching import operator

    if not adapter.is_dir():
        raise NotFound(f"{adapter}: no such folder")
    facts = precheck.facts_in(adapter.resolve())
    if facts.weights_sha256 is None:
        raise UsageError(f"{adapter}: there is no {precheck.WEIGHTS} in it")
    with deciding_registry() as reg:
        made = versions.register(
            reg, base_model=base_model, dataset_version=snapshot, training_config=_config(recipe),
            created_by=operator(), at_least=bump, adapter_path=str(adapter.resolve()),  # type: ignore[arg-type]
            adapter_sha256=facts.weights_sha256, note=note or "registered by hand",
        )  # fmt: skip
    if json:
        as_json(made)
    else:
        out(f"{made.model_version}  {made.bump_part}: {made.bump_reason}")


@app.command()
def promote(
    version: str,
    to: Environment = "staging",
    confirm: Annotated[str, typer.Option(help="type the version again")] = "",
    override: Annotated[str | None, typer.Option(help="why, although a gate objects")] = None,
    expect: Annotated[
        str, typer.Option(help="what is live there now: a version, or nothing")
    ] = "*",
    json: Json = False,
) -> None:
    """Make a version live. The gates are evaluated now and stored with it; an override is kept."""
    from tui.desk import release

    if confirm != version:
        raise Refused(
            f"promoting {version} to {to} was not confirmed",
            try_next=f"qa versions promote {version} --to {to} --confirm {version}",
        )
    expected = "" if expect == "nothing" else expect
    with deciding_registry() as reg:
        done = release.promote(
            reg, version, to, override_reason=override, expected_live=expected, say=say
        )
    _switched(done.deployment, json)


@app.command()
def rollback(to: In = "staging", reason: Reason = "", json: Json = False) -> None:
    """Go back to the version that was live before."""
    from core.registry import versions
    from tui.desk import release

    if not reason.strip():
        raise Refused("a rollback needs a reason", try_next="add --reason '…'")
    with deciding_registry() as reg:
        release.roll_back(reg, to, reason, say=say)
        done = versions.history(reg, to, limit=1)[0]
    _switched(done, json)


@app.command("return")
def return_to(to: In = "staging", json: Json = False) -> None:
    """Undo the last switch, inside its window; no reason is asked, the audit tells of it."""
    from core.registry import versions
    from tui.desk import release

    with deciding_registry() as reg:
        release.return_(reg, to, say=say)
        done = versions.history(reg, to, limit=1)[0]
    _switched(done, json)


def _switched(deployment: Any, json: bool) -> None:
    if json:
        as_json(deployment)
    else:
        out(f"{deployment.environment}: {deployment.model_version}")


@app.command()
def approve(
    version: str,
    environment: Annotated[str, typer.Option("--for", help="staging or production")] = "production",
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Agree, as another operator than who promotes, to a version with the scores it has now."""
    from core.registry import versions
    from tui.desk import release

    with deciding_registry() as reg:
        release.approve(reg, version, environment, reason)
        newest = versions.approvals(reg, version)[0]
    if json:
        as_json(newest)
    else:
        out(f"{version}: approved for {environment} by {newest.who}")


@app.command()
def quarantine(
    version: str,
    reason: Reason = "",
    release: Annotated[bool, typer.Option("--release", help="out of quarantine again")] = False,
    json: Json = False,
) -> None:
    """Keep a suspect version from going live; --release lets it back."""
    _take_out(version, "release" if release else "quarantine", reason, json)


@app.command()
def archive(version: str, reason: Reason = "", json: Json = False) -> None:
    """Put a version aside; it may be promoted again."""
    _take_out(version, "archive", reason, json)


@app.command()
def fail(version: str, reason: Reason = "", json: Json = False) -> None:
    """Mark a version as failed; that is final."""
    _take_out(version, "fail", reason, json)


def _take_out(version: str, how: str, reason: str, json: bool) -> None:
    from tui.desk.release import take_out

    with deciding_registry() as reg:
        status = take_out(reg, version, how, reason)
    if json:
        as_json({"model_version": version, "status": status})
    else:
        out(f"{version}: {status}")


@app.command()
def recover(json: Json = False) -> None:
    """Undo or complete releases that a killed process left behind. Harmless to repeat."""
    from core.registry import open_registry
    from tui.desk.release import recover as settle

    found = settle(open_registry())
    if json:
        as_json(found)
    elif not found:
        out("nothing was left behind")
    for r in () if json else found:
        out(f"{r.environment}: {r.kind} of {r.to_version} {r.outcome} ({r.detail})")


@app.command()
def export(
    folder: Annotated[Path | None, typer.Option(help="a folder for Git, with everything")] = None,
    json: Json = True,
) -> None:
    """The design's model_versions.json on stdout, or the whole registry as a folder of files."""
    from core.registry import exports, open_registry

    reg = open_registry()
    if folder is None:
        as_json(exports.model_versions_json(reg))
    else:
        changed = exports.write_folder(reg, folder)
        say(f"{folder}: {changed} files changed")


@app.command("import")
def import_(source: Path, json: Json = False) -> None:
    """Fill an empty registry from a folder or a model_versions.json."""
    from core.registry import imports, open_registry

    reg = open_registry(seed=False)
    done = imports.import_from(reg, source)
    if json:
        as_json(done)
    elif not done.changed:
        out("this history is here already: nothing was changed")
    else:
        out(f"{done.rows['versions']} versions, {done.pairs} pairs, audit head {done.head[:12]}")


@app.command()
def card(
    version: str,
    out_file: Annotated[Path | None, typer.Option("--out", help="write it there")] = None,
) -> None:
    """The model card (README.md in the Hub's convention) of a version."""
    from core.registry import open_registry
    from tui.desk.version_views import card as page

    text = page(open_registry(), version)
    if out_file is None:
        out(text)
    else:
        from tui.cli.writing import write_file

        write_file(out_file, text)
        say(f"wrote {out_file}")


@app.command()
def history(json: Json = False) -> None:
    """Promotions, rollbacks and returns, newest first."""
    from core.registry import open_registry
    from tui.desk import release

    found = release.history(open_registry())
    if json:
        as_json(found)
    else:
        columns = ["at", "who", "environment", "action", "from_version", "to_version", "reason"]
        table(columns, [[h.get(c) for c in columns] for h in found])
