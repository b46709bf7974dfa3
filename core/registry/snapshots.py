"""Dataset snapshots in the registry: manifests, and each pair's content once.

A small snapshot is stored in one transaction. A large one goes in bundles, so that nobody waits
long for the write lock: first the contents, which nothing refers to yet, then the snapshot itself
with its audit row, then its search index. A process killed on the way leaves no half snapshot; the
contents it leaves are used by the next attempt.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path

from core.errors import NotFound, Refused, RegistryError
from core.pairs import Pair, canonical_json, write_pairs
from core.registry import audit, search_index
from core.registry.store import Registry
from core.snapshots import Entries, Freezer, Snapshot, manifest_pieces, parse_manifest

BUNDLE_PAIRS = 4000
BUNDLE_CHARS = 4_000_000
_READ_AT_ONCE = 200
_BULK = {"cache_size": -65536, "wal_autocheckpoint": 16384}  # 64 MiB each

_Content = tuple[str, str, str]  # hash, lesson, body


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


def freeze(
    reg: Registry,
    pairs: Iterable[Pair],
    *,
    parent: str | None = None,
    created_at: datetime | str | None = None,
    who: str | None = None,
) -> Snapshot:
    """Freeze and store in one pass; the text of at most one bundle of pairs is in memory.

    Raises PairsError (none, or an id with two contents), NotFound (no such parent).
    """
    if parent is not None:
        row(reg, parent)
    freezer = Freezer()
    bundles = _bundles(pairs, freezer)
    first = next(bundles, [])
    second = next(bundles, None)
    if second is None:
        snapshot = freezer.snapshot(parent, created_at)
        with reg.writing():
            _put_contents(reg, first)
            _put_snapshot(reg, snapshot, who)
            search_index.index(reg, snapshot.id, lines(reg, snapshot.id))
        return snapshot
    with _in_bulk(reg):
        for bundle in chain((first, second), bundles):
            _put_contents(reg, bundle)
        snapshot = freezer.snapshot(parent, created_at)
        _put_snapshot(reg, snapshot, who)
        search_index.index(reg, snapshot.id, lines(reg, snapshot.id))
    return snapshot


def save(
    reg: Registry, snapshot: Snapshot, pairs: Iterable[Pair], *, who: str | None = None
) -> str:
    """Store a snapshot with its pairs' content; storing it again changes nothing. Returns its id.

    Raises Refused if `pairs` are not those of the snapshot or its id is taken, NotFound if its
    parent is not stored.
    """
    if _is_stored(reg, snapshot):
        return snapshot.dataset_version
    return put(reg, snapshot, pairs, who=who)


def put(reg: Registry, snapshot: Snapshot, pairs: Iterable[Pair], *, who: str | None = None) -> str:
    """`save`, but contents that are missing from a stored snapshot are put back."""
    _is_stored(reg, snapshot)
    if snapshot.parent is not None:
        row(reg, snapshot.parent)
    if snapshot.pair_count <= BUNDLE_PAIRS:
        with reg.writing():
            _put_all(reg, snapshot, pairs, who)
    else:
        with _in_bulk(reg):
            _put_all(reg, snapshot, pairs, who)
    return snapshot.dataset_version


def row(reg: Registry, dataset_version: str) -> SnapshotRow:
    """Raises NotFound."""
    return _row(_stored(reg, dataset_version))


def list(reg: Registry) -> tuple[SnapshotRow, ...]:
    """Newest first."""
    sql = (
        "SELECT dataset_version, created_at, parent, pair_count, manifest_hash, source_breakdown,"
        " domain_breakdown FROM snapshots ORDER BY created_at DESC, rowid DESC"
    )
    return tuple(_row(r) for r in reg.rows(sql))


def load(reg: Registry, dataset_version: str) -> Snapshot:
    """The snapshot with its entries. Raises NotFound."""
    stored = _stored(reg, dataset_version)
    ids, hashes, lessons = [], bytearray(), bytearray()
    for lines in _some_lines(stored):
        found = _of_blobs(reg, "lesson", lines)
        for pair_id, content_hash in lines:
            ids.append(pair_id)
            hashes += bytes.fromhex(content_hash)
            lessons += bytes.fromhex(_must_have(reg, found, content_hash))
    meta = _row(stored)
    return Snapshot(
        meta.dataset_version,
        Entries(ids, bytes(hashes), bytes(lessons)),
        meta.source_breakdown,
        meta.domain_breakdown,
        meta.parent,
        meta.created_at,
    )


def lines(reg: Registry, dataset_version: str) -> Iterator[tuple[str, str]]:
    """(pair id, content hash) of each pair, sorted by id. Raises NotFound."""
    return chain.from_iterable(_some_lines(_stored(reg, dataset_version)))


def iter_pairs(
    reg: Registry, dataset_version: str, ids: Iterable[str] | None = None
) -> Iterator[Pair]:
    """The pairs as they were frozen, sorted by id, without scores; a few hundred in memory.

    ids: only these; ids that are not in the snapshot are passed over. Raises NotFound.
    """
    stored = _stored(reg, dataset_version)
    wanted = None if ids is None else frozenset(ids)

    def all_pairs() -> Iterator[Pair]:
        for some in _some_lines(stored):
            kept = some if wanted is None else [line for line in some if line[0] in wanted]
            bodies = _of_blobs(reg, "body", kept)
            for _, content_hash in kept:
                yield Pair._trusted(json.loads(_must_have(reg, bodies, content_hash)))

    return all_pairs()


def pairs(reg: Registry, dataset_version: str) -> tuple[Pair, ...]:
    """All of `iter_pairs` at once."""
    return tuple(iter_pairs(reg, dataset_version))


def write_jsonl(reg: Registry, dataset_version: str, path: Path) -> int:
    """Write the snapshot as a pairs file. Returns the number of pairs."""
    return write_pairs(path, iter_pairs(reg, dataset_version))


def verify(reg: Registry, dataset_version: str) -> tuple[str, ...]:
    """Recompute a stored snapshot from its rows; what does not fit, in words (empty: it holds).

    Faults of pairs stand in the order of their ids, so the first one named is the first damaged.
    """
    stored = _stored(reg, dataset_version)
    try:
        manifest = zlib.decompress(stored["manifest"])
    except zlib.error as e:
        return (f"the manifest cannot be read: {e}",)
    faults = []
    digest = hashlib.sha256(manifest).hexdigest()
    if digest != stored["manifest_hash"] or not dataset_version.endswith(digest[:12]):
        faults.append("the manifest is not the one the snapshot is named after")
    sources: Counter[str] = Counter()
    domains: Counter[str] = Counter()
    count = 0
    for some in _some_lines(stored):
        count += len(some)
        bodies, lessons = _of_blobs(reg, "body", some), _of_blobs(reg, "lesson", some)
        for pair_id, content_hash in some:
            fault, pair = _fault_of(pair_id, content_hash, bodies, lessons)
            if fault:
                faults.append(fault)
            if pair is not None:
                sources[pair.source] += 1
                domains[pair.domain] += 1
    if count != stored["pair_count"]:
        faults.append(f"{count} lines in the manifest, {stored['pair_count']} pairs counted")
    meta = _row(stored)
    if not faults and (sources, domains) != (meta.source_breakdown, meta.domain_breakdown):
        faults.append("the counts by source or by domain are not those of the pairs")
    return tuple(faults)


def build_search(reg: Registry, progress: Callable[[str, int], object] | None = None) -> int:
    """Index every snapshot whose search index is not built to the end. Returns how many.

    progress: told the snapshot's id and how many of its pairs are done.
    """
    waiting = search_index.pending(reg)
    with _in_bulk(reg):
        for name in waiting:
            tell = partial(progress, name) if progress else lambda done: None
            search_index.index(reg, name, lines(reg, name), tell)
    return len(waiting)


def _fault_of(
    pair_id: str, content_hash: str, bodies: dict[str, str], lessons: dict[str, str]
) -> tuple[str, Pair | None]:
    body = bodies.get(content_hash)
    if body is None:
        return f"the content of {pair_id} is missing", None
    if hashlib.sha256(body.encode()).hexdigest() != content_hash:
        return f"the content of {pair_id} was changed", None
    pair = Pair._trusted(json.loads(body))  # its hash holds, so it is what was stored
    if pair.id != pair_id:
        return f"the content of {pair_id} is that of {pair.id}", None
    if pair.lesson_hash != lessons[content_hash]:
        return f"the hash of what {pair_id} teaches was changed", None
    return "", pair


def _bundles(pairs: Iterable[Pair], freezer: Freezer) -> Iterator[Sequence[_Content]]:
    """What is stored of the pairs, in bundles bounded in number and in characters; each pair is
    given to the freezer on its way.
    """
    bundle: MutableSequence[_Content] = []
    size = 0
    for pair in pairs:
        freezer.add(pair)
        bundle.append((pair.content_hash, pair.lesson_hash, pair.content_json))
        size += len(pair.content_json)
        if len(bundle) >= BUNDLE_PAIRS or size >= BUNDLE_CHARS:
            yield bundle
            bundle, size = [], 0
    if bundle:
        yield bundle


@contextmanager
def _in_bulk(reg: Registry) -> Iterator[None]:
    """Hashes land all over their index: without this each bundle writes most of its pages again."""
    if reg.conn.in_transaction:
        yield
        return
    usual = {name: reg.value(f"PRAGMA {name}") for name in _BULK}
    try:
        for name, value in _BULK.items():
            reg.execute(f"PRAGMA {name} = {value}")
        yield
    finally:
        for name, value in usual.items():
            reg.execute(f"PRAGMA {name} = {value}")


def _put_all(reg: Registry, snapshot: Snapshot, pairs: Iterable[Pair], who: str | None) -> None:
    freezer = Freezer()
    for bundle in _bundles(pairs, freezer):
        _put_contents(reg, bundle)
    if not len(freezer) or freezer.snapshot(created_at=snapshot.created_at).entries != (
        snapshot.entries
    ):
        raise Refused(
            f"the pairs are not those of {snapshot.dataset_version}",
            why=f"it has {snapshot.pair_count} pairs, {len(freezer)} were given",
            try_next="freeze the pairs again",
        )
    _put_snapshot(reg, snapshot, who)
    search_index.index(reg, snapshot.id, lines(reg, snapshot.id))


def _put_contents(reg: Registry, bundle: Sequence[_Content]) -> None:
    sql = "INSERT OR IGNORE INTO blobs (hash, lesson, body) VALUES (?, ?, ?)"
    with reg.writing():
        reg.executemany(sql, bundle)


def _put_snapshot(reg: Registry, snapshot: Snapshot, who: str | None) -> None:
    packer = zlib.compressobj(6)
    packed = b"".join(packer.compress(piece) for piece in manifest_pieces(snapshot.entries))
    packed += packer.flush()
    with reg.writing():
        if _is_stored(reg, snapshot):
            return
        if snapshot.parent is not None:
            row(reg, snapshot.parent)
        reg.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                snapshot.dataset_version,
                snapshot.created_at,
                snapshot.parent,
                snapshot.pair_count,
                snapshot.manifest_hash,
                packed,
                canonical_json(snapshot.source_breakdown),
                canonical_json(snapshot.domain_breakdown),
            ),
        )
        after = {"pairs": snapshot.pair_count, "manifest": snapshot.manifest_hash}
        audit.append(reg, "snapshot.freeze", snapshot.dataset_version, who=who, after=after)


def _is_stored(reg: Registry, snapshot: Snapshot) -> bool:
    """Raises Refused if the id stands for other content."""
    sql = "SELECT manifest_hash FROM snapshots WHERE dataset_version = ?"
    stored = reg.value(sql, (snapshot.dataset_version,))
    if stored is not None and stored != snapshot.manifest_hash:
        raise Refused(f"{snapshot.dataset_version} is taken by other content")
    return stored is not None


def _stored(reg: Registry, dataset_version: str) -> sqlite3.Row:
    found = reg.one("SELECT * FROM snapshots WHERE dataset_version = ?", (dataset_version,))
    if found is None:
        raise NotFound(
            f"no snapshot {dataset_version!r}", try_next="see `qa snapshots list`, or freeze one"
        )
    return found


def _some_lines(stored: sqlite3.Row) -> Iterator[Sequence[tuple[str, str]]]:
    """(pair id, content hash), a few hundred at a time; the manifest is unpacked as it is read.

    Raises RegistryError: it cannot be unpacked.
    """
    unpacker = zlib.decompressobj()
    packed, rest = stored["manifest"], b""
    try:
        while packed:
            piece = rest + unpacker.decompress(packed, _READ_AT_ONCE * 100)
            packed = unpacker.unconsumed_tail
            whole, end, rest = piece.rpartition(b"\n")
            if end:
                yield parse_manifest(whole.decode())
        yield parse_manifest((rest + unpacker.flush()).decode())
        if not unpacker.eof:
            raise zlib.error("it is cut off")
    except (zlib.error, UnicodeDecodeError) as e:
        raise RegistryError(
            f"the manifest of {stored['dataset_version']} cannot be read",
            why=str(e),
            try_next="run `qa registry check`, then put back a backup",
        ) from e


def _of_blobs(reg: Registry, column: str, some: Sequence[tuple[str, str]]) -> dict[str, str]:
    """That column of the blobs of these lines, by content hash; missing ones are not in it."""
    marks = ",".join("?" * len(some))
    sql = f"SELECT hash, {column} FROM blobs WHERE hash IN ({marks})"
    return {r[0]: r[1] for r in reg.rows(sql, [h for _, h in some])}


def _must_have(reg: Registry, found: dict[str, str], content_hash: str) -> str:
    try:
        return found[content_hash]
    except KeyError:
        raise RegistryError(
            f"{reg.path}: the content of a pair is missing",
            why=f"blob {content_hash}",
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
