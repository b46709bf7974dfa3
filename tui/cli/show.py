"""Printing for people and for scripts: stdout carries data, stderr narration."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from core.errors import QAError
from tui import clean

# What JSON leaves as it is and a terminal may obey: DEL, C1 controls, changes of direction. They can
# only stand inside strings, where an escape means the same.
_HARMFUL = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


FOLD = 24  # columns; in less, text is not worth folding


def as_json(value: Any) -> None:
    """Any value of ours as one JSON document."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
    print(_HARMFUL.sub(lambda m: f"\\u{ord(m[0]):04x}", text))


def as_json_line(value: Any) -> None:
    """One JSON object on a line of its own, at once: for commands that go on."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    print(_HARMFUL.sub(lambda m: f"\\u{ord(m[0]):04x}", text), flush=True)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns aligned by content; every cell cleaned of terminal escapes.

    On a terminal a row that is too wide for it goes on below with its last cell; a pipe gets one line
    a row.
    """
    cells = [[_cell(c) for c in row] for row in rows]
    widths = [
        max(len(h), *(len(r[i]) for r in cells)) if cells else len(h) for i, h in enumerate(header)
    ]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for row in [list(header), *cells]:
        line = "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        print(line if len(line) <= room else _folded(row, widths, room))


def _folded(row: Sequence[str], widths: Sequence[int], room: int) -> str:
    """The last cell in lines under its column, or under the whole row where it has too little room."""
    start = sum(widths[:-1]) + 2 * (len(widths) - 1)
    before = "  ".join(c.ljust(w) for c, w in zip(row[:-1], widths[:-1], strict=True))
    if room - start >= FOLD:
        pad = " " * start
        lines = textwrap.wrap(row[-1], room - start)
        return f"{before}  " + f"\n{pad}".join(lines)
    lines = textwrap.wrap(row[-1], max(FOLD, room - 4))
    return "\n".join([before.rstrip(), *(f"    {line}" for line in lines)])


def _cell(value: Any) -> str:
    """None → –, floats to three digits (scripts get all of them from --json), the rest cleaned."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else clean.line(value)


def out(text: object) -> None:
    """Data for a person on stdout; several lines if it has them, none of them obeyed by a terminal."""
    print(clean.block(text, 100_000, 100_000), flush=True)


def problem(error: QAError) -> None:
    """What, why and what to try on stderr. `why` may quote a host's log: it is cleaned like the rest."""
    print(clean.block(error), file=sys.stderr, flush=True)


def say(text: str) -> None:
    print(clean.line(text), file=sys.stderr, flush=True)
