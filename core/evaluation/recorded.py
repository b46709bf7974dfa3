"""Latencies that were recorded elsewhere: what the live tools (MCP) took, from a log of theirs.

    JSONL   {"id": "spec-001", "latency_s": 0.82}      a request a line
    CSV     id,latency_s                               the same as a table with a head

`latency_ms` and `seconds` are read too, and a request with an `error` counts as one without an answer.
An `id` is that of the golden question that was asked; with it the comparison is paired. Files that
`qa-eval latency` wrote (due, last) are read as they are.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import locations, settings
from core.errors import UsageError
from core.evaluation.statistics import percentile, percentile_interval

SCALES = {"latency_s": 1.0, "seconds": 1.0, "latency_ms": 0.001}
QUANTILES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))


@dataclass(frozen=True, slots=True)
class Timed:
    """One request. id: of the question, "" if unknown.  seconds: inf where there was no answer."""

    id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file of requests in its order. sha256: of its bytes."""

    file: str
    sha256: str
    requests: tuple[Timed, ...]

    def as_dict(self) -> dict[str, Any]:
        seconds = [r.seconds for r in self.requests]
        return {
            "file": self.file,
            "sha256": self.sha256,
            "n": len(seconds),
            "failed": sum(math.isinf(s) for s in seconds),
            "latency": percentiles(seconds),
        }


class EvaluationConfig(settings.Settings):
    mcp_latency: Path | None = None


def configured(config: Path | None = None) -> Path | None:
    """The file that `configs/evaluation.yaml` names, for evaluations that are started as jobs. Raises
    SettingsError."""
    config = config or locations.configs() / "evaluation.yaml"
    if not config.is_file():
        return None
    named = settings.load(config, EvaluationConfig).mcp_latency
    return None if named is None else config.parent / named.expanduser()


def read_recorded(path: Path) -> Recorded:
    """Raises UsageError with file and line: unreadable, no latency, or one that is no time."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as e:
        raise UsageError(f"{path}: cannot be read", why=e.strerror or str(e)) from None
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: not UTF-8", why=str(e), try_next="save it as UTF-8") from None
    reading = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(path, text)
    found = tuple(_timed(row, f"{path}:{number}") for number, row in reading)
    if not found:
        raise UsageError(f"{path}: no recorded latency", try_next="one {id, latency_s} a line")
    return Recorded(path.name, hashlib.sha256(data).hexdigest(), found)


def percentiles(seconds: list[float]) -> dict[str, dict[str, float | None]]:
    """P50, P95, P99 with the ends of their 95 % intervals; None where no number is."""
    out = {}
    for name, q in QUANTILES:
        low, high = percentile_interval(seconds, q)
        out[name] = {"s": finite(percentile(seconds, q)), "low": finite(low), "high": finite(high)}
    return out


def finite(value: float | None) -> float | None:
    """To the microsecond; None for what is no number."""
    return None if value is None or not math.isfinite(value) else round(value, 6)


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    for row in reader:
        yield reader.line_num, {k: v for k, v in row.items() if k and v not in (None, "")}


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as e:
            raise UsageError(f"{path}:{number}: not JSON", why=str(e)) from None
        if not isinstance(row, dict):
            raise UsageError(
                f"{path}:{number}: not a JSON object", try_next="one {id, latency_s} a line"
            )
        if "target" in row and "rate" in row:  # the head of a file of `qa-eval latency`
            continue
        yield number, row


def _timed(row: Mapping[str, Any], where: str) -> Timed:
    name = str(row.get("id") or "")
    if row.get("error"):
        return Timed(name, math.inf)
    if "due" in row and "last" in row:
        took = _seconds(row["last"], where) - _seconds(row["due"], where)
        return Timed(name, _seconds(took, where))
    for field, scale in SCALES.items():
        if field in row:
            return Timed(name, scale * _seconds(row[field], where))
    raise UsageError(
        f"{where}: no latency in it", try_next=f"one of the fields {', '.join(SCALES)}"
    )


def _seconds(value: object, where: str) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise UsageError(f"{where}: {str(value)[:40]!r} is no time", try_next="a number, 0 or more")
    return found
