"""Answers that failed, by cause or by category: rows with counts, and a page for each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.text import Text

from core.evaluation.pages.words import CAUSES
from tui import clean
from tui.present import words
from tui.present.answers import Question, answered, cause_word, is_right
from tui.present.scores import Scores, interval, subject, systems
from tui.present.words import field, text

By = Literal["cause", "category"]
UNKNOWN = ""  # cause of a failure in which none was looked for
EXAMPLES = 12


@dataclass(frozen=True, slots=True)
class Group:
    """failed: its questions that are not right.  of: among how many; of a cause: among all failures."""

    key: str
    title: str
    failed: tuple[Question, ...]
    of: int


def grouped(scores: Scores, by: By) -> list[Group]:
    """By cause: every cause there is, the most frequent first. By category: the weakest first."""
    asked = answered(scores)
    failed = [q for q in asked if not is_right(q)]
    if by == "cause":
        known = field(field(scores, "causes"), subject(scores))
        empty = [str(k) for k in known] if isinstance(known, Mapping) else []
        parts = _parts(failed, "cause", [k for k in empty if k in CAUSES])
        found = [Group(k, cause_title(k), tuple(some), len(failed)) for k, some in parts.items()]
        return sorted(found, key=lambda g: (-len(g.failed), g.title))
    everything = _parts(asked, "category", [])
    wrong = _parts(failed, "category", list(everything))
    found = [
        Group(k, category_title(k), tuple(wrong[k]), len(some)) for k, some in everything.items()
    ]
    return sorted(found, key=lambda g: (-len(g.failed) / max(1, g.of), g.title))


def _parts(
    questions: Sequence[Question], name: str, keys: Sequence[str]
) -> dict[str, list[Question]]:
    out: dict[str, list[Question]] = {key: [] for key in keys}
    for q in questions:
        out.setdefault(str(q.get(name) or UNKNOWN), []).append(q)
    return out


def cause_title(cause: str) -> str:
    return cause_word(cause).capitalize() or "No cause found"


def category_title(category: str) -> str:
    return clean.line(category, 40).replace("_", " ") or "no category"


def row(group: Group, by: By, width: int) -> Text:
    """Title, bar, count; of a category how many of its questions."""
    n = len(group.failed)
    name = text((f"{group.title:<16}", "" if n else "dim"), " ")
    tally = text((f"{n:>4}", "strong" if n else "faint"))
    if by == "category":
        tally.append(f" of {group.of:<3}", "dim")
    role = "warn" if by == "cause" else "bad"
    room = width - name.cell_len - tally.cell_len - 1
    line = words.bar(n / max(1, group.of), room, role) if room >= 4 else text()
    return words.join(Text.assemble(name, line, end=""), tally, width)


def page(scores: Scores, group: Group, by: By, width: int) -> Text:
    """What a group is, what helps, how it is spread, and its first questions."""
    return _cause_page(group, width) if by == "cause" else _category_page(scores, group, width)


def _cause_page(group: Group, width: int) -> Text:
    _, meaning, helps = CAUSES.get(group.key, (group.title, "", ""))
    n = len(group.failed)
    out = text((group.title, "title"), (f"   {n} of {group.of} that are not right", "dim"))
    if meaning:
        out.append(f"\n{words.hang(meaning, width, 0).rstrip()}")
    if helps:
        out.append(f"\n{words.hang(f'→ {helps}', width, 0).rstrip()}", "accent")
    if not n:
        return out.append("\n\nno answer failed for this reason", "dim")
    out.append("\n\nin which categories", "dim")
    _spread(out, Counter(category_title(str(q.get("category") or "")) for q in group.failed), width)
    _examples(out, group.failed, width)
    return out


def _category_page(scores: Scores, group: Group, width: int) -> Text:
    n = len(group.failed)
    out = text((group.title, "title"), (f"   {n} of {group.of} not right", "dim"))
    measured = field(scores, "categories", {})
    out.append("\n\naccuracy of every system", "dim")
    for name in systems(scores):
        value = field(field(measured, name), group.key)
        share = words.number(field(value, "estimate"))
        own = name == subject(scores)
        out.append(f"\n{clean.line(name, 18):<18}", "strong" if own else "")
        out.append_text(words.bar(share, max(4, min(20, width - 36)), "accent" if own else "dim"))
        out.append(f" {interval(value)}", "" if own else "dim")
    if not n:
        return out
    out.append("\n\nwhy they failed", "dim")
    _spread(out, Counter(cause_title(str(q.get("cause") or "")) for q in group.failed), width)
    _examples(out, group.failed, width)
    return out


def _spread(out: Text, counts: Counter[str], width: int) -> None:
    total = sum(counts.values())
    for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        out.append(f"\n{name:<18}")
        out.append_text(words.bar(n / total, max(4, min(20, width - 36)), "warn"))
        out.append(f" {n:>4}", "")


def _examples(out: Text, some: Sequence[Mapping[str, Any]], width: int) -> None:
    out.append("\n\nquestions  ", "dim")
    out.append("enter lists them", "faint")
    for q in some[:EXAMPLES]:
        name = clean.line(q.get("id") or "–", 20)
        asked = text((name, ""), "  ", (clean.line(q.get("question") or "", 300), "dim"))
        out.append("\n")
        out.append_text(words.fit(asked, max(20, width - 1)))
    if len(some) > EXAMPLES:
        out.append(f"\nand {len(some) - EXAMPLES} more", "faint")
