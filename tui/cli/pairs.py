"""`qa pairs`: question/answer rows, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.cli.show import as_json, say, table

app = typer.Typer(help="Question/answer pairs.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command("check")
def check_pairs(
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
