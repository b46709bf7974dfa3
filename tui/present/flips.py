"""Answers that changed between two versions: rows of a list, and one of them in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from core.evaluation.flips import Flip, Flips, counted, rank
from tui import clean
from tui.present import words
from tui.present.answers import cause_word
from tui.present.words import field, text
from tui.widgets.pull_table import InMemory
from tui.widgets.pull_table.columns import Column, Piece

EMPTY = "No answer changed from right to wrong or the other way round."
WHOLE = 20_000  # characters of an answer


def flips(found: Mapping[str, Any]) -> Sequence[Flip]:
    """All of them, from what `compare_scores` found."""
    return Flips.between(found).all


def source(found: Sequence[Flip]) -> InMemory[Flip]:
    return InMemory(
        found,
        key=lambda f: f.id,
        said=lambda f: " ".join(
            (_word(f), f.id, f.category, cause_word(f.cause), f.question, f.before, f.after)
        ),
        sorts={
            "change": rank,
            "id": lambda f: f.id,
            "category": lambda f: f.category,
            "cause": lambda f: f.cause,
            "question": lambda f: f.question,
            "before": lambda f: f.before,
            "after": lambda f: f.after,
        },
    )


def _word(f: Flip) -> str:
    if f.kind == "regression":
        return "severe" if f.severe else "worse"
    return "invents" if f.kind == "invented" else "better"


_SIGNS: Mapping[str, tuple[str, str]] = {
    "severe": ("▲", "loud"),
    "invents": ("▲", "loud"),
    "worse": ("✘", "bad"),
    "better": ("✔", "ok"),
}


def _change(f: Flip) -> Piece:
    word = _word(f)
    sign, role = _SIGNS[word]
    return f"{sign} {word}", role


COLUMNS: tuple[Column[Flip], ...] = (
    Column("change", "change", lambda f: (_change(f),), rank=0, least=8, most=10),
    Column("id", "question", lambda f: f.id, rank=1, least=8, most=24),
    Column("category", "category", lambda f: ((f.category, "dim"),), rank=5, least=18, most=24),
    Column(
        "cause", "cause now", lambda f: ((cause_word(f.cause), "dim"),), rank=4, least=9, most=20
    ),
    Column("question", "asked", lambda f: f.question, rank=2, least=20, most=80),
    Column("before", "was", lambda f: ((f.before, "dim"),), rank=6, least=20, most=60),
    Column("after", "now", lambda f: f.after, rank=7, least=20, most=60),
)


def title(found: Mapping[str, Any]) -> Text:
    names = (words.short_version(field(found, k) or "–") for k in ("a", "b"))
    return text("flips ", (" → ".join(names), "strong"))


def summary(found: Mapping[str, Any], listed: Sequence[Flip]) -> str:
    return (
        f"{counted(listed)} of {words.count(found.get('n'))}"
        f" · p {words.measured(found.get('p_value'))}"
    )


def in_full(flip: Flip, width: int) -> Text:
    word, role = _change(flip)
    out = text((f"{word}  ", role), (clean.line(flip.id, 120), "strong"))
    out.append(f"  {clean.line(flip.category, 80)}", "dim")
    if flip.kind == "invented":
        out.append("  right still, but it cites a source that does not exist", "dim")
    if flip.cause:
        out.append(f"  now {cause_word(flip.cause)}", "dim")
    out.append("\n\n")
    out.append(words.hang(clean.block(flip.question, WHOLE, 60), width, 0), "strong")
    for name, said in (("was", flip.before), ("now", flip.after)):
        out.append(f"\n{name}\n", "title")
        out.append(words.hang(clean.block(said, WHOLE, 300) or "(nothing)", width, 0))
    return out
