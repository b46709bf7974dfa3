"""Rows and detail of the pilot checklist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.text import Text

from tui import clean
from tui.desk.api import EvidenceRow, ItemRow
from tui.present import words
from tui.present.words import text

FINISHED = frozenset({"done", "warned"})


def next_item(items: Sequence[ItemRow]) -> ItemRow | None:
    """The first item that is not finished, in the order of the list."""
    return next((i for i in items if i.state not in FINISHED), None)


def progress(items: Sequence[ItemRow], decision: str, width: int) -> Text:
    """`11 of 16 done ███░ next: …` and, once taken, the decision."""
    if not items:
        return words.fit(text(("No checklist loaded yet", "dim")), width)
    done = sum(i.state in FINISHED for i in items)
    left = text((f"{done} of {len(items)}", "strong"), " done  ")
    if width >= 100:
        left.append_text(words.bar(done / len(items), 16, "ok"))
        left.append("  ")
    following = next_item(items)
    if following is None:
        left.append("all items done", "ok")
    else:
        left.append("next: ", "dim")
        left.append(_title(following))
    right = text()
    if decision:
        word, role = words.verdict(decision)
        right = text(("decision ", "dim"), (word, role))
    return words.join(left, right, width)


def by_week(items: Iterable[ItemRow]) -> list[tuple[int, str, list[ItemRow]]]:
    """(week, title, items) in the order given."""
    groups = groupby(items, key=lambda i: (i.week, i.week_title))
    return [(week, title, list(members)) for (week, title), members in groups]


def heading(week: int, title: str, items: Sequence[ItemRow], width: int) -> Text:
    done = sum(i.state in FINISHED for i in items)
    name = f"Week {week} · {clean.line(title, 60)}"
    role = "ok" if done == len(items) else "dim"
    return words.join(text((name, "title")), text((f"{done}/{len(items)}", role)), width)


def row(item: ItemRow, width: int, *, running: bool = False) -> Text:
    shape, role = words.state("running" if running else item.state)
    title_role = "dim" if item.state in FINISHED and not running else ""
    left = text("  ", (shape, role), " ", (_title(item), title_role))
    return words.fit(left, width)


def detail(
    item: ItemRow, *, width: int = 60, running: bool = False, said: Sequence[str] = ()
) -> Text:
    """What the item checks, the live lines of a running check, and its evidence, newest first."""
    shape, role = words.state("running" if running else item.state)
    out = text((_title(item), "strong"), "\n")
    out.append(f"{shape} {'running' if running else clean.line(item.state, 20)}", role)
    out.append(f"   week {item.week} · {clean.line(item.week_title, 60)}\n\n", "dim")
    out.append(clean.block(item.checks) + "\n")
    if running or said:
        out.append("\nrunning now\n" if running else "\nlast run\n", "title")
        for line in said or ("…",):
            out.append("│ ", "faint")
            out.append(clean.line(line) + "\n")
    out.append("\nevidence", "title")
    if not item.evidence:
        out.append("\nnone yet: ", "dim")
        out.append("enter", "key")
        out.append(" runs the check, ", "dim")
        out.append("n", "key")
        out.append(" adds a note", "dim")
        return out
    out.append(f"  {len(item.evidence)}, newest first\n" if len(item.evidence) > 1 else "\n", "dim")
    for evidence in item.evidence:
        out.append_text(_evidence(evidence, width))
    return out


def _evidence(evidence: EvidenceRow, width: int) -> Text:
    shape, role = words.state(evidence.outcome)
    out = text((f"{shape} {words.moment(evidence.at)}", role))
    out.append(f"  {clean.line(evidence.who, 40)}\n", "dim")
    out.append(words.hang(clean.block(evidence.summary), width))
    if evidence.detail:
        out.append(words.hang(clean.block(evidence.detail), width), "dim")
    if evidence.job_id:
        out.append("  o ", "key")
        out.append(f"{clean.line(evidence.job_id, 60)}\n", "dim")
    return out


def _title(item: ItemRow) -> str:
    """Without the backticks of the design's Markdown."""
    return clean.line(item.title).replace("`", "")
