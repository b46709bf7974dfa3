"""Question/answer rows: JSONL in, validated pairs and a list of problems out.

Files are read as a stream, a line at a time; good rows go on when others are faulty. `Reading`
keeps no row, whatever the size of the files; `read_pairs` is for data that fits in memory. What is
checked is in `core.pair_checks`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from json.encoder import encode_basestring as _quoted
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import PairsError
from core.pair_checks import KNOWN_DOMAINS, Fault, Line, Severity, check_line, check_row

__all__ = [
    "KNOWN_DOMAINS",
    "FileCount",
    "Message",
    "Pair",
    "Problem",
    "Reading",
    "Report",
    "Row",
    "canonical_json",
    "iter_rows",
    "read_pairs",
    "write_pairs",
]

SCORE_FIELDS = frozenset(
    {
        *("faithfulness_score", "relevance_score", "completeness_score", "confidence_score"),
        *("eval_issues", "suggested_decision"),
    }
)
"""Metadata a judge fills in afterwards. They are no part of a pair's content."""

MAX_LINE_BYTES = 16 * 1024 * 1024
_FIELDS = frozenset({"id", "source", "source_ref", "domain", "messages", "metadata"})


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)  # no slots: the hashes are cached
class Pair:
    """One good row. `messages` alternates user and assistant and ends with the assistant.

    `extra` holds top-level fields the schema does not name, so that writing a pair loses nothing.
    """

    id: str
    source: str
    source_ref: str
    domain: str
    messages: tuple[Message, ...]
    metadata: dict[str, Any] = field(hash=False)
    extra: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def question(self) -> str:
        """The first user turn."""
        return self.messages[0].content

    @property
    def answer(self) -> str:
        """The last assistant turn."""
        return self.messages[-1].content

    @cached_property
    def content_json(self) -> str:
        """Canonical JSON of the row without the judge's fields."""
        metadata = {k: v for k, v in self.metadata.items() if k not in SCORE_FIELDS}
        if self.extra:
            return canonical_json(self.to_row() | {"metadata": metadata})
        # The same text put together by hand, which takes half the time of a large import.
        turns = ",".join(
            f'{{"content":{_quoted(m.content)},"role":{_quoted(m.role)}}}' for m in self.messages
        )
        return (
            f'{{"domain":{_quoted(self.domain)},"id":{_quoted(self.id)},"messages":[{turns}],'
            f'"metadata":{canonical_json(metadata)},"source":{_quoted(self.source)},'
            f'"source_ref":{_quoted(self.source_ref)}}}'
        )

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of `content_json`: what a snapshot is addressed by."""
        return hashlib.sha256(self.content_json.encode()).hexdigest()

    @cached_property
    def lesson_hash(self) -> str:
        """First 16 hex of the SHA-256 of the messages alone: what a model learns from the pair.

        A new id or extraction time changes the content hash and teaches nothing new.
        """
        turns = ",".join(f"[{_quoted(m.role)},{_quoted(m.content)}]" for m in self.messages)
        return hashlib.sha256(f"[{turns}]".encode()).hexdigest()[:16]

    def to_row(self) -> dict[str, Any]:
        """The JSON object of the file."""
        return {
            "id": self.id,
            "source": self.source,
            "source_ref": self.source_ref,
            "domain": self.domain,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "metadata": self.metadata,
            **self.extra,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any], *, domains: frozenset[str] | None = None) -> Pair:
        """A pair from a decoded row. Raises PairsError with the main fault."""
        fault = check_row(row, KNOWN_DOMAINS if domains is None else domains)
        if fault:
            where = f" in {fault.field}" if fault.field else ""
            raise PairsError(f"not a usable pair: {fault.code}{where}", why=fault.what)
        return cls._trusted(row)

    @classmethod
    def _trusted(cls, row: Mapping[str, Any]) -> Pair:
        """A pair from a row that has passed the checks (or comes from the registry)."""
        return cls(
            row["id"],
            row["source"],
            row["source_ref"],
            row["domain"],
            tuple(Message(m["role"], m["content"]) for m in row["messages"]),
            row["metadata"],
            {k: v for k, v in row.items() if k not in _FIELDS},
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one line. `line` counts from 1, `field` is a path or None."""

    file: str
    line: int
    code: str
    field: str | None
    severity: Severity
    what: str

    @property
    def usable(self) -> bool:
        """True for a warning: the row was kept, after the repair named in `what`."""
        return self.severity == "warning"

    def __str__(self) -> str:
        where = f" {self.field}:" if self.field else ""
        return f"{self.file}:{self.line}: {self.severity} {self.code}:{where} {self.what}"


