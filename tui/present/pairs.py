"""Rows of a long list of pairs, and one of them in full."""

from __future__ import annotations

from pathlib import PurePath

from rich.text import Text

from tui import clean
from tui.desk.api_pairs import LaidOut, PairRow, PairsOf, PairView
from tui.present import words
from tui.present.words import text
from tui.widgets.pull_table.columns import Cell, Column

TURN = 20_000  # characters of one turn


def _id(row: PairRow) -> Cell:
    if row.fault:
        return (("✘ ", "bad"), (row.id or row.fault, "bad"))
    return row.id


# what is cut says little: a domain has its room or none
COLUMNS: tuple[Column[PairRow], ...] = (
    Column("n", "row", lambda r: ((f"{r.n}", "dim"),), rank=2, least=3, right=True),
    Column("id", "id", _id, rank=1, least=20, most=40),
    Column("domain", "domain", lambda r: ((r.domain, "dim"),), rank=3, least=18, most=22),
    Column("source", "kind", lambda r: ((r.source, "dim"),), rank=5, least=14, most=16),
    Column("question", "question", lambda r: r.question, rank=0, least=30, most=90),
    Column("answer", "answer", lambda r: ((r.answer, "dim"),), rank=6, least=24, most=90),
)  # fmt: skip
FAULT: Column[PairRow] = Column(
    "fault", "fault", lambda r: ((r.fault, "bad"),), rank=4, least=6, most=20
)
"""Of a file's rows; a snapshot has good ones only."""
EMPTY = "No pair holds these words."


def title(of: PairsOf) -> Text:
    name = of.name if of.kind == "snapshot" else PurePath(of.name).name
    return text("pairs of ", (clean.line(name, 60), "strong"))


def growing(state: LaidOut | None) -> str:
    """While the list is laid out: how far it is; "" once all of it is there."""
    return "" if state is None or state.complete else f"reading… {words.percent(state.share)} · "


def in_full(view: PairView, width: int) -> Text:
    row = view.row
    out = text((clean.line(row.id or f"row {row.n}", 200), "strong"))
    if row.fault:
        out.append(f"  ✘ rejected: {clean.line(row.fault, 60)}", "bad")
    out.append("\n")
    if row.domain:
        out.append(f"{clean.line(row.domain, 80)}  {clean.line(row.source, 60)}\n", "dim")
    for fault in view.faults:
        out.append(words.hang(clean.line(fault, 400), width, 0), "warn")
    for role, said in view.turns:
        out.append(f"\n{clean.line(role, 40)}\n", "title")
        out.append(words.hang(clean.block(said, TURN, 400), width, 0))
    if view.text:
        out.append("\nthe line\n", "title")
        out.append(words.hang(clean.block(view.text, TURN, 200), width, 0), "dim")
    if view.source_ref or view.content_hash:
        out.append("\nfrom\n", "title")
        for said in (view.source_ref, view.content_hash and f"content {view.content_hash}"):
            if said:
                out.append(words.hang(clean.line(said, 400), width, 0), "dim")
    if view.more:
        out.append("\nwhat else it says\n", "title")
        out.append(words.hang(clean.block(view.more, TURN, 200), width, 0), "dim")
    return out
