"""`qa snapshots`: frozen data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tui.cli.show import as_json, say, table

app = typer.Typer(help="Frozen data sets.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command("list")
def list_snapshots(json: Json = False) -> None:
    """Every frozen snapshot, newest first."""
    from core.registry import open_registry
    from core.registry import snapshots as store

    found = [_about(s) for s in store.list(open_registry())]
    if json:
        as_json(found)
    else:
        columns = ["dataset_version", "qa_pair_count", "created_at", "parent"]
        table(columns, [[f[c] for c in columns] for f in found])


@app.command("show")
def show_snapshot(snapshot: str) -> None:
    """One snapshot with its counts and pair ids."""
    from core.registry import open_registry
    from core.registry import snapshots as store

    s = store.load(open_registry(), snapshot)
    as_json({**_about(s), "qa_pair_ids": s.pair_ids})


@app.command("diff")
def diff_snapshots(a: str, b: str, json: Json = False) -> None:
    """What b has against a, and the share of new pairs that the version rule looks at."""
    from core.registry import open_registry
    from core.registry import snapshots as store
    from core.snapshots import diff

    reg = open_registry()
    d = diff(store.load(reg, a), store.load(reg, b))
    if json:
        as_json(d)
    else:
        print(
            f"{len(d.added)} added, {len(d.removed)} removed, {len(d.changed)} changed; "
            f"{100 * d.share_new:.1f} % new"
        )


@app.command("freeze")
def freeze_files(
    files: Annotated[list[Path], typer.Argument(help="JSONL files")],
    parent: Annotated[str | None, typer.Option(help="the snapshot this one follows")] = None,
) -> None:
    """Freeze the good rows of the files."""
    from core.pairs import read_pairs
    from core.registry import open_registry
    from core.registry import snapshots as store
    from core.snapshots import freeze

    report = read_pairs(files)
    snapshot = freeze(report.require_pairs(), parent=parent)
    store.save(open_registry(), snapshot, report.pairs)
    say(f"{report.rejected} rows rejected")
    print(snapshot.id)


def _about(s: Any) -> dict[str, Any]:
    return {
        "dataset_version": s.dataset_version,
        "qa_pair_count": s.pair_count,
        "source_breakdown": s.source_breakdown,
        "domain_breakdown": s.domain_breakdown,
        "created_at": s.created_at,
        "parent": s.parent,
    }
