"""Frozen, content-addressed dataset snapshots, and the difference of two. Pure; no storage.

A snapshot is a sorted manifest of one line a pair, `<content hash> <pair id>`. Its id is
`dataset-YYYY-MM-DD-<first 12 hex of the manifest's SHA-256>`: the same pairs on the same day are
the same snapshot, and any change of any pair is another one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from core.errors import PairsError
from core.pairs import Pair


@dataclass(frozen=True, slots=True)
class Entry:
    """One pair of a snapshot. `lesson` is the hash of its messages alone."""

    id: str
    content_hash: str
    lesson: str


@dataclass(frozen=True)
class Snapshot:
    """Which pairs exactly, without their text. Entries are sorted by pair id.

    dataset_version: the snapshot id.  parent: the id of the snapshot it follows, or None.
    created_at: ISO 8601, UTC.  breakdowns: counts by `source` and by `domain` of the pairs.
    """

    dataset_version: str
    entries: tuple[Entry, ...]
    source_breakdown: Mapping[str, int]
    domain_breakdown: Mapping[str, int]
    parent: str | None
    created_at: str

    @property
    def id(self) -> str:
        return self.dataset_version

    @property
    def pair_count(self) -> int:
        return len(self.entries)

    @property
    def pair_ids(self) -> list[str]:
        """The design's `qa_pair_ids`."""
        return [e.id for e in self.entries]

    @cached_property
    def manifest(self) -> str:
        return manifest_of(self.entries)

    @cached_property
    def manifest_hash(self) -> str:
        """SHA-256 (hex) of the manifest in UTF-8."""
        return hashlib.sha256(self.manifest.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Diff:
    """What `b` has against `a`, by pair id. share_new: part of b's pairs (0..1) whose messages do
    not occur in `a` under any id; 0 for an empty b. new: the ids of these pairs.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    new: tuple[str, ...]
    share_new: float


def freeze(
    pairs: Iterable[Pair],
    parent: Snapshot | str | None = None,
    created_at: datetime | str | None = None,
) -> Snapshot:
    """The snapshot of `pairs` (any order). created_at defaults to now; a naive one is UTC.

    Raises PairsError: no pairs, or an id that occurs twice with different content.
    """
    by_id: dict[str, Pair] = {}
    for pair in pairs:
        other = by_id.setdefault(pair.id, pair)
        if other is not pair and other.content_hash != pair.content_hash:
            raise PairsError(
                f"the pair id {pair.id} occurs twice with different content",
                try_next="give each pair an id of its own",
            )
    if not by_id:
        raise PairsError("a snapshot needs at least one pair")
    when = _as_utc(created_at)
    entries = tuple(Entry(p.id, p.content_hash, p.lesson_hash) for _, p in sorted(by_id.items()))
    digest = hashlib.sha256(manifest_of(entries).encode()).hexdigest()
    return Snapshot(
        f"dataset-{when:%Y-%m-%d}-{digest[:12]}",
        entries,
        dict(sorted(Counter(p.source for p in by_id.values()).items())),
        dict(sorted(Counter(p.domain for p in by_id.values()).items())),
        parent.dataset_version if isinstance(parent, Snapshot) else parent,
        when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def diff(a: Snapshot | None, b: Snapshot) -> Diff:
    """The way from `a` to `b`. Against None everything is new."""
    before = {e.id: e.content_hash for e in a.entries} if a else {}
    after = {e.id: e.content_hash for e in b.entries}
    known = {e.lesson for e in a.entries} if a else set()
    new = tuple(e.id for e in b.entries if e.lesson not in known)
    return Diff(
        added=tuple(i for i in after if i not in before),
        removed=tuple(i for i in before if i not in after),
        changed=tuple(i for i, h in after.items() if i in before and before[i] != h),
        new=new,
        share_new=len(new) / len(after) if after else 0.0,
    )


def manifest_of(entries: Iterable[Entry]) -> str:
    """One line a pair, each ended by LF. Ids hold no control characters, so it is unambiguous."""
    return "".join(f"{e.content_hash} {e.id}\n" for e in entries)


def parse_manifest(text: str) -> list[tuple[str, str]]:
    """(pair id, content hash) of each line."""
    out = []
    for line in text.split("\n"):
        if line:
            content_hash, _, pair_id = line.partition(" ")
            out.append((pair_id, content_hash))
    return out


def _as_utc(when: datetime | str | None) -> datetime:
    if when is None:
        return datetime.now(UTC)
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
