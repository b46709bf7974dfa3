"""`qa versions` and `qa audit`: list, compare, promote, roll back, export, prove."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import Refused, RegistryError
from tui.cli.show import as_json, out, table

app = typer.Typer(help="Versions of the model.", no_args_is_help=True)
audit = typer.Typer(help="The history of the registry.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Environment = Annotated[str, typer.Option("--to", help="staging or production")]


@app.command("list")
def list_versions(json: Json = False) -> None:
    """Every version, newest first."""
    from core.registry import open_registry
    from tui.desk.release import rows

    found = rows(open_registry())
    if json:
        as_json(found)
        return

    def share(x: float | None) -> str:
        return "–" if x is None else f"{100 * x:.0f}"

    table(
        ["version", "status", "live in", "base", "snapshot", "acc", "cite", "fab", "verdict"],
        [
            [
                v.model_version, v.status, ",".join(v.live_in), v.base_model, v.dataset_version,
                *(share(v.headline.get(m)) for m in ("accuracy", "citation_presence", "fabricated")),
                v.verdict,
            ]
            for v in found
        ],
    )  # fmt: skip


@app.command()
def show(version: str) -> None:
    """Every tracked field of a version."""
    from core.registry import open_registry
    from tui.desk.release import detail

    as_json(detail(open_registry(), version))


@app.command("compare")
def compare_versions(a: str, b: str, json: Json = False) -> None:
    """B against A: data, configuration, answers (paired test, regressions first)."""
    from core.registry import open_registry
    from tui.desk.pilot import comparison_lines
    from tui.desk.release import compare

    result = compare(open_registry(), a, b)
    if json:
        as_json(result)
    else:
        out("\n".join(comparison_lines(result)))


@app.command()
def promote(
    version: str,
    to: Environment = "staging",
    confirm: Annotated[str, typer.Option(help="type the version again")] = "",
    override: Annotated[str | None, typer.Option(help="why, although a gate objects")] = None,
) -> None:
    """Make a version live. The gates' verdicts are stored with it."""
    from core.registry import open_registry
    from tui.desk import release

    if confirm != version:
        raise Refused(
            f"promoting {version} to {to} was not confirmed",
            try_next=f"qa versions promote {version} --to {to} --confirm {version}",
        )
    release.promote(open_registry(), version, to, override_reason=override)
    print(f"{to}: {version}")


@app.command()
def rollback(
    to: Annotated[str, typer.Option("--in", help="staging or production")] = "staging",
    reason: Annotated[str, typer.Option(help="why")] = "",
) -> None:
    """Return to the version that was live before."""
    from core.registry import open_registry
    from tui.desk import release

    if not reason.strip():
        raise Refused("a rollback needs a reason", try_next="add --reason '…'")
    print(f"{to}: {release.roll_back(open_registry(), to, reason)}")


@app.command()
def export(json: Json = True) -> None:
    """The design's model_versions.json, on stdout."""
    from core.registry import open_registry
    from core.registry.exports import model_versions_json

    as_json(model_versions_json(open_registry()))


@app.command()
def history(json: Json = False) -> None:
    """Promotions and rollbacks, newest first."""
    from core.registry import open_registry
    from tui.desk import release

    found = release.history(open_registry())
    if json:
        as_json(found)
    else:
        columns = ["at", "who", "environment", "action", "from_version", "to_version", "reason"]
        table(columns, [[h.get(c) for c in columns] for h in found])


@audit.command("verify")
def audit_verify() -> None:
    """Prove that no row of the history was edited or removed."""
    from core.registry import audit as chain
    from core.registry import open_registry

    found = chain.verify(open_registry())
    if not found.ok:
        raise RegistryError(
            f"the audit chain breaks at row {found.seq}",
            why=found.what,
            try_next="compare with a backup of registry.db before trusting it",
        )
    print(f"{found.rows} rows, unbroken, head {found.head[:12]}")
