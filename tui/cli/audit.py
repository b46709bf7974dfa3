"""`qa audit`: the history of the registry, and the proof that nobody changed it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from core.errors import RegistryError
from tui.cli.show import as_json, say, table

app = typer.Typer(help="The history of the registry.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
SHOWN = 20  # of the records that do not fit; --json names all


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
    """Prove that no row of the history was edited, inserted, exchanged or removed, and that versions,
    scores, approvals and deployments are as it tells. Exit 5 if not.
    """
    from core.registry import audit, open_registry, reconcile

    # not seeded: what is to be proved is not written to first
    with open_registry(seed=False) as reg:
        found = audit.verify(reg, against)
        records = list(reconcile.check(reg)) if found.ok else []
    if json:
        as_json({**asdict(found), "ok": found.ok and not records, "records": records})
        return 0 if found.ok and not records else RegistryError.exit_code
    if not found.ok:
        place = "" if found.seq is None else f" at row {found.seq}"
        raise RegistryError(f"the audit chain breaks{place}", why=found.what, try_next=_TRY)
    if records:
        for what in records[1:SHOWN]:
            say(what)
        raise RegistryError(
            f"the audit is unbroken, but {len(records)} of the records"
            f" {'do' if len(records) > 1 else 'does'} not fit it",
            why=records[0],
            try_next=_TRY,
        )
    print(f"{found.rows} rows, unbroken, head {found.rows}:{found.head}")
    return 0


_TRY = "compare with a backup of registry.db before trusting it (qa registry status lists them)"