@dataclass(frozen=True, slots=True)
class Row:
    """One non-blank line as read: the pair if it is good, and its problems.

    raw: the line's bytes, of which a line that is too long shows the first.  offset, size: where
    the whole line stands in the file, in bytes.
    """

    file: str
    line: int
    raw: bytes
    pair: Pair | None
    problems: tuple[Problem, ...]
    offset: int = 0
    size: int = 0


@dataclass(slots=True)
class FileCount:
    rows: int = 0
    good: int = 0


@dataclass(slots=True)
class Report:
    """What reading one or more files gave. rows = non-blank lines; per file in `files`."""

    pairs: list[Pair] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rows: int = 0
    files: dict[str, FileCount] = field(default_factory=dict)

    @property
    def good(self) -> int:
        return len(self.pairs)

    @property
    def rejected(self) -> int:
        return self.rows - len(self.pairs)

    def require_pairs(self) -> list[Pair]:
        """The pairs; PairsError if there is none."""
        if not self.pairs:
            first = str(self.problems[0]) if self.problems else "the files are empty"
            raise PairsError(
                f"no usable pair in {', '.join(self.files) or 'no file'}",
                why=first,
                try_next="see every problem with `qa pairs check FILE… --json`",
            )
        return self.pairs

    def as_json(self) -> list[dict[str, Any]]:
        """Per file: file, rows, good, problems with line, code, field, severity, reason."""
        out = []
        for name, count in self.files.items():
            problems = [
                {
                    "line": p.line,
                    "code": p.code,
                    "field": p.field,
                    "severity": p.severity,
                    "reason": p.what,
                }
                for p in self.problems
                if p.file == name
            ]
            row = {"file": name, "rows": count.rows, "good": count.good, "problems": problems}
            out.append(row)
        return out


class Reading:
    """One pass over JSONL files: iterate it for the good pairs, ask it for the counts afterwards.

    Faulty rows are told to `on_problem` and skipped, never fatal. Nothing of a row is kept, apart
    from about 130 bytes an id (to find repeated ones). Iterating again reads the files again.

    domains: the known domains (default KNOWN_DOMAINS).  rejects: rejected lines are copied there
    byte for byte, ready to be mended and read again; the file appears only if there are any.
    Ids have to be unique over all files together. Iterating raises PairsError if a file cannot be
    read, or if `rejects` is one of the files.
    """

    def __init__(
        self,
        paths: Path | str | Iterable[Path | str],
        *,
        domains: Container[str] | Iterable[str] | None = None,
        rejects: Path | None = None,
        on_problem: Callable[[Problem], object] = lambda problem: None,
    ) -> None:
        self._paths = _paths(paths)
        self._by_label = dict(zip(labels_of(self._paths), self._paths, strict=True))
        self._domains = domains
        self._rejects = rejects
        self._on_problem = on_problem
        self.files: dict[str, FileCount] = {label: FileCount() for label in self._by_label}

    @property
    def rows(self) -> int:
        return sum(c.rows for c in self.files.values())

    @property
    def good(self) -> int:
        return sum(c.good for c in self.files.values())

    @property
    def rejected(self) -> int:
        return self.rows - self.good

    def __iter__(self) -> Iterator[Pair]:
        self.files = {label: FileCount() for label in self._by_label}
        if self._rejects is not None:
            _not_an_input(self._rejects, self._paths)
        with ExitStack() as stack:
            aside: BinaryIO | None = None
            for row in iter_rows(self._paths, domains=self._domains):
                count = self.files[row.file]
                count.rows += 1
                for problem in row.problems:
                    self._on_problem(problem)
                if row.pair is not None:
                    count.good += 1
                    yield row.pair
                elif self._rejects is not None:
                    if aside is None:
                        aside = stack.enter_context(_new_file(self._rejects))
                    _put_aside(row, self._by_label[row.file], aside)


def read_pairs(
    paths: Path | str | Iterable[Path | str],
    *,
    domains: Container[str] | Iterable[str] | None = None,
    rejects: Path | None = None,
) -> Report:
    """Read JSONL files into a Report, everything in memory. Arguments and errors as of Reading."""
    report = Report()
    reading = Reading(paths, domains=domains, rejects=rejects, on_problem=report.problems.append)
    report.pairs.extend(reading)
    report.files, report.rows = reading.files, reading.rows
    return report


