"""Rows put into a golden file: checked first, then written in one step or not at all.

Lines that are not concerned keep their bytes. Ids are given out over all files that are used
together, so that two teams' additions never meet.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DiskFull, NotFound
from core.evaluation.golden.files import Line, read_golden
from core.evaluation.golden.model import Fault, GoldenFileError, GoldenQuestion, whole
from core.evaluation.golden.rows import RowReader, show
from core.evaluation.golden.sets import Mount, read_mounts
from core.evaluation.golden.tables import RawRow, row_text
from core.jobdir import write_atomic
from core.near_duplicates import words

PREFIXES = {
    "resource_specs": "spec",
    "software": "soft",
    "comparisons": "comp",
    "documentation": "docs",
    "dynamic": "dyn",
    "edge_cases": "edge",
}
CANARY_PREFIX = "can"
_ID = re.compile(r"(.*?-?)(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Merge:
    """What rows do to a file: ids in the order given. same: there already, word for word.

    good: the rows that are right in themselves, new and changed, as they are written.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    faults: tuple[Fault, ...]
    good: tuple[dict[str, Any], ...]
    questions: tuple[GoldenQuestion, ...]


def merge(
    path: Path,
    rows: Iterable[RawRow],
    *,
    others: Sequence[Mount] = (),
    replace: bool = False,
    skip_bad: bool = False,
    dry_run: bool = False,
) -> Merge:
    """Add rows to the golden file `path`, which is made if it is not there.

    A row without id gets the next free one over `path` and `others`. A row whose id is there is
    passed over if it is the same, and replaces the old one with `replace`; otherwise it is a fault,
    like one that asks in the words of another item. With a fault nothing is written, unless
    skip_bad: then the good rows are.

    Raises GoldenFileError: the file itself is faulty or cannot be written; DiskFull.
    """
    path = path.resolve()  # a link stays a link: what it leads to is rewritten
    with _alone(path):
        old = _lines(path)
        found = _plan(path, old, rows, others, replace)
        if (found.new or found.changed) and not dry_run and (skip_bad or not found.faults):
            _write(path, old, found)
        return found


def remove(path: Path, question_id: str) -> GoldenQuestion:
    """Take one question out. Raises NotFound; GoldenFileError as of `merge`."""
    path = path.resolve()
    with _alone(path):
        for line in _lines(path):
            if line.question.id == question_id:
                lines = path.read_bytes().split(b"\n")
                lines[line.number - 1 : line.number] = []
                _replace(path, b"\n".join(lines))
                return line.question
    raise NotFound(f"no question {show(question_id)} in {path}", try_next="qa golden list")


def next_id(questions: Iterable[GoldenQuestion], category: str, canary: bool = False) -> str:
    """The next free id of a category, after the pattern that most of its questions follow."""
    found = list(questions)
    alike = [q.id for q in found if q.category == category and q.canary == canary]
    heads = Counter(m[1] for i in alike if (m := _ID.fullmatch(i)))
    usual = f"{CANARY_PREFIX if canary else PREFIXES[category]}-"
    head = heads.most_common(1)[0][0] if heads else usual
    numbers = [m[2] for q in found if (m := _ID.fullmatch(q.id)) and m[1] == head]
    width = max(map(len, numbers), default=3)
    return f"{head}{max(map(int, numbers), default=0) + 1:0{width}d}"


def _plan(
    path: Path, old: Sequence[Line], rows: Iterable[RawRow], others: Sequence[Mount], replace: bool
) -> Merge:
    readings, _ = read_mounts([m for m in others if m.path.resolve() != path])
    here = {line.question.id: line.question for line in old}
    elsewhere = {q.id: r.file for _, r in readings for q in r.questions}
    known = [*here.values(), *(q for _, r in readings for q in r.questions)]
    said = {tuple(words(q.question)): q.id for q in known}
    new: list[str] = []
    changed: list[str] = []
    same: list[str] = []
    faults: list[Fault] = []
    good: list[dict[str, Any]] = []
    questions: list[GoldenQuestion] = []
    given: dict[str, int] = {}
    for row in rows:
        reader = RowReader(row.file, row.line)
        nameless = "id" not in row.data
        question = reader.question({"id": "?", **row.data})
        if question is None:
            faults += reader.faults
            continue
        data = dict(row.data)
        if nameless:
            data["id"] = next_id(known, question.category, question.canary)
            question = RowReader(row.file, row.line).question(data)
            assert question is not None  # the same row but for its id
        about = question.id
        twin = said.get(tuple(words(question.question)), about)
        if about in given:
            hint = "give every question an id of its own"
            reader.fault("id", f"{show(about)} is already the id of line {given[about]}", hint)
        elif about in elsewhere:
            what = f"{show(about)} is already an id of {elsewhere[about]}"
            reader.fault("id", what, "give it an id of its own, or leave the id out")
        elif twin != about:
            reader.fault("question", f"asks the same as {show(twin)}", "ask it anew, or drop it")
        elif here.get(about) == question:
            same.append(about)
        elif about in here and not replace:
            hint = "leave the id out, or replace the old question with --replace"
            reader.fault("id", f"{show(about)} is there with other content", hint)
        else:
            (changed if about in here else new).append(about)
            good.append(data)
            questions.append(question)
        given.setdefault(about, row.line)
        faults += reader.faults
        if not reader.faults:
            known.append(question)
            said[tuple(words(question.question))] = about
    return Merge(
        tuple(new), tuple(changed), tuple(same), tuple(faults), tuple(good), tuple(questions)
    )


def _lines(path: Path) -> Sequence[Line]:
    if not path.exists():
        return ()
    reading = read_golden(path)
    if reading.faults:
        raise GoldenFileError(list(reading.faults))
    return reading.lines


def _write(path: Path, old: Sequence[Line], found: Merge) -> None:
    number_of = {line.question.id: line.number for line in old}
    data = path.read_bytes() if path.exists() else b""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for row in found.good:
        text = row_text(row).encode()
        if row["id"] in number_of:
            lines[number_of[row["id"]] - 1] = text
        else:
            lines.append(text)
    _replace(path, b"\n".join([*lines, b""]))


def _replace(path: Path, data: bytes) -> None:
    mode = path.stat().st_mode if path.exists() else None
    try:
        write_atomic(path, data)
        if mode is not None:
            path.chmod(mode & 0o7777)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"{path}: the disk is full; the file is as it was", try_next="make room, try again"
            ) from e
        raise whole(
            str(path), f"cannot be written ({e.strerror})", "check the path and its rights"
        ) from e


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One editor at a time: the folder is locked, so that no lock file is left lying about."""
    try:
        fd = os.open(path.parent, os.O_RDONLY)
    except OSError as e:
        hint = "make the folder first, or check its rights"
        raise whole(str(path), f"its folder cannot be opened ({e.strerror})", hint) from e
    try:
        with suppress(OSError):  # some network file systems lock no folder
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
