"""`qa pairs`, `qa citations`, `qa snapshots`, `qa sources`, `qa golden`: what the model learns from."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tui.cli.show import as_json, say, table

pairs = typer.Typer(help="Question/answer pairs.", no_args_is_help=True)
citations = typer.Typer(help="<<SRC:domain:entity_id>> markers.", no_args_is_help=True)
snapshots = typer.Typer(help="Frozen data sets.", no_args_is_help=True)
sources = typer.Typer(help="What a marker may point to.", no_args_is_help=True)
golden = typer.Typer(help="The golden set.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@pairs.command("check")
def pairs_check(
    files: Annotated[list[Path], typer.Argument(help="JSONL files")],
    rejects: Annotated[Path | None, typer.Option(help="copy rejected rows there")] = None,
    json: Json = False,
) -> int:
    """Validate every row. Exit 2 if a row had to be rejected; good rows are counted either way."""
    from core.pairs import read_pairs

    report = read_pairs(files, rejects=rejects)
    if json:
        as_json(report.as_json())
    else:
        for problem in report.problems:
            say(str(problem))
        rows = [[name, c.rows, c.good, c.rows - c.good] for name, c in report.files.items()]
        table(["file", "rows", "good", "rejected"], rows)
    return 2 if report.rejected else 0


@citations.command("find")
def citations_find(json: Json = False) -> None:
    """Markers in the text on stdin; offsets in code points."""
    from core.citations import find

    found = [asdict(m) for m in find(sys.stdin.read())]
    _markers(found, ["source_id", "start", "end"], json)


@citations.command("check")
def citations_check(json: Json = False) -> None:
    """As find, with the class of each marker and what it points to."""
    from core import citations as grammar
    from core.registry import open_registry
    from core.registry import sources as store

    text = sys.stdin.read()
    found = [
        {
            "text": c.text,
            "class": c.cls,
            "start": c.start,
            "end": c.end,
            "display_name": c.source.display_name if c.source else None,
            "url": c.source.url if c.source else None,
        }
        for c in grammar.classify(text, store.index(open_registry()), None)
    ]
    _markers(found, ["text", "class", "display_name", "url"], json)


def _markers(found: list[dict[str, Any]], columns: list[str], json: bool) -> None:
    if json:
        as_json(found)
    else:
        table(columns, [[f[c] for c in columns] for f in found])


@snapshots.command("list")
def snapshots_list(json: Json = False) -> None:
    """Every frozen snapshot, newest first."""
    from core.registry import open_registry
    from core.registry import snapshots as store

    found = [_about(s) for s in store.list(open_registry())]
    if json:
        as_json(found)
    else:
        columns = ["dataset_version", "qa_pair_count", "created_at", "parent"]
        table(columns, [[f[c] for c in columns] for f in found])


@snapshots.command("show")
def snapshots_show(snapshot: str) -> None:
    """One snapshot with its counts and pair ids."""
    from core.registry import open_registry
    from core.registry import snapshots as store

    s = store.load(open_registry(), snapshot)
    as_json({**_about(s), "qa_pair_ids": s.pair_ids})


@snapshots.command("diff")
def snapshots_diff(a: str, b: str, json: Json = False) -> None:
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


@snapshots.command("freeze")
def snapshots_freeze(
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


@sources.command("list")
def sources_list(json: Json = False) -> None:
    """Every known source."""
    from core.registry import open_registry
    from core.registry import sources as store

    found = store.rows(open_registry())
    if json:
        as_json(found)
    else:
        columns = ["source_id", "status", "display_name", "url"]
        table(columns, [[f[c] for c in columns] for f in found])


@sources.command("unknown")
def sources_unknown(json: Json = False) -> None:
    """Sources that answers cited and the registry does not know, with counts."""
    from core.registry import open_registry
    from core.registry import sources as store

    found = store.unknown(open_registry())
    if json:
        as_json(found)
    else:
        table(
            ["source_id", "times", "first seen", "last seen"],
            [[u.source_id, u.occurrences, u.first_seen, u.last_seen] for u in found],
        )


@golden.command("check")
def golden_check(file: Path, json: Json = False) -> None:
    """Labels, counts by category, and near-duplicates of training questions."""
    from core.corpus import pair_files
    from core.evaluation.golden import DESIGN_COUNTS, category_counts, golden_sha256, load_golden
    from core.evaluation.near_duplicates import near_duplicates
    from core.pairs import read_pairs

    questions = load_golden(file)
    counts = category_counts(questions)
    close = near_duplicates(
        [q.question for q in questions], [p.question for p in read_pairs(pair_files()).pairs]
    )
    if json:
        as_json(
            {
                "n": len(questions),
                "sha256": golden_sha256(file),
                "categories": counts,
                "near_duplicates": close,
            }
        )
        return
    table(
        ["category", "questions", "design"],
        [[c, counts.get(c, 0), n] for c, n in DESIGN_COUNTS.items()],
    )
    for d in close:
        say(f"near-duplicate: {d}")
