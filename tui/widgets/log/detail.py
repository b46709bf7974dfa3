"""One line of a log in full: its number, time and level, and JSON with its structure."""

from __future__ import annotations

import json
import re
from typing import Any

from rich.text import Text

from tui import clean
from tui.present import words
from tui.present.words import text
from tui.widgets.log import ansi as log_ansi
from tui.widgets.log import levels as log_levels
from tui.widgets.log.file import LINE_CAP, RawLine

MAX_ROWS = 400
MAX_ROW = 2000
_KEY = re.compile(r'(\s*)("(?:[^"\\]|\\.)*")(: ?)(.*)', re.DOTALL)


def page(raw: RawLine, number: int, at: float | None) -> Text:
    """number: from 0.  at: Unix seconds, if known."""
    out = text((f"line {number + 1:,}", "strong"))
    if at is not None:
        out.append(f"  {words.moment(at, seconds=True)}", "dim")
    level = log_levels.level(raw.data)
    if level >= log_levels.WARN and not raw.seam:
        shape, role = words.state("failed" if level == log_levels.ERROR else "warned")
        out.append(f"  {shape} {'error' if level == log_levels.ERROR else 'warning'}", role)
    if raw.length > LINE_CAP:
        out.append(f"  {raw.length:,} bytes, here from {raw.origin:,}", "dim")
    out.append("\n\n")
    line = raw.data.decode("utf-8", "replace")
    before, value = split_json(line)
    if value is None:
        return out.append(plain(raw))
    if before.strip():
        out.append(clean.line(before, MAX_ROW) + "\n")
    return out.append_text(pretty(value))


def plain(raw: RawLine) -> str:
    """The line without colours, cleaned."""
    line = raw.data.decode("utf-8", "replace")
    return "".join(piece for piece, _ in log_ansi.spans(line, LINE_CAP))


def split_json(line: str) -> tuple[str, Any]:
    """What comes before the JSON object or list at the end of a line, and the value; None if none."""
    for at in sorted(i for i in (line.find("{"), line.find("[{"), line.find('["')) if i >= 0):
        try:
            return line[:at], json.loads(line[at:])
        except (ValueError, RecursionError):
            continue
    return line, None


def pretty(value: Any) -> Text:
    """A JSON value over several rows, its names coloured; cleaned."""
    out = text()
    try:
        rows = json.dumps(value, ensure_ascii=False, indent=2).split("\n")
    except (RecursionError, ValueError):
        return out.append(clean.line(value, MAX_ROW))
    for row in rows[:MAX_ROWS]:
        shown = clean.line(row, MAX_ROW)
        if match := _KEY.fullmatch(shown):
            out.append(match[1] + match[2], "accent")
            out.append(match[3] + match[4] + "\n")
        else:
            out.append(shown + "\n")
    if len(rows) > MAX_ROWS:
        out.append(f"… {len(rows) - MAX_ROWS:,} more rows", "dim")
    return out
