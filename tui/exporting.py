"""The list in sight as a file: CSV of a table, plain lines of a list. What is shown, nothing more.

Files lie in the state folder, under the screen's name and the time, and are never written over.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui import kept

FOLDER = "exports"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a widget shows. columns: names of a table's columns; () of a list of lines."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]


def as_text(shown: Shown) -> str:
    """CSV (RFC 4180) with a header, or one line a row. Cells are cleaned already."""
    if not shown.columns:
        return "".join(f"{' '.join(row).rstrip()}\n" for row in shown.rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(shown.columns)
    writer.writerows([_harmless(cell) for cell in row] for row in shown.rows)
    return out.getvalue()


def keep(shown: Shown, name: str, at: float) -> Path:
    """Write it. name: of the screen.  at: Unix seconds.  Raises EnvironmentProblem."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(at))
    ending = "csv" if shown.columns else "txt"
    return kept.keep(FOLDER, f"{name}-{stamp}", ending, as_text(shown), "the list")


def _harmless(cell: str) -> str:
    """A spreadsheet would run a cell that begins like a formula; numbers stay numbers."""
    if not cell.startswith(FORMULA):
        return cell
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return f"'{cell}"
    return cell
