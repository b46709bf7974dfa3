"""`qa pairs`: question/answer rows, checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.cli.show import as_json, say, table

if TYPE_CHECKING:
    from core.pair_duplicates import Duplicates

app = typer.Typer(help="Question/answer pairs.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Files = Annotated[list[Path], typer.Argument(help="JSONL files")]


@app.command("check")
def check_pairs(
    files: Files,
    rejects: Annotated[Path | None, typer.Option(help="copy rejected rows there")] = None,
    json: Json = False,
) -> int:
    """Validate every row. Exit 2 if a row had to be rejected; good rows are counted either way."""
    from core.pairs import Problem, Reading, Report

    problems: list[Problem] = []

    def tell(problem: Problem) -> None:
        if json:
            problems.append(problem)
        else:
            say(str(problem))

    reading = Reading(files, rejects=rejects, on_problem=tell)
    for _ in reading:
        pass
    if json:
        as_json(Report(problems=problems, rows=reading.rows, files=reading.files).as_json())
    else:
        rows = [[name, c.rows, c.good, c.rows - c.good] for name, c in reading.files.items()]
        table(["file", "rows", "good", "rejected"], rows)
    return 2 if reading.rejected else 0


@app.command("duplicates")
def list_duplicates(
    files: Files,
    threshold: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="how alike, as Jaccard similarity")
    ] = 0.8,
    json: Json = False,
) -> None:
    """Pairs that teach the same twice, with the one to keep; questions that are answered in two ways."""
    from core.pair_duplicates import find
    from core.pairs import Reading

    found = find(Reading(files), threshold)
    if json:
        as_json(found)
    else:
        _show(found)


def _show(found: Duplicates) -> None:
    rows: list[list[object]] = []
    for group in found.groups:
        verb = "keep" if group.basis == "question+answer" else "read"
        rows.append([verb, group.keeper.id, group.keeper.source, "", "", group.keeper.question])
        verb = "drop" if group.basis == "question+answer" else "read"
        rows += [[verb, m.id, m.source, m.how, m.similarity, m.question] for m in group.others]
    if rows:
        table(["", "id", "source", "how", "alike", "question"], rows)
    for conflict in found.conflicts:
        say(f"says two things: {conflict.question}")
        for answer in conflict.answers:
            say(f"  {', '.join(answer.ids)}: {answer.answer}")
    drop = sum(len(g.others) for g in found.groups if g.basis == "question+answer")
    say(
        f"{found.pairs} pairs, {drop} could be dropped, "
        f"{len(found.conflicts)} questions are answered in more than one way"
    )
