"""`qa audit`: the history of the registry, and the proof that nobody changed it."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import RegistryError
from tui.cli.show import as_json, table

app = typer.Typer(help="The history of the registry.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command("list")
def list_entries(
    subject: Annotated[str | None, typer.Option(help="a version, a source, an environment")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many")] = 50,
    json: Json = False,
) -> None:
    """Who did what, from where, when and why; newest first."""
    from core.registry import audit, open_registry

    with open_registry() as reg:
        found = audit.entries(reg, subject=subject, limit=limit)
    if json:
        as_json(found)
        return
    table(
        ["row", "at", "who", "from", "what", "subject", "why"],
        [[str(e.seq), e.at, e.who, e.origin, e.action, e.subject, e.why] for e in found],
    )


@app.command()
def verify(
    against: Annotated[
        str | None, typer.Option(help="a head noted earlier, as this command prints it")
    ] = None,
    json: Json = False,
) -> int:
    """Prove that no row of the history was edited, inserted, exchanged or removed. Exit 5 if one was."""
    from core.registry import audit, open_registry

    with open_registry() as reg:
        found = audit.verify(reg, against)
    if json:
        as_json(found)
        return 0 if found.ok else RegistryError.exit_code
    if not found.ok:
        place = "" if found.seq is None else f" at row {found.seq}"
        raise RegistryError(
            f"the audit chain breaks{place}",
            why=found.what,
            try_next="compare with a backup of registry.db before trusting it",
        )
    print(f"{found.rows} rows, unbroken, head {found.rows}:{found.head}")
    return 0
