"""Source registries as files: YAML, CSV, JSON or JSONL in, the same out. Pure but for reading and writing.

    source_id     "domain:entity_id", as in <<SRC:domain:entity_id>>
    display_name  what a reader sees       url         where the link leads (http or https)
    status        active, renamed or tombstoned       renamed_to  a source id, for renamed ones
    checked_at    ISO 8601, when somebody last looked (optional)

A YAML or JSON file may also hold `url_patterns`: {domain: "https://…/{entity_id}"}.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.citations import STATUSES, find, is_web_link
from core.errors import UsageError

FIELDS = ("source_id", "display_name", "url", "status", "renamed_to", "checked_at")
FORMATS = ("yaml", "csv", "json", "jsonl")
HOLE = "{entity_id}"
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One row that is not a source. row: counts from 1."""

    row: int
    source_id: str
    what: str


@dataclass(slots=True)
class SourcesFile:
    """rows: dicts with all FIELDS, in the file's order.  patterns: domain → URL template."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    patterns: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def is_source_id(text: str) -> bool:
    """True if `<<SRC:text>>` is one well-formed marker for exactly `text`."""
    found = find(f"<<SRC:{text}>>")
    return len(found) == 1 and found[0].source_id == text


def format_of(path: Path) -> str:
    """By the suffix. Raises UsageError."""
    suffix = path.suffix.lower().removeprefix(".").replace("yml", "yaml")
    if suffix not in FORMATS:
        raise UsageError(
            f"{path.name}: not a format of source registries",
            try_next=f"one of: {', '.join(FORMATS)}",
        )
    return suffix


def read_sources(path: Path) -> SourcesFile:
    """The rows that are sources, and the faults of those that are not.

    Raises UsageError (unreadable, too large, not of its format), SettingsError (YAML).
    """
    kind = format_of(path)
    if kind == "yaml":
        from core import settings

        return from_data(settings.read_yaml(path)[0], str(path))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(
                f"{path}: larger than {MAX_BYTES >> 20} MiB; that is no source registry"
            )
        text = path.read_bytes().decode("utf-8-sig")  # line ends inside a text stay what they are
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: cannot be read", why=str(e), try_next="save it as UTF-8") from e
    except OSError as e:
        why = e.strerror or str(e)
        raise UsageError(f"{path}: cannot be read", why=why, try_next="give a readable file") from e
    try:
        if kind == "csv":
            return _checked(_csv_rows(text, path))
        if kind == "jsonl":
            return _checked([json.loads(line) for line in text.split("\n") if line.strip()])
        return from_data(json.loads(text), str(path))
    except (ValueError, RecursionError, csv.Error) as e:
        raise UsageError(f"{path}: not {kind.upper()}", why=str(e)) from e


def from_data(data: Any, origin: str) -> SourcesFile:
    """A list of rows, or {sources: [...], url_patterns?: {...}}."""
    rows = data.get("sources") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise UsageError(
            f"{origin}: no list of sources",
            try_next="write `sources:` and one entry a source below it",
        )
    out = _checked(rows)
    patterns = data.get("url_patterns") if isinstance(data, dict) else None
    for domain, template in (patterns if isinstance(patterns, dict) else {}).items():
        problem = pattern_problem(str(domain), template)
        if problem:
            out.faults.append(Fault(0, str(domain), problem))
        else:
            out.patterns[str(domain)] = template
    return out


def pattern_problem(domain: str, template: Any) -> str | None:
    """Why it is no URL pattern; None if it is one."""
    if not is_source_id(f"{domain}:x"):
        return f"{domain!r} is not a domain"
    if not isinstance(template, str) or template.count(HOLE) != 1:
        return f"a URL pattern holds {HOLE} once"
    if not is_web_link(template.replace(HOLE, "x")):
        return "a URL pattern is an http or https address"
    before = template.split(HOLE)[0].partition("://")[2]
    return None if "/" in before else f"{HOLE} stands after the host, not in it"


def fill(template: str, entity_id: str) -> str:
    """The address of one entity; what could leave its place in a URL is quoted."""
    return template.replace(HOLE, quote(entity_id, safe="-._~:@"))


def write_sources(rows: Iterable[Mapping[str, Any]], patterns: Mapping[str, str], kind: str) -> str:
    """The file's text; the same rows give the same bytes, and `read_sources` gives the rows back."""
    ordered = [
        {k: row.get(k) for k in FIELDS} for row in sorted(rows, key=lambda r: str(r["source_id"]))
    ]
    slim = [{k: v for k, v in row.items() if v is not None} for row in ordered]
    if kind == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)
        return out.getvalue()
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in slim)
    data: dict[str, Any] = {"sources": slim}
    if patterns:
        data["url_patterns"] = dict(sorted(patterns.items()))
    if kind == "json":
        return json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    if kind == "yaml":
        import yaml

        return yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=10_000)
    raise UsageError(f"{kind!r} is not a format", try_next=f"one of: {', '.join(FORMATS)}")


def _csv_rows(text: str, path: Path) -> list[Any]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if "source_id" not in (reader.fieldnames or []):
        raise UsageError(
            f"{path}: no column source_id",
            try_next=f"the first line names the columns: {', '.join(FIELDS)}",
        )
    return [{k: v or None for k, v in row.items() if k} for row in reader]


def _checked(rows: Iterable[Any]) -> SourcesFile:
    out, seen = SourcesFile(), set[str]()
    for number, row in enumerate(rows, 1):
        what = _what_is_wrong(row)
        source_id = str(row.get("source_id")) if isinstance(row, dict) else ""
        if what is None and source_id in seen:
            what = "this id occurs twice"
        if what is not None:
            out.faults.append(Fault(number, source_id[:200], what))
            continue
        seen.add(source_id)
        out.rows.append(
            {
                "source_id": source_id,
                "display_name": row.get("display_name") or source_id,
                "url": row.get("url") or "",
                "status": row.get("status") or "active",
                "renamed_to": row.get("renamed_to"),
                "checked_at": row.get("checked_at"),
            }
        )
    return out


def _what_is_wrong(row: Any) -> str | None:
    if not isinstance(row, dict):
        return "not a mapping"
    odd = sorted(map(str, set(row) - set(FIELDS)))
    if odd:
        near = get_close_matches(odd[0], FIELDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(FIELDS)}"
        return f"unknown field {odd[0][:80]!r}; {hint}"
    for name, value in row.items():
        if value is not None and not isinstance(value, str):
            return f"{name} is not a text"
    if not is_source_id(row.get("source_id") or ""):
        return "not a source id: domain:entity_id, as in a marker <<SRC:domain:entity_id>>"
    status, renamed_to = row.get("status") or "active", row.get("renamed_to")
    if status not in STATUSES:
        return f"status is none of {', '.join(STATUSES)}"
    if renamed_to and status != "renamed":
        return f"renamed_to is given, but the status is {status}"
    if renamed_to and not is_source_id(renamed_to):
        return "renamed_to is not a source id"
    url = row.get("url")
    return "url is not an http or https address" if url and not is_web_link(url) else None
