"""`qa snapshots`: frozen data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.cli.show import as_json, say, table

if TYPE_CHECKING:
    from core.contamination import Contamination
    from core.registry.snapshot_changes import Changes

app = typer.Typer(help="Frozen data sets.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Place = Annotated[Path, typer.Argument(help="a folder, or a .jsonl file to write beside")]


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
def show_snapshot(snapshot: str, json: Json = False) -> None:
    """One snapshot with its counts; --json adds the pair ids."""
    from core.registry import open_registry
    from core.registry import snapshots as store

    reg = open_registry()
    if json:
        s = store.load(reg, snapshot)
        as_json({**_about(s), "manifest_sha256": s.manifest_hash, "qa_pair_ids": s.pair_ids})
        return
    row = store.row(reg, snapshot)
    about = _about(row) | {"manifest_sha256": row.manifest_hash}
    breakdowns = [about.pop("source_breakdown"), about.pop("domain_breakdown")]
    table(["field", "value"], about.items())
    for name, counts in zip(("source", "domain"), breakdowns, strict=True):
        print()
        table([name, "pairs"], counts.items())


@app.command("diff")
def diff_snapshots(a: str, b: str, json: Json = False) -> None:
    """What b has against a, by domain, entity and fact; and the share of new pairs that the version
    rule looks at."""
    from core.registry import open_registry
    from core.registry.snapshot_changes import between

    changes = between(open_registry(), a, b)
    if json:
        d = changes.pairs
        as_json(
            {
                "a": a,
                "b": b,
                "added": d.added,
                "removed": d.removed,
                "changed": d.changed,
                "new": d.new,
                "share_new": d.share_new,
                "by_domain": changes.domains,
                "by_entity": changes.entities,
                "by_fact": changes.facts,
            }
        )
    else:
        _show_changes(changes)


@app.command("freeze")
def freeze_files(
    files: Annotated[list[Path], typer.Argument(help="JSONL files")],
    parent: Annotated[str | None, typer.Option(help="the snapshot this one follows")] = None,
    rejects: Annotated[Path | None, typer.Option(help="copy rejected rows there")] = None,
    json: Json = False,
) -> None:
    """Freeze the good rows of the files; rejected rows are told on stderr."""
    from core.pairs import Reading
    from core.registry import open_registry
    from core.registry import snapshots as store

    def tell(problem: Any) -> None:
        if not problem.usable:
            say(str(problem))

    reading = Reading(files, rejects=rejects, on_problem=tell)
    snapshot = store.freeze(open_registry(), reading, parent=parent)
    say(f"{reading.rejected} rows rejected")
    if json:
        counts = {"rows": reading.rows, "rejected": reading.rejected}
        as_json({**_about(snapshot), **counts})
    else:
        print(snapshot.id)


@app.command("verify")
def verify_snapshots(
    snapshots: Annotated[list[str] | None, typer.Argument(help="default: all")] = None,
    json: Json = False,
) -> int:
    """Compute every hash again. Exit 5 if something was changed or is missing."""
    from core.registry import open_registry
    from core.registry import snapshots as store

    reg = open_registry()
    names = snapshots or [s.dataset_version for s in store.list(reg)]
    faults = {name: store.verify(reg, name) for name in names}
    if json:
        as_json([{"dataset_version": n, "ok": not f, "faults": f} for n, f in faults.items()])
    else:
        rows = [[n, "holds" if not f else f[0], len(f)] for n, f in faults.items()]
        table(["dataset_version", "first fault", "faults"], rows)
    return 5 if any(faults.values()) else 0


@app.command("export")
def export_snapshot(snapshot: str, path: Place, json: Json = False) -> None:
    """Write pairs, manifest and a description as files; the same snapshot gives the same bytes."""
    from core.registry import open_registry
    from core.registry.snapshot_files import export

    files = export(open_registry(), snapshot, path)
    if json:
        as_json({"dataset_version": snapshot, "files": [files.pairs, files.manifest, files.meta]})
    else:
        for file in (files.pairs, files.manifest, files.meta):
            print(file)


@app.command("restore")
def restore_snapshot(
    path: Place,
    no_parent: Annotated[
        bool, typer.Option("--no-parent", help="drop the link to the snapshot before it")
    ] = False,
    json: Json = False,
) -> None:
    """Store an exported snapshot under its own id, every hash computed again."""
    from core.registry import open_registry
    from core.registry.snapshot_files import restore

    snapshot = restore(open_registry(), path, keep_parent=not no_parent)
    if json:
        as_json(_about(snapshot))
    else:
        print(snapshot.id)


@app.command("contamination")
def show_contamination(
    snapshot: str,
    golden: Annotated[
        Path | None, typer.Option(help="a golden set; default: the corpus' own")
    ] = None,
    json: Json = False,
) -> None:
    """Which golden questions the snapshot gives away: by wording, and whether the fact is trained."""
    from core.corpus import corpus_dir
    from core.evaluation.golden import load_golden
    from core.evaluation.strata import strata
    from core.registry import open_registry
    from core.registry import snapshots as store

    questions = load_golden(golden or corpus_dir() / "golden.jsonl")
    found = strata(questions, store.iter_pairs(open_registry(), snapshot))
    if json:
        as_json({"dataset_version": snapshot, **found.as_json()})
    else:
        _show_contamination(found)


def _show_changes(changes: Changes) -> None:
    for what, tallies in (("domain", changes.domains), ("entity", changes.entities)):
        if tallies:
            rows = [[name, t.added, t.removed, t.changed] for name, t in tallies.items()]
            table([what, "added", "removed", "changed"], rows)
            print()
    said = [
        [" ".join(f.entities), f.fact, f.before, f.after]
        for f in changes.facts
        if f.before and f.after
    ]
    if said:
        table(["entity", "fact", "said before", "says now"], said)
        print()
    d = changes.pairs
    print(
        f"{len(d.added)} added, {len(d.removed)} removed, {len(d.changed)} changed; "
        f"{100 * d.share_new:.1f} % new"
    )


def _show_contamination(found: Contamination) -> None:
    n = len(found.findings) or 1
    table(["stratum", "questions", "%"], [[k, v, 100 * v / n] for k, v in found.strata.items()])
    print()
    table(["wording", "questions", "%"], [[k, v, 100 * v / n] for k, v in found.tests.items()])
    alike = [f for f in found.findings if f.wordings]
    if alike:
        print()
        rows = [[f.golden_id, w.test, w.similarity, w.pair_id] for f in alike for w in f.wordings]
        table(["golden", "wording", "alike", "pair"], rows)
    for f in found.findings:
        if f.conflict:
            say(f"{f.golden_id}: its question is trained with another answer")


def _about(s: Any) -> dict[str, Any]:
    return {
        "dataset_version": s.dataset_version,
        "qa_pair_count": s.pair_count,
        "source_breakdown": s.source_breakdown,
        "domain_breakdown": s.domain_breakdown,
        "created_at": s.created_at,
        "parent": s.parent,
    }
