"""Printing for people and for scripts: stdout carries data, stderr narration."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from tui import clean


def as_json(value: Any) -> None:
    """Any value of ours as one JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns aligned by content; every cell cleaned of terminal escapes."""
    cells = [[_cell(c) for c in row] for row in rows]
    widths = [
        max(len(h), *(len(r[i]) for r in cells)) if cells else len(h) for i, h in enumerate(header)
    ]
    for row in [list(header), *cells]:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    """None → –, floats to three digits (scripts get all of them from --json), the rest cleaned."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else clean.line(value)


def say(text: str) -> None:
    print(clean.line(text), file=sys.stderr, flush=True)
