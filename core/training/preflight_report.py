"""What the preflight has to say: findings with links to rows, lengths, examples. Light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.training import data
from core.training.data import Row

Severity = Literal["error", "warning", "note"]
BINS = 12


@dataclass(frozen=True, slots=True)
class RowLink:
    """Where a row stands. line: from 1; 0 where it was not read from a file."""

    file: str
    line: int
    id: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.id})" if self.line else self.id


@dataclass(frozen=True, slots=True)
class Finding:
    """check: one of the template's parts, or of core.training.faults.KINDS.  count: rows that have it,
    the first of which are `rows`."""

    check: str
    severity: Severity
    text: str
    why: str = ""
    try_next: str = ""
    rows: tuple[RowLink, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a row. counts[i]: rows of edges[i] up to and without edges[i + 1] tokens."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    shortest: int
    median: int
    p95: int
    longest: int
    total: int
    learned: int


@dataclass(frozen=True, slots=True)
class Example:
    """prompt: the text of the masked tokens.  learned: of exactly those that carry a label."""

    link: RowLink
    prompt: str
    learned: str


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """begins, pads, ends: the tokens for begin of text, padding and end of turn, as the tokenizer
    writes them ("" = none).  markers: in the answers; markers_lost: those that no token spells.
    rows: what is trained; empty of meaning while there are errors.
    """

    file: str
    template_sha256: str
    begins: str
    pads: str
    ends: tuple[str, ...]
    count: int
    markers: int
    markers_lost: int
    lengths: Lengths
    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]
    rows: tuple[Row, ...] = field(repr=False)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == severity)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return self.of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return self.of("warning")

    @property
    def ok(self) -> bool:
        return not self.errors

    def sentence(self) -> str:
        size = f"{self.count} rows, {self.lengths.total} tokens ({self.lengths.learned} learned), "
        size += f"{self.lengths.shortest}–{self.lengths.longest} a row; "
        if self.errors:
            return size + "; ".join(f.text for f in self.errors)
        return size + "prompts masked, every row ends its turn"

    def shape(self) -> dict[str, int]:
        return data.describe(self.rows)

    def learned_texts(self) -> list[str]:
        return [e.learned for e in self.examples]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, without the rows themselves."""
        out = {
            k: getattr(self, k) for k in ("file", "template_sha256", "begins", "pads", "markers")
        }
        return out | {
            "ok": self.ok,
            "rows": self.count,
            "data": "prompt/completion",
            "ends": list(self.ends),
            "markers_lost": self.markers_lost,
            "lengths": asdict(self.lengths),
            "examples": [asdict(e) for e in self.examples],
            "findings": [asdict(f) for f in self.findings],
        }


def lengths(rows: Sequence[Row]) -> Lengths:
    sizes = sorted(len(r.input_ids) for r in rows)
    if not sizes:
        return Lengths((0,), (), 0, 0, 0, 0, 0, 0)
    width = 8
    while width * BINS <= sizes[-1]:
        width *= 2
    first, last = sizes[0] // width, sizes[-1] // width
    counts = [0] * (last - first + 1)
    for size in sizes:
        counts[size // width - first] += 1
    return Lengths(
        edges=tuple(width * n for n in range(first, last + 2)),
        counts=tuple(counts),
        shortest=sizes[0],
        median=sizes[len(sizes) // 2],
        p95=sizes[min(len(sizes) - 1, round(0.95 * len(sizes)))],
        longest=sizes[-1],
        total=sum(sizes),
        learned=sum(r.learned for r in rows),
    )
