"""Dataset snapshots in the registry: manifests, and each pair's content once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import NotFound, Refused, RegistryError
from core.pairs import Pair, canonical_json, write_pairs
from core.registry import audit
from core.registry.store import Registry
from core.snapshots import Entry, Snapshot, parse_manifest


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A snapshot as listed: everything but its entries."""

    dataset_version: str
    created_at: str
    parent: str | None
    pair_count: int
    manifest_hash: str
    source_breakdown: dict[str, int]
    domain_breakdown: dict[str, int]


def save(
    reg: Registry, snapshot: Snapshot, pairs: Iterable[Pair], *, who: str | None = None
) -> str:
    """Store a snapshot with its pairs' content; storing it again changes nothing. Returns its id.

    Raises Refused if `pairs` are not those of the snapshot or its parent is not stored.
    """
    by_hash = {p.content_hash: p for p in pairs}
    wanted = {e.content_hash for e in snapshot.entries}
    if wanted != by_hash.keys():
        missing, extra = len(wanted - by_hash.keys()), len(by_hash.keys() - wanted)
        raise Refused(
            f"the pairs are not those of {snapshot.dataset_version}",
            why=f"{missing} of its pairs are missing, {extra} are not in it",
            try_next="freeze the pairs again",
        )
    with reg.writing():
        sql = "SELECT manifest_hash FROM snapshots WHERE dataset_version = ?"
        stored = reg.value(sql, (snapshot.dataset_version,))
        if stored == snapshot.manifest_hash:
            return snapshot.dataset_version
        if stored is not None:
            raise Refused(f"{snapshot.dataset_version} is taken by other content")
        if snapshot.parent is not None:
            row(reg, snapshot.parent)
        reg.executemany(
            "INSERT OR IGNORE INTO blobs (hash, lesson, body) VALUES (?, ?, ?)",
            ((p.content_hash, p.lesson_hash, p.content_json) for p in by_hash.values()),
        )
        reg.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                snapshot.dataset_version,
                snapshot.created_at,
                snapshot.parent,
                snapshot.pair_count,
                snapshot.manifest_hash,
                zlib.compress(snapshot.manifest.encode(), 6),
                canonical_json(snapshot.source_breakdown),
                canonical_json(snapshot.domain_breakdown),
            ),
        )
        after = {"pairs": snapshot.pair_count, "manifest": snapshot.manifest_hash}
        audit.append(reg, "snapshot.freeze", snapshot.dataset_version, who=who, after=after)
    return snapshot.dataset_version


def row(reg: Registry, dataset_version: str) -> SnapshotRow:
    """Raises NotFound."""
    return _row(_stored(reg, dataset_version))


def list(reg: Registry) -> tuple[SnapshotRow, ...]:
    """Newest first."""
    sql = "SELECT * FROM snapshots ORDER BY created_at DESC, rowid DESC"
    return tuple(_row(r) for r in reg.rows(sql))


def load(reg: Registry, dataset_version: str) -> Snapshot:
    """The snapshot with its entries. Raises NotFound."""
    stored = _stored(reg, dataset_version)
    lines = _lines(stored)
    lessons = _of_blobs(reg, "lesson", lines)
    meta = _row(stored)
    return Snapshot(
        meta.dataset_version,
        tuple(Entry(i, h, lesson) for (i, h), lesson in zip(lines, lessons, strict=True)),
        meta.source_breakdown,
        meta.domain_breakdown,
        meta.parent,
        meta.created_at,
    )


def pairs(reg: Registry, dataset_version: str) -> tuple[Pair, ...]:
    """The pairs as they were frozen, sorted by id, without scores. Raises NotFound."""
    lines = _lines(_stored(reg, dataset_version))
    return tuple(Pair._trusted(json.loads(body)) for body in _of_blobs(reg, "body", lines))


def write_jsonl(reg: Registry, dataset_version: str, path: Path) -> int:
    """Restore the snapshot to a pairs file. Returns the number of pairs."""
    return write_pairs(path, pairs(reg, dataset_version))


def verify(reg: Registry, dataset_version: str) -> tuple[str, ...]:
    """Recompute every hash of a stored snapshot; what does not fit, in words (empty: it holds)."""
    stored = _stored(reg, dataset_version)
    manifest = zlib.decompress(stored["manifest"])
    faults = []
    digest = hashlib.sha256(manifest).hexdigest()
    if digest != stored["manifest_hash"] or not dataset_version.endswith(digest[:12]):
        faults.append("the manifest is not the one the snapshot is named after")
    lines = _lines(stored)
    if len(lines) != stored["pair_count"]:
        faults.append(f"{len(lines)} lines in the manifest, {stored['pair_count']} pairs counted")
    for pair_id, content_hash in lines:
        body = reg.value("SELECT body FROM blobs WHERE hash = ?", (content_hash,))
        if body is None:
            faults.append(f"the content of {pair_id} is missing")
        elif hashlib.sha256(body.encode()).hexdigest() != content_hash:
            faults.append(f"the content of {pair_id} was changed")
    return tuple(faults)


def _stored(reg: Registry, dataset_version: str) -> sqlite3.Row:
    found = reg.one("SELECT * FROM snapshots WHERE dataset_version = ?", (dataset_version,))
    if found is None:
        raise NotFound(
            f"no snapshot {dataset_version!r}", try_next="see `qa snapshots list`, or freeze one"
        )
    return found


def _lines(stored: sqlite3.Row) -> tuple[tuple[str, str], ...]:
    return tuple(parse_manifest(zlib.decompress(stored["manifest"]).decode()))


def _of_blobs(
    reg: Registry, column: Literal["lesson", "body"], lines: tuple[tuple[str, str], ...]
) -> tuple[str, ...]:
    """That column of each line's blob, in the order of the lines."""
    sql = f"SELECT b.hash, b.{column} FROM json_each(?) AS j JOIN blobs AS b ON b.hash = j.value"
    found = {r[0]: r[1] for r in reg.rows(sql, (json.dumps([h for _, h in lines]),))}
    try:
        return tuple(found[h] for _, h in lines)
    except KeyError as e:
        raise RegistryError(
            f"{reg.path}: the content of a pair is missing",
            why=f"blob {e.args[0]}",
            try_next="run `qa registry check`, then put back a backup",
        ) from None


def _row(r: sqlite3.Row) -> SnapshotRow:
    return SnapshotRow(
        r["dataset_version"],
        r["created_at"],
        r["parent"],
        r["pair_count"],
        r["manifest_hash"],
        json.loads(r["source_breakdown"]),
        json.loads(r["domain_breakdown"]),
    )