def iter_rows(
    paths: Path | str | Iterable[Path | str],
    *,
    domains: Container[str] | Iterable[str] | None = None,
) -> Iterator[Row]:
    """Every non-blank line of the files in order, checked. Memory does not grow with the rows,
    apart from about 130 bytes an id (to find repeated ones).

    Raises PairsError: a file that is missing or cannot be read; all are looked at before the first.
    """
    if domains is None:
        known: Container[str] = KNOWN_DOMAINS
    else:
        known = domains if isinstance(domains, Container) else frozenset(domains)
    seen: dict[bytes, int] = {}  # digest of the id → file number and line in one integer
    files = _paths(paths)
    labels = labels_of(files)
    for path in files:
        _must_be_readable(path)
    for at, (path, label) in enumerate(zip(files, labels, strict=True)):
        for number, raw, offset, size in _lines(path):
            line = check_line(raw, known) if len(raw) == size else _TOO_LONG
            pair = None if line.row is None else Pair._trusted(line.row)
            faults = line.faults
            if pair is not None:
                here = at << 48 | number
                key = hashlib.blake2b(pair.id.encode(), digest_size=12).digest()
                first = seen.setdefault(key, here)
                if first != here:
                    other = labels[first >> 48]
                    line_no = first & (1 << 48) - 1
                    faults = (*faults, _duplicate(pair.id, other, line_no, label))
                    pair = None
            problems = (
                tuple(Problem(label, number, f.code, f.field, f.severity, f.what) for f in faults)
                if faults
                else ()
            )
            yield Row(label, number, raw, pair, problems, offset, size)


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    """One JSON object a line, UTF-8, LF. Returns the number of rows."""
    n = 0
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        for pair in pairs:
            f.write(json.dumps(pair.to_row(), ensure_ascii=False, allow_nan=False) + "\n")
            n += 1
    return n


def canonical_json(data: Any) -> str:
    """One text for one value: sorted keys, no spaces, no escapes beyond JSON's own."""
    return _CANONICAL.encode(data)


_CANONICAL = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
)


def _duplicate(pair_id: str, other: str, line: int, label: str) -> Fault:
    shown = pair_id if len(pair_id) <= 80 else pair_id[:80] + "…"
    where = f"line {line}" + (f" of {other}" if other != label else "")
    return Fault("duplicate_id", "id", f"the id {shown} was used on {where} already")


_TOO_LONG = Line(
    None, (Fault("row_too_long", None, f"longer than {MAX_LINE_BYTES >> 20} MiB; not read"),)
)


def _paths(paths: Path | str | Iterable[Path | str]) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]


def labels_of(paths: list[Path]) -> list[str]:
    """How each file is named in problems: by its name, or by its path where names repeat."""
    names = [p.name for p in paths]
    return [p.name if names.count(p.name) == 1 else str(p) for p in paths]


def _lines(path: Path) -> Iterator[tuple[int, bytes, int, int]]:
    """(number, bytes, offset, size) of each non-blank line. Of a line that is too long only the
    first MAX_LINE_BYTES are given; `size` tells.
    """
    try:
        with open(path, "rb") as f:
            number = offset = 0
            while raw := f.readline(MAX_LINE_BYTES):
                number += 1
                size, last = len(raw), raw
                while len(last) == MAX_LINE_BYTES and not last.endswith(b"\n"):
                    last = f.readline(MAX_LINE_BYTES)
                    size += len(last)
                if raw.strip(b" \t\r\n"):
                    yield number, raw, offset, size
                offset += size
    except OSError as e:
        raise _unreadable(path, e.strerror or str(e)) from e


def _must_be_readable(path: Path) -> None:
    # Not opened and closed again: a pipe can be opened only once.
    if not path.exists():
        names = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        near = get_close_matches(path.name, names, 1)
        hint = f"did you mean {near[0]}?" if near else "give the path of a JSONL file"
        raise PairsError(f"{path}: no such file", try_next=hint)
    if path.is_dir():
        raise _unreadable(path, "it is a folder")
    if not os.access(path, os.R_OK):
        raise _unreadable(path, "no right to read it")


def _unreadable(path: Path, why: str) -> PairsError:
    return PairsError(f"{path}: cannot be read", why=why, try_next="give a readable file")


def _not_an_input(rejects: Path, paths: Iterable[Path]) -> None:
    if rejects.exists() and any(p.exists() and p.samefile(rejects) for p in paths):
        raise PairsError(
            f"{rejects} is one of the files to read",
            why="the rejected rows would overwrite it",
            try_next="give another path for the rejects",
        )


def _new_file(path: Path) -> BinaryIO:
    try:
        return open(path, "wb")
    except OSError as e:
        raise PairsError(
            f"{path}: cannot be written",
            why=e.strerror or str(e),
            try_next="give a path for the rejects in a folder you can write to",
        ) from e


def _put_aside(row: Row, path: Path, to: BinaryIO) -> None:
    """Copy the whole line, also the part of a long one that was not read."""
    to.write(row.raw)
    last, left = row.raw, row.size - len(row.raw)
    if left:
        with open(path, "rb") as f:
            f.seek(row.offset + len(row.raw))
            while left and (last := f.read(min(left, 1 << 20))):
                to.write(last)
                left -= len(last)
    if not last.endswith(b"\n"):
        to.write(b"\n")
