"""Rows and details of the source registry."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tui import clean
from tui.desk.api import SourceRow, UnknownRow
from tui.desk.api_lists import ExampleRow
from tui.present import words
from tui.present.words import text
from tui.widgets.pull_table.columns import Cell, Column

STATUS = {"active": ("●", "ok"), "renamed": ("→", "warn"), "tombstoned": ("✘", "dim")}
BEFORE = 240  # characters of an answer before the marker
EMPTY = "No source is known: import one with `qa sources import FILE`."


def _state(row: SourceRow) -> Cell:
    return [STATUS.get(row.status, ("·", "dim"))]


def _id(row: SourceRow) -> Cell:
    return [(row.source_id, "" if row.status == "active" else "dim")]


def _leads(row: SourceRow) -> Cell:
    to = f" → {row.leads_to}" if row.leads_to else ""
    return [(row.display_name, "dim"), (to, "warn")]


KNOWN: tuple[Column[SourceRow], ...] = (
    Column("status", "", _state, 0, least=1),
    Column("id", "id", _id, 1, least=40, most=70),
    Column("name", "name", _leads, 2, least=18, most=70),
    Column("address", "address", lambda row: [(row.url or "–", "dim")], 3, least=24, most=80),
    Column("checked", "checked", lambda row: [(row.checked_at[:10] or "–", "dim")], 4, least=10),
)
UNKNOWN: tuple[Column[UnknownRow], ...] = (
    Column("shape", "", lambda row: [("▲", "warn")], 0, least=1, sorts=False),
    Column("id", "id", lambda row: row.source_id, 0, least=46, most=70),
    Column(
        "cited",
        "cited",
        lambda row: [(f"{row.occurrences:,}×", "strong")],
        1,
        least=5,
        right=True,
        descending=True,
    ),
    Column(
        "last", "last seen", lambda row: [(_minute(row.last_seen), "dim")], 2, least=16, descending=True
    ),
    Column(
        "version",
        "version",
        lambda row: [(words.short_version(row.model_version) or "–", "dim")],
        3,
        least=8,
        most=20,
    ),
    Column("example", "example", lambda row: [(row.example, "dim")], 4, least=24, most=90, sorts=False),
)  # fmt: skip


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def unknown_detail(
    row: UnknownRow, width: int, examples: Sequence[ExampleRow] | None = None
) -> Text:
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
    for key, meaning in (
        ("r", "it is a source"),
        ("a", "it is another name of one"),
        ("d", "it is none"),
    ):
        out.append(f"\n{key} ", "key")
        out.append(meaning, "dim")
    out.append("\n")
    out.append("\nwhere it was cited last\n", "title")
    example = clean.block(row.example, 2000, 40) or "no example was kept"
    out.append(words.hang(example, width, 0))
    if examples:
        out.append("\nin stored answers\n", "title")
    for found in examples or ():
        version = words.short_version(found.model_version) or "base model"
        out.append(words.hang(clean.line(found.question, 300), width, 0), "strong")
        out.append_text(_around(found.answer, row.source_id, width))
        out.append(f"  {version}, {_minute(found.at)}\n\n", "dim")
    return out


def _around(answer: str, source_id: str, width: int) -> Text:
    """What an answer says before the marker, and the marker."""
    marker = f"<<SRC:{source_id}>>"
    before, found, _ = answer.partition(marker)
    if len(before) > BEFORE:
        before = "…" + before[-BEFORE:]
    out = text(words.hang(clean.line(before, 2 * BEFORE), width, 2).rstrip("\n"))
    out.append(f"\n  {clean.line(found, 300)}\n", "warn")
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
