"""Golden files read from disk, with every fault of every line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.evaluation.golden.model import Fault, GoldenFileError, GoldenQuestion, whole
from core.evaluation.golden.rows import RowReader, show


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a file with the line it stands on; `data` has notes and all, as it was written."""

    number: int
    data: dict[str, Any]
    question: GoldenQuestion


@dataclass(frozen=True, slots=True)
class Reading:
    """What a golden file holds: good rows, and what is wrong with the others."""

    file: str
    lines: tuple[Line, ...]
    faults: tuple[Fault, ...]

    @property
    def questions(self) -> list[GoldenQuestion]:
        return [line.question for line in self.lines]


def load_golden(path: Path | str, *, paraphrases: bool = False) -> list[GoldenQuestion]:
    """The questions of a golden file, in file order. A BOM and blank lines are passed over.

    paraphrases: each is a question of its own, right after its item (id `<id>~1`, cluster `<id>`).

    Raises GoldenFileError (a GoldenError): unreadable or empty file, not UTF-8, not JSON, a label
    that is missing, of the wrong type or unknown, a repeated id. All faulty lines are reported.
    """
    reading = read_golden(path)
    if reading.faults:
        raise GoldenFileError(list(reading.faults))
    if not reading.lines:
        raise whole(str(path), "holds no question", "write one JSON object a line")
    if not paraphrases:
        return reading.questions
    expanded = list(expand(reading.questions))
    taken = {line.question.id: line.number for line in reading.lines}
    for q in expanded:
        if q.cluster != q.id and q.id in taken:
            what = f"{show(q.id)} is the id of a paraphrase of {show(q.cluster)}"
            raise GoldenFileError(
                [Fault(str(path), taken[q.id], "id", what, "give the item another id")]
            )
    return expanded


def expand(questions: list[GoldenQuestion]) -> Iterator[GoldenQuestion]:
    """Every question, followed by its paraphrases as questions of their own."""
    for q in questions:
        yield q
        yield from q.rephrased()


def read_golden(path: Path | str) -> Reading:
    """Good rows and faults side by side. Raises GoldenFileError only for a file that cannot be
    read at all.
    """
    file = str(path)
    lines: list[Line] = []
    faults: list[Fault] = []
    first_line_of: dict[str, int] = {}
    # Only \n ends a row: U+2028 and friends may stand inside a JSON string.
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        row = RowReader(file, number)
        data = row.parse(text)
        question = row.question(data) if data is not None else None
        faults += row.faults
        if data is None or question is None:
            continue
        if question.id in first_line_of:
            what = f"{show(question.id)} is already the id of line {first_line_of[question.id]}"
            faults.append(Fault(file, number, "id", what, "give every question an id of its own"))
            continue
        first_line_of[question.id] = number
        lines.append(Line(number, data, question))
    return Reading(file, tuple(lines), tuple(faults))


def read_text(path: Path | str) -> str:
    """A file's text without its BOM. Raises GoldenFileError: not there, not readable, not UTF-8."""
    file = str(path)
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise whole(file, "no such file", "give the path of a golden set (JSONL)") from None
    except UnicodeDecodeError as e:
        at = e.object[: e.start].count(b"\n") + 1
        fault = Fault(file, at, "", f"not UTF-8 at byte {e.start}", "save the file as UTF-8")
        raise GoldenFileError([fault]) from None
    except OSError as e:
        raise whole(file, f"cannot be read ({e.strerror})", "check the path and its rights") from e


def golden_sha256(path: Path | str) -> str:
    """SHA-256 of the file's bytes, 64 hex digits: the golden set's version."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as e:
        what = f"cannot be read ({e.strerror})"
        raise whole(str(path), what, "check the path and its rights") from e
