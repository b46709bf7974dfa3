"""The registry's record as plain JSON values, section by section, and back into an empty registry.

What is in: versions, snapshots with their manifests, evaluations, deployments with gates and
evidence, approvals, releases that have ended, the pilot's items with evidence, decisions, corrections,
sources, and the audit. What is not: jobs, counts of unknown sources and metric points, which are
observations of one desk; and the text of pairs, which is apart (`contents`).

Values go out as stored. Rows are in an order that follows from the content, so the same registry
always gives the same bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import UsageError
from core.pairs import Pair, canonical_json
from core.registry.store import Registry
from core.snapshots import parse_manifest

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """A table. json: columns that hold JSON.  order: columns that name a row, and sort it."""

    name: str
    table: str
    order: str
    json: tuple[str, ...] = ()
    where: str = "1"
    read: Callable[[Registry, Row], Row] | None = None
    write: Callable[[Registry, Row], None] | None = None


def rows(reg: Registry, section: Section) -> Iterator[Row]:
    """The section's rows, oldest or lowest first."""
    sql = f"SELECT * FROM {section.table} WHERE {section.where} ORDER BY {section.order}"
    for stored in reg.each(sql):
        row = {key: stored[key] for key in stored.keys()}  # noqa: SIM118  a sqlite3.Row
        for column in section.json:
            row[column] = json.loads(row[column])
        yield section.read(reg, row) if section.read else row


def put(reg: Registry, section: Section, values: Iterable[Any]) -> int:
    """Store rows. Raises UsageError for one that is not of this table. Returns their number."""
    columns = {r["name"] for r in reg.rows(f"PRAGMA table_info({section.table})")}
    count = 0
    for value in values:
        if not isinstance(value, Mapping):
            raise UsageError(f"{section.name}: a row is not a JSON object")
        row = dict(value)
        if section.write:
            section.write(reg, row)
        if set(row) - columns:
            odd = ", ".join(sorted(map(str, set(row) - columns)))[:200]
            raise UsageError(
                f"{section.name}: unknown field {odd}",
                why="it was exported by a newer program, or it is no export",
            )
        for column in section.json:
            row[column] = canonical_json(row.get(column))
        _insert(reg, section.table, row)
        count += 1
    return count


def contents(reg: Registry) -> Iterator[tuple[str, str]]:
    """(content hash, canonical JSON) of every pair of every snapshot, by hash."""
    wanted = {h for row in rows(reg, SNAPSHOTS) for h in row["qa_pair_hashes"]}
    for content_hash in sorted(wanted):
        body = reg.value("SELECT body FROM blobs WHERE hash = ?", (content_hash,))
        if body is not None:
            yield content_hash, str(body)


def put_contents(reg: Registry, bodies: Iterable[str]) -> int:
    """Store pairs by their canonical JSON. Raises UsageError for what is no pair."""
    count = 0
    for body in bodies:
        try:
            pair = Pair._trusted(json.loads(body))
            values = (pair.content_hash, pair.lesson_hash, pair.content_json)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise UsageError(f"pairs: a line is no pair: {body[:80]!r}") from e
        if pair.content_json != body:
            raise UsageError(f"pairs: {pair.id} is not in canonical form")
        reg.execute("INSERT OR IGNORE INTO blobs (hash, lesson, body) VALUES (?, ?, ?)", values)
        count += 1
    return count


def _insert(reg: Registry, table: str, row: Row) -> None:
    for name, value in row.items():
        if not isinstance(value, str | int | float | bytes | None):
            raise UsageError(f"{table}: {name} is neither text nor a number")
    names = ", ".join(row)
    marks = ", ".join("?" * len(row))
    reg.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))


# ── sections whose rows are not the table's ─────────────────────────────────────────────────────


def _snapshot_out(reg: Registry, row: Row) -> Row:
    lines = parse_manifest(zlib.decompress(row.pop("manifest")).decode())
    row["qa_pair_count"] = row.pop("pair_count")
    row["manifest_sha256"] = row.pop("manifest_hash")
    row["qa_pair_ids"] = [pair_id for pair_id, _ in lines]
    row["qa_pair_hashes"] = [content_hash for _, content_hash in lines]
    return row


