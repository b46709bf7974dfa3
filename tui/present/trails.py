"""Rows of the audit, and one of them in full."""

from __future__ import annotations

import json

from rich.text import Text

from tui import clean
from tui.desk.api_lists import AuditRow
from tui.present import words
from tui.present.words import text
from tui.widgets.pull_table.columns import Column

EMPTY = "No row of the audit holds these words."
WHOLE = 20_000  # characters of a value

COLUMNS: tuple[Column[AuditRow], ...] = (
    Column("seq", "row", lambda r: ((f"{r.seq}", "dim"),), rank=3, least=4, right=True,
           descending=True),
    Column("at", "when", lambda r: ((words.moment(r.at), "dim"),), rank=1, least=10, most=24,
           descending=True),
    Column("action", "action", lambda r: r.action, rank=0, least=14, most=30),
    Column("subject", "about", lambda r: r.subject, rank=4, least=8, most=24),
    Column("who", "who", lambda r: r.who, rank=2, least=6, most=20),
    Column("why", "why", lambda r: ((r.why, "dim"),), rank=5, least=10, most=60),
    Column("origin", "from", lambda r: ((r.origin, "dim"),), rank=6, least=8, most=30),
)  # fmt: skip


def in_full(row: AuditRow, width: int) -> Text:
    out = text((f"{row.seq}  ", "dim"), (clean.line(row.action, 80), "strong"))
    out.append(f"  {clean.line(row.subject, 120)}\n")
    out.append(f"{words.moment(row.at)}  ", "dim")
    out.append(f"{clean.line(row.who, 80)} ")
    out.append(f"from {clean.line(row.origin, 200)}\n", "dim")
    if row.why:
        out.append("\n" + words.hang(clean.block(row.why, WHOLE, 100), width, 0))
    for name, value in (("before", row.before), ("after", row.after)):
        if value:
            out.append(f"\n{name}\n", "title")
            out.append(words.hang(clean.block(_readable(value), WHOLE, 300), width, 0))
    return out


def _readable(value: str) -> str:
    """JSON over several lines; anything else as it is."""
    if len(value) > WHOLE:
        return value
    try:
        return json.dumps(json.loads(value), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return value
