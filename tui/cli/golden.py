"""`qa golden`: the golden set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.cli.show import as_json, say, table

app = typer.Typer(help="The golden set.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command("check")
def check_golden(file: Path, json: Json = False) -> None:
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
