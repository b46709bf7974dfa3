"""Rows of the notice history."""

from __future__ import annotations

from rich.text import Text

from tui.notices import Notice
from tui.present import words
from tui.present.words import text

SHAPES = {"error": ("✘", "bad"), "warning": ("▲", "warn")}


def row(notice: Notice, width: int) -> Text:
    """Time, severity, title and the first line: one row."""
    shape, role = SHAPES.get(notice.severity, ("·", "dim"))
    first = notice.text.partition("\n")[0]
    out = text((words.moment(notice.at, year=False), "dim"), " ", (f"{shape} ", role))
    if notice.title:
        out.append(notice.title, "strong")
        out.append("  ")
    out.append(first, None if not notice.title else "dim")
    return words.fit(out, width)


def whole(notice: Notice) -> Text:
    shape, role = SHAPES.get(notice.severity, ("·", "dim"))
    out = text((f"{shape} {notice.severity or 'information'}", role))
    where = f", on {notice.where}" if notice.where else ""
    out.append(f"  {words.moment(notice.at)}{where}\n", "dim")
    if notice.title:
        out.append(f"{notice.title}\n", "strong")
    out.append(notice.text)
    return out
