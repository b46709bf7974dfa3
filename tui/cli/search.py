"""`qa search`: pairs of the frozen snapshots by their words."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tui.cli.show import as_json, problem, say, table

if TYPE_CHECKING:
    from core.registry import Registry


def add_to(app: typer.Typer) -> None:
    app.command("search")(search_pairs)


def search_pairs(
    text: Annotated[list[str], typer.Argument(help="words; nothing in them is syntax")],
    snapshot: Annotated[str | None, typer.Option(help="only pairs of this snapshot")] = None,
    answers: Annotated[bool, typer.Option("--answers", help="search the answers")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 10,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Find pairs: first those with every word, then with all but one, then with the rarest."""
    from core.registry import open_registry, search

    with open_registry() as reg:
        catch_up(reg)
        hits = search.find(reg, " ".join(text), snapshot=snapshot, answers=answers, limit=limit)
        where = search.snapshots_with(reg, [h.content_hash for h in hits])
    if json:
        as_json([{**asdict(h), "snapshots": where.get(h.content_hash, ())} for h in hits])
        return
    table(
        ["id", "domain", "source", "score", "tier", "question", "answer"],
        [[h.pair_id, h.domain, h.source, h.score, h.tier, h.question, h.answer] for h in hits],
    )
    if not hits:
        say("no pair has any of these words")


def catch_up(reg: Registry) -> None:
    """Snapshots frozen before there was an index, or by a process that was stopped."""
    from core.errors import QAError
    from core.registry import search_index, snapshots

    waiting = search_index.pending(reg)
    if not waiting:
        return
    say(f"building the search index of {len(waiting)} snapshots")
    try:
        snapshots.build_search(reg)
    except QAError as e:  # a file that cannot be written can still be read
        problem(e)
        say("searching what is indexed so far")
