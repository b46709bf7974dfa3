"""Rows and details of the source registry."""

from __future__ import annotations

from rich.text import Text

from tui import clean
from tui.desk.api import SourceRow, SourcesView, UnknownRow
from tui.present import words
from tui.present.words import text

STATUS = {"active": ("●", "ok"), "renamed": ("→", "warn"), "tombstoned": ("✘", "dim")}
EMPTY = "No source is known: import one with `qa sources import FILE`."


def heading(name: str, count: int, total: int | None, width: int) -> Text:
    number = str(count) if total is None or total == count else f"{count} of {total}"
    return words.join(text((name, "title")), text((number, "dim")), width)


def unknown_row(row: UnknownRow, width: int) -> Text:
    left = text(("▲ ", "warn"), clean.line(row.source_id, 200))
    return words.join(left, text((f"{row.occurrences}×", "strong")), width)


def known_row(row: SourceRow, width: int) -> Text:
    shape, role = STATUS.get(row.status, ("·", "dim"))
    left = text(
        (f"{shape} ", role), (clean.line(row.source_id, 200), "" if role == "ok" else "dim")
    )
    if width < 70:
        return words.fit(left, width)
    name = text((clean.line(row.display_name, 60), "dim"))
    return words.join(left, name, width)


def unknown_detail(row: UnknownRow, width: int) -> Text:
    out = text((clean.line(row.source_id, 400), "strong"), "\n")
    times = "once" if row.occurrences == 1 else f"{row.occurrences} times"
    out.append(f"▲ cited {times}, and the registry does not know it\n\n", "warn")
    for label, value in (
        ("first seen", row.first_seen[:19].replace("T", " ")),
        ("last seen", row.last_seen[:19].replace("T", " ")),
        ("version", row.model_version or "–"),
        ("by pattern", row.proposed_url or "no URL pattern for this domain"),
    ):
        out.append(f"{label:<12}", "dim")
        out.append(words.hang(clean.line(value, 300), width, 12).lstrip())
    out.append("\nan example\n", "title")
    example = clean.block(row.example, 2000, 40) or "none was kept"
    out.append(words.hang(example, width, 0))
    out.append("\nr it is a source   a it is another name of one   d it is none\n", "dim")
    return out


def known_detail(row: SourceRow, width: int) -> Text:
    shape, role = STATUS.get(row.status, ("·", "dim"))
    out = text((clean.line(row.source_id, 400), "strong"), "\n")
    out.append(f"{shape} {clean.line(row.status, 20)}\n\n", role)
    for label, value in (
        ("shown as", row.display_name),
        ("address", row.url or "none"),
        ("leads to", row.leads_to),
        ("checked", row.checked_at[:19].replace("T", " ")),
    ):
        if value:
            out.append(f"{label:<12}", "dim")
            out.append(words.hang(clean.line(value, 400), max(20, width - 12), 12).lstrip())
    if row.status == "renamed":
        out.append("\nAnswers that cite this id are counted as stale.\n", "dim")
    if row.url and not row.link:
        out.append(
            "\n▲ Not an http or https address: readers get the name without a link.\n", "warn"
        )
    return out


def summary(view: SourcesView) -> str:
    n = len(view.unknown)
    return f"{view.total} known · {n} unknown" if n else f"{view.total} known"
