"""A list as a file: CSV of a table, plain lines of a list. What is shown, nothing more; of a list that
is read page by page, all of its rows that pass the filter.

Files lie in the state folder, under the screen's name and the time, and are never written over.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui import kept

FOLDER = "exports"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a widget shows. columns: names of a table's columns; () of a list of lines."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Whole:
    """A table of any length. total: rows, as far as is known.  pages: reads its rows from the first
    one on; called in a thread, may raise QAError."""

    columns: tuple[str, ...]
    total: int
    pages: Callable[[], Iterator[Sequence[Sequence[str]]]]


def as_text(shown: Shown) -> str:
    """CSV (RFC 4180) with a header, or one line a row. Cells are cleaned already."""
    if not shown.columns:
        return "".join(f"{' '.join(row).rstrip()}\n" for row in shown.rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(shown.columns)
    _put(writer, shown.rows)
    return out.getvalue()


def keep(shown: Shown, name: str, at: float) -> Path:
    """Write it. name: of the screen.  at: Unix seconds.  Raises EnvironmentProblem."""
    ending = "csv" if shown.columns else "txt"
    return kept.keep(FOLDER, _stem(name, at), ending, as_text(shown), "the list")


def keep_whole(
    whole: Whole, name: str, at: float, told: Callable[[int], object] = lambda rows: None
) -> tuple[Path, int]:
    """Write all of it; the file appears when the last row is in. Returns it and its rows.

    told: the number of rows written so far, after each page; what it raises ends the writing, and
    leaves nothing.  Raises EnvironmentProblem.
    """
    rows = 0
    with kept.growing(FOLDER, _stem(name, at), "csv", "the list") as file:
        writer = csv.writer(file.out)
        writer.writerow(whole.columns)
        for page in whole.pages():
            _put(writer, page)
            rows += len(page)
            told(rows)
    return file.path, rows


def _stem(name: str, at: float) -> str:
    return f"{name}-{time.strftime('%Y-%m-%d-%H%M%S', time.localtime(at))}"


def _put(writer: Any, rows: Sequence[Sequence[str]]) -> None:
    writer.writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: str) -> str:
    """A spreadsheet would run a cell that begins like a formula; numbers stay numbers."""
    if not cell.startswith(FORMULA):
        return cell
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return f"'{cell}"
    return cell
