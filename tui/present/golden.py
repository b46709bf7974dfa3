"""Rows and details of the golden set's editor."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tui import clean
from tui.desk.api_questions import CheckRow, GoldenView, QuestionRow
from tui.present import words
from tui.present.words import text


def question_row(row: QuestionRow, width: int) -> Text:
    shape, role = ("◇", "warn") if row.canary else ("↻", "accent") if row.live else ("·", "dim")
    left = text((f"{shape} ", role), (f"{clean.line(row.id, 20):<10} ", "dim"))
    left.append(clean.line(row.question, 200))
    return words.join(left, text((clean.line(row.set, 16), "dim")), width)


def category_row(name: str, shown: int, wanted: int, width: int) -> Text:
    enough = shown >= wanted
    left = text((clean.line(name, 40).replace("_", " "), "title"))
    right = text((str(shown), "strong" if enough else "warn"), (f" of {wanted} asked for", "dim"))
    return words.join(left, right, width)


def summary(view: GoldenView) -> str:
    canaries = sum(r.canary for r in view.rows)
    return f"{len(view.rows)} questions, {canaries} of them invented · version {view.version[:12]}"


def detail(row: QuestionRow, width: int) -> Text:
    out = text((clean.line(row.id, 40), "strong"), "\n")
    out.append(words.hang(clean.block(row.question, 2000, 20), width, 0))
    out.append("\nexpected answer\n", "title")
    out.append(words.hang(clean.block(row.answer, 4000, 40) or "none", width, 0))
    kinds = "invented: it must not be answered" if row.canary else ""
    kinds = kinds or ("a live tool's" if row.live else "from what is trained")
    out.append("\n")
    for label, value in (
        ("kind", kinds),
        ("key facts", str(row.facts)),
        ("wordings", f"{1 + row.paraphrases}"),
        ("set", clean.line(row.set, 60) or "the design's"),
        ("file", clean.line(row.file, 300)),
    ):
        out.append(f"{label:<11}", "dim")
        out.append(words.hang(value, max(20, width - 11), 11).lstrip())
    return out


def checks(rows: Sequence[CheckRow], width: int) -> Text:
    if not rows:
        return text(("✔ ", "ok"), "nothing is wrong with the set")
    out = text()
    for row in rows[:200]:
        shape, role = ("✘", "bad") if row.fault else ("▲", "warn")
        out.append(f"{shape} ", role)
        out.append(f"{clean.line(row.id, 30)}  " if row.id else "", "strong")
        out.append(words.hang(clean.line(row.what, 400), width, 2).lstrip())
        if row.try_next:
            out.append(words.hang(clean.line(row.try_next, 300), width, 4), "dim")
    if len(rows) > 200:
        out.append(f"and {len(rows) - 200} more: qa golden check\n", "dim")
    return out
