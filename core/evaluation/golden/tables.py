"""Golden rows as CSV or JSONL, out and in again exactly; a CSV may also be written by hand.

In a CSV lists are JSON, or texts with semicolons between them; a flag is true or false; an empty cell
is a field that is not there. A hand-written key fact is `256 GB` or `Slurm | SLURM`. Columns that are
no field of ours are notes and come back as they were.

Spreadsheets run cells that start with one of = + - @ as formulas: such a cell gets an apostrophe in
front, which is taken off again when the file is read.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.evaluation.golden.files import read_text
from core.evaluation.golden.model import Fault, KeyFact
from core.evaluation.golden.rows import FIELDS, FLAG_FIELDS, LIST_FIELDS, RowReader, show

FORMATS = ("jsonl", "csv")
MAX_CELL = 16 << 20
_FORMULA = "=+-@\t\r'"
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,300})(\.\d{1,300})?\s*([^\d|]*)")


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as somebody gave it, not checked yet. line: where it starts, from 1."""

    file: str
    line: int
    data: dict[str, Any]


@dataclass(slots=True)
class Table:
    rows: list[RawRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def format_of(path: Path) -> str:
    """By the suffix. Raises UsageError."""
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise UsageError(
            f"{path.name}: not a format of golden sets", try_next=f"one of: {', '.join(FORMATS)}"
        )
    return suffix


def row_text(row: Mapping[str, Any]) -> str:
    """One row as a line of JSON, fields in the file's order, notes after them."""
    known = {name: row[name] for name in FIELDS if name in row}
    whole = known | {k: v for k, v in row.items() if k not in known}
    text = json.dumps(whole, ensure_ascii=False)
    # a note may hold half a surrogate pair, which no file can: then all is escaped
    return text if _writable(text) else json.dumps(whole)


def write_table(rows: Sequence[Mapping[str, Any]], kind: str) -> bytes:
    """The rows as a file: JSONL, or CSV with the byte order mark by which spreadsheets know UTF-8."""
    if kind == "jsonl":
        return "".join(row_text(row) + "\n" for row in rows).encode()
    notes = list(dict.fromkeys(k for row in rows for k in row if k not in FIELDS))
    for name in notes:
        if not _writable(name):
            raise UsageError(
                f"the field {show(name)} cannot stand in a CSV", try_next="export as JSONL"
            )
    columns = [n for n in FIELDS if any(n in row for row in rows)] + notes
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([_guarded(name) for name in columns])
    writer.writerows([[_cell(name, row) for name in columns] for row in rows])
    return out.getvalue().encode("utf-8-sig")


def read_table(path: Path) -> Table:
    """The rows of a JSONL or CSV file, not yet checked as questions.

    Raises UsageError: unknown format. GoldenFileError: cannot be read at all.
    """
    return read_csv(path) if format_of(path) == "csv" else read_jsonl(path)


def read_jsonl(path: Path) -> Table:
    table = Table()
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            reader = RowReader(str(path), number)
            data = reader.parse(text)
            table.faults += reader.faults
            if data is not None and not reader.faults:
                table.rows.append(RawRow(str(path), number, data))
    return table


def read_csv(path: Path) -> Table:
    table = Table()
    file = str(path)
    before = csv.field_size_limit(MAX_CELL)
    try:
        reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
        header: list[str] | None = None
        line = 1
        for cells in reader:
            if header is None and any(cells):
                header = [_unguarded(c.strip()) for c in cells]
                table.faults += _header_faults(file, line, header)
                if table.faults:
                    return table
            elif header is not None and any(cells):
                _take(table, file, line, header, cells)
            line = reader.line_num + 1
    except csv.Error as e:
        hint = "quote a cell that holds a comma, a quote or a line break"
        table.faults.append(Fault(file, line, "", f"not CSV: {e}", hint))
    finally:
        csv.field_size_limit(before)
    return table


def fact_of(text: str) -> KeyFact:
    """A key fact written by hand: `256 GB`, `4,096 cores`, `9 nodes`, else alternatives with | between.

    A number with decimals and no unit ("2.14") is taken for a version, which is a text.
    """
    number = _NUMBER.fullmatch(text.strip())
    if number and len(number[3].split()) <= 3 and (number[3] or not number[2]):
        digits = number[1].replace(",", "")
        value = float(digits + number[2]) if number[2] else int(digits)
        return {"type": "number", "value": value, "unit": number[3].strip()}
    return [a for part in text.split("|") if (a := part.strip())]


def _header_faults(file: str, line: int, header: Sequence[str]) -> Iterable[Fault]:
    for name in dict.fromkeys(n for n in header if header.count(n) > 1):
        yield Fault(file, line, show(name)[1:-1], "stands twice in the header", "keep one column")
    if not {"question", "category"} & set(header):
        what = f"{show(','.join(header))} is no header of a golden set"
        yield Fault(file, line, "", what, f"the first row names the fields: {', '.join(FIELDS)}")
        return
    for name in header:
        near = get_close_matches(name, [f for f in FIELDS if f not in header], 1, 0.8)
        if name not in FIELDS and near:
            yield Fault(
                file, line, show(name)[1:-1], "unknown column", f"did you mean {near[0]!r}?"
            )


def _take(table: Table, file: str, line: int, header: Sequence[str], cells: Sequence[str]) -> None:
    faults: list[Fault] = []
    data: dict[str, Any] = {}
    if len(cells) > len(header):
        what = f"{len(cells)} cells under {len(header)} columns"
        faults.append(Fault(file, line, "", what, "quote a cell that holds a comma"))
    for name, cell in zip(header, cells, strict=False):
        if cell == "":
            continue
        text = _unguarded(cell)
        if name in LIST_FIELDS:
            data[name] = _list(text, name, file, line, faults)
        elif name in FLAG_FIELDS:
            flag = text.strip().casefold()
            if flag not in (*_TRUE, *_FALSE):
                faults.append(
                    Fault(file, line, name, f"{show(text)} is neither true nor false", "write true")
                )
            data[name] = flag in _TRUE
        elif name in FIELDS:
            data[name] = text
        else:
            data[name] = _note(text)
    table.faults += faults
    if not faults:
        table.rows.append(RawRow(file, line, data))


def _list(text: str, name: str, file: str, line: int, faults: list[Fault]) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            hint = 'a JSON list ["a", "b"], or texts with ; between them'
            faults.append(Fault(file, line, name, f"{show(text)} is not a JSON list", hint))
            return []
        return list(found)
    parts = [p for part in text.split(";") if (p := part.strip())]
    return [fact_of(p) for p in parts] if name == "key_facts" else parts


def _note(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _cell(name: str, row: Mapping[str, Any]) -> str:
    if name not in row:
        return ""
    value = row[name]
    if name in FIELDS and isinstance(value, str):
        return _guarded(value)
    text = json.dumps(value, ensure_ascii=False)
    return _guarded(text if _writable(text) else json.dumps(value))


def _guarded(text: str) -> str:
    return f"'{text}" if text[:1] and text[0] in _FORMULA else text


def _unguarded(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:2] and text[1] in _FORMULA else text


def _writable(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)