def _snapshot_in(reg: Registry, row: Row) -> None:
    try:
        pairs = zip(row.pop("qa_pair_hashes"), row.pop("qa_pair_ids"), strict=True)
        manifest = "".join(f"{content_hash} {pair_id}\n" for content_hash, pair_id in pairs)
        row["pair_count"] = row.pop("qa_pair_count")
        row["manifest_hash"] = row.pop("manifest_sha256")
    except (KeyError, TypeError, ValueError) as e:
        raise UsageError(
            "snapshots: a row has no list of its pairs", why=f"{type(e).__name__}: {e}"
        ) from e
    row["manifest"] = zlib.compress(manifest.encode(), 6)


_NESTED = {
    "deployments": (("deployment_gates", "position"), ("deployment_evidence", "name")),
    "releases": (("release_steps", "position"),),
}


def _with_parts(table: str, key: str) -> Callable[[Registry, Row], Row]:
    def read(reg: Registry, row: Row) -> Row:
        for part, order in _NESTED[table]:
            sql = f"SELECT * FROM {part} WHERE {key} = ? ORDER BY {order}"
            row[part] = [
                {k: r[k] for k in r.keys() if k != key}  # noqa: SIM118
                for r in reg.rows(sql, (row["id"],))
            ]
        return row

    return read


def _put_parts(table: str, key: str) -> Callable[[Registry, Row], None]:
    def write(reg: Registry, row: Row) -> None:
        for part, _ in _NESTED[table]:
            for given in row.pop(part, []):
                if not isinstance(given, Mapping):
                    raise UsageError(f"{part}: a row is not a JSON object")
                _insert(reg, part, {key: row.get("id"), **_known(reg, part, given)})

    return write


def _known(reg: Registry, table: str, row: Mapping[str, Any]) -> Row:
    columns = {r["name"] for r in reg.rows(f"PRAGMA table_info({table})")}
    odd = set(row) - columns
    if odd:
        raise UsageError(f"{table}: unknown field {', '.join(sorted(map(str, odd)))[:200]}")
    return dict(row)


SNAPSHOTS = Section(
    "snapshots", "snapshots", "created_at, dataset_version", ("source_breakdown", "domain_breakdown"),
    read=_snapshot_out, write=_snapshot_in,
)  # fmt: skip
VERSIONS = Section(
    "versions", "versions", "major, minor, patch",
    ("training_config", "eval_metrics", "reproducibility"),
)  # fmt: skip
EVALUATIONS = Section("evaluations", "evaluations", "id", ("scores",))
DEPLOYMENTS = Section(
    "deployments", "deployments", "id",
    read=_with_parts("deployments", "deployment_id"),
    write=_put_parts("deployments", "deployment_id"),
)  # fmt: skip
APPROVALS = Section("approvals", "approvals", "id")
RELEASES = Section(
    "releases", "releases", "id", ("smoke",), where="state <> 'open'",
    read=_with_parts("releases", "release_id"), write=_put_parts("releases", "release_id"),
)  # fmt: skip
ITEMS = Section("checklist", "checklist_items", "position, id")
EVIDENCE = Section("evidence", "evidence", "id")
DECISIONS = Section("decisions", "decisions", "id")
CORRECTIONS = Section("corrections", "corrections", "id")
LABELS = Section("labels", "answer_labels", "id")
JUDGEMENTS = Section("judgements", "judgements", "id", ("document",))
SOURCES = Section("sources", "sources", "source_id")
AUDIT = Section("audit", "audit", "seq")

SECTIONS = (SNAPSHOTS, VERSIONS, EVALUATIONS, DEPLOYMENTS, APPROVALS, RELEASES, ITEMS, EVIDENCE,
            DECISIONS, CORRECTIONS, LABELS, JUDGEMENTS, SOURCES, AUDIT)  # fmt: skip
