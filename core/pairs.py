"""Question/answer rows: JSONL in, validated pairs and a list of problems out.

Files are read as a stream, a line at a time; good rows go on when others are faulty. What is
checked is in `core.pair_checks`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cached_property
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
        return canonical_json({**self.to_row(), "metadata": metadata})

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of `content_json`: what a snapshot is addressed by."""
        return hashlib.sha256(self.content_json.encode()).hexdigest()

    @cached_property
    def lesson_hash(self) -> str:
        """First 16 hex of the SHA-256 of the messages alone: what a model learns from the pair.

        A new id or extraction time changes the content hash and teaches nothing new.
        """
        turns = [[m.role, m.content] for m in self.messages]
        return hashlib.sha256(canonical_json(turns).encode()).hexdigest()[:16]

    def to_row(self) -> dict[str, Any]:
        """The JSON object of the file."""
        return {
            "id": self.id,
            "source": self.source,
            "source_ref": self.source_ref,
            "domain": self.domain,
            "messages": [asdict(m) for m in self.messages],
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
    """One non-blank line as read: the pair if it is good, and its problems."""

    file: str
    line: int
    raw: bytes
    pair: Pair | None
    problems: tuple[Problem, ...]


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


def read_pairs(
    paths: Path | str | Iterable[Path | str],
    *,
    domains: Iterable[str] | None = None,
    rejects: Path | None = None,
) -> Report:
    """Read JSONL files into a Report. Faulty rows are reported and skipped, never fatal.

    domains: the known domains (default KNOWN_DOMAINS).  rejects: rejected lines are copied there
    byte for byte, ready to be mended and read again; the file appears only if there are any.
    Ids have to be unique over all files together. Raises PairsError if a file cannot be read.
    """
    files = _paths(paths)
    report = Report(files={label: FileCount() for label in _labels(files)})
    with ExitStack() as stack:
        aside: BinaryIO | None = None
        for row in iter_rows(files, domains=domains):
            count = report.files[row.file]
            report.rows += 1
            count.rows += 1
            report.problems.extend(row.problems)
            if row.pair is not None:
                report.pairs.append(row.pair)
                count.good += 1
            elif rejects is not None:
                if aside is None:
                    aside = stack.enter_context(open(rejects, "wb"))
                aside.write(row.raw if row.raw.endswith(b"\n") else row.raw + b"\n")
    return report


def iter_rows(
    paths: Path | str | Iterable[Path | str], *, domains: Iterable[str] | None = None
) -> Iterator[Row]:
    """Every non-blank line of the files in order, checked. Memory does not grow with the rows,
    apart from about 100 bytes an id (to find repeated ones).

    Raises PairsError: a file that is missing or cannot be read.
    """
    known = KNOWN_DOMAINS if domains is None else frozenset(domains)
    seen: dict[bytes, tuple[str, int]] = {}
    files = _paths(paths)
    for path, label in zip(files, _labels(files), strict=True):
        for number, raw, whole in _lines(path):
            line = check_line(raw, known) if whole else _TOO_LONG
            pair = None if line.row is None else Pair._trusted(line.row)
            faults = line.faults
            if pair is not None:
                key = hashlib.blake2b(pair.id.encode(), digest_size=12).digest()
                first = seen.setdefault(key, (label, number))
                if first != (label, number):
                    faults = (*faults, _duplicate(pair.id, first, label))
                    pair = None
            problems = tuple(
                Problem(label, number, f.code, f.field, f.severity, f.what) for f in faults
            )
            yield Row(label, number, raw, pair, problems)


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
    return json.dumps(
        data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def _duplicate(pair_id: str, first: tuple[str, int], label: str) -> Fault:
    shown = pair_id if len(pair_id) <= 80 else pair_id[:80] + "…"
    where = f"line {first[1]}" + (f" of {first[0]}" if first[0] != label else "")
    return Fault("duplicate_id", "id", f"the id {shown} was used on {where} already")


_TOO_LONG = Line(
    None, (Fault("row_too_long", None, f"longer than {MAX_LINE_BYTES >> 20} MiB; not read"),)
)


def _paths(paths: Path | str | Iterable[Path | str]) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]


def _labels(paths: list[Path]) -> list[str]:
    """How each file is named in problems: by its name, or by its path where names repeat."""
    names = [p.name for p in paths]
    return [p.name if names.count(p.name) == 1 else str(p) for p in paths]


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """(number, bytes, whole) of each non-blank line; `whole` is False for one that is too long."""
    try:
        with open(path, "rb") as f:
            number = 0
            while raw := f.readline(MAX_LINE_BYTES):
                number += 1
                whole = len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n")
                rest = raw
                while not rest.endswith(b"\n") and not whole:
                    rest = f.readline(MAX_LINE_BYTES)
                    if not rest:
                        break
                if raw.strip(b" \t\r\n"):
                    yield number, raw, whole
    except FileNotFoundError:
        names = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        near = get_close_matches(path.name, names, 1)
        hint = f"did you mean {near[0]}?" if near else "give the path of a JSONL file"
        raise PairsError(f"{path}: no such file", try_next=hint) from None
    except OSError as e:
        raise PairsError(
            f"{path}: cannot be read", why=e.strerror or str(e), try_next="give a readable file"
        ) from e
