"""Frozen, content-addressed dataset snapshots, and the difference of two. Pure; no storage.

A snapshot is a sorted manifest of one line a pair, `<content hash> <pair id>`. Its id is
`dataset-YYYY-MM-DD-<first 12 hex of the manifest's SHA-256>`: the same pairs on the same day are
the same snapshot, and any change of any pair is another one.

Nothing here keeps the text of a pair: a million pairs are a million ids and hashes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import overload

from core.errors import PairsError
from core.pairs import Pair

HASH_BYTES = 32  # SHA-256 of a pair's content
LESSON_BYTES = 8
_LINES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One pair of a snapshot. `lesson` is the hash of its messages alone."""

    id: str
    content_hash: str
    lesson: str


class Entries(Sequence[Entry]):
    """The entries of a snapshot by position, packed: about 130 bytes a pair.

    ids: sorted.  hashes: 32 bytes a pair.  lessons: 8 bytes a pair.
    """

    __slots__ = ("hashes", "ids", "lessons")

    def __init__(self, ids: Iterable[str], hashes: bytes, lessons: bytes) -> None:
        self.ids, self.hashes, self.lessons = tuple(ids), hashes, lessons
        if not len(self.ids) * HASH_BYTES == len(hashes) == len(lessons) * 4:
            raise ValueError("as many hashes and lessons as ids are needed")

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, at: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(at, slice):
            return tuple(self[i] for i in range(len(self.ids))[at])
        i = range(len(self.ids))[at]
        h, n = i * HASH_BYTES, i * LESSON_BYTES
        return Entry(
            self.ids[i],
            self.hashes[h : h + HASH_BYTES].hex(),
            self.lessons[n : n + LESSON_BYTES].hex(),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entries):
            return NotImplemented
        mine, theirs = (self.ids, self.hashes, self.lessons), (other.ids, other.hashes)
        return mine == (*theirs, other.lessons)

    def __hash__(self) -> int:
        return hash((self.ids, self.hashes))

    def __repr__(self) -> str:
        return f"<{len(self.ids)} entries>"


@dataclass(frozen=True)
class Snapshot:
    """Which pairs exactly, without their text. Entries are sorted by pair id.

    dataset_version: the snapshot id.  parent: the id of the snapshot it follows, or None.
    created_at: ISO 8601, UTC.  breakdowns: counts by `source` and by `domain` of the pairs.
    """

    dataset_version: str
    entries: Entries
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
        return list(self.entries.ids)

    @property
    def manifest(self) -> str:
        return b"".join(manifest_pieces(self.entries)).decode()

    @cached_property
    def manifest_hash(self) -> str:
        """SHA-256 (hex) of the manifest in UTF-8."""
        return _manifest_hash(self.entries)


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


class Freezer:
    """Takes pairs one by one, in any order, and keeps of each its id, hashes and nothing else."""

    def __init__(self) -> None:
        self._by_id: dict[str, bytes] = {}  # content hash and lesson
        self._sources: Counter[str] = Counter()
        self._domains: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, pair: Pair) -> None:
        """The same pair twice counts once. Raises PairsError: one id with two contents."""
        hashes = bytes.fromhex(pair.content_hash + pair.lesson_hash)
        other = self._by_id.setdefault(pair.id, hashes)
        if other is hashes:
            self._sources[pair.source] += 1
            self._domains[pair.domain] += 1
        elif other != hashes:
            raise PairsError(
                f"the pair id {pair.id} occurs twice with different content",
                try_next="give each pair an id of its own",
            )

    def snapshot(
        self, parent: Snapshot | str | None = None, created_at: datetime | str | None = None
    ) -> Snapshot:
        """created_at defaults to now; a naive one is UTC. Raises PairsError: no pairs."""
        if not self._by_id:
            raise PairsError(
                "a snapshot needs at least one pair",
                try_next="see what is wrong with the rows: qa pairs check FILE…",
            )
        ids = sorted(self._by_id)
        hashes = b"".join(self._by_id[i][:HASH_BYTES] for i in ids)
        lessons = b"".join(self._by_id[i][HASH_BYTES:] for i in ids)
        when = _as_utc(created_at)
        entries = Entries(ids, hashes, lessons)
        digest = _manifest_hash(entries)
        snapshot = Snapshot(
            f"dataset-{when:%Y-%m-%d}-{digest[:12]}",
            entries,
            dict(sorted(self._sources.items())),
            dict(sorted(self._domains.items())),
            parent.dataset_version if isinstance(parent, Snapshot) else parent,
            when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        snapshot.__dict__["manifest_hash"] = digest  # the cached property, known already
        return snapshot


def freeze(
    pairs: Iterable[Pair],
    parent: Snapshot | str | None = None,
    created_at: datetime | str | None = None,
) -> Snapshot:
    """The snapshot of `pairs` (any order, read once). created_at defaults to now.

    Raises PairsError: no pairs, or an id that occurs twice with different content.
    """
    freezer = Freezer()
    for pair in pairs:
        freezer.add(pair)
    return freezer.snapshot(parent, created_at)


def diff(a: Snapshot | None, b: Snapshot) -> Diff:
    """The way from `a` to `b`. Against None everything is new."""
    before = _contents(a.entries) if a else {}
    after = _contents(b.entries)
    known = set(_split(a.entries.lessons, LESSON_BYTES)) if a else set()
    lessons = zip(b.entries.ids, _split(b.entries.lessons, LESSON_BYTES), strict=True)
    new = tuple(i for i, lesson in lessons if lesson not in known)
    return Diff(
        added=tuple(i for i in after if i not in before),
        removed=tuple(i for i in before if i not in after),
        changed=tuple(i for i, h in after.items() if before.get(i, h) != h),
        new=new,
        share_new=len(new) / len(after) if after else 0.0,
    )


def manifest_pieces(entries: Entries) -> Iterator[bytes]:
    """The manifest in UTF-8, piece by piece: one line a pair, each ended by LF. Ids hold no control
    characters, so it is unambiguous.
    """
    ids, hashes = entries.ids, entries.hashes
    for at in range(0, len(ids), _LINES_AT_ONCE):
        some = ids[at : at + _LINES_AT_ONCE]
        text = hashes[at * HASH_BYTES : (at + len(some)) * HASH_BYTES].hex()
        lines = [f"{text[n * 64 : n * 64 + 64]} {i}\n" for n, i in enumerate(some)]
        yield "".join(lines).encode()


def parse_manifest(text: str) -> list[tuple[str, str]]:
    """(pair id, content hash) of each line."""
    return [(line[65:], line[:64]) for line in text.split("\n") if line]


def _contents(entries: Entries) -> dict[str, bytes]:
    """pair id → content hash, in the order of the ids."""
    return dict(zip(entries.ids, _split(entries.hashes, HASH_BYTES), strict=True))


def _split(packed: bytes, width: int) -> Iterator[bytes]:
    return (packed[i : i + width] for i in range(0, len(packed), width))


def _manifest_hash(entries: Entries) -> str:
    digest = hashlib.sha256()
    for piece in manifest_pieces(entries):
        digest.update(piece)
    return digest.hexdigest()


def _as_utc(when: datetime | str | None) -> datetime:
    if when is None:
        return datetime.now(UTC)
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
