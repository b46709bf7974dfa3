"""Building the search index, bundle by bundle; it takes up where a killed process stopped.

What is indexed is told by `search_rows`, which snapshots are complete by `search_members`. Asking the
index: `core.registry.search`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from core.registry.store import Registry

BUNDLE = 4000
BUNDLE_CHARS = 4_000_000


def pending(reg: Registry) -> tuple[str, ...]:
    """The snapshots whose index is not built to the end, oldest first."""
    sql = (
        "SELECT dataset_version FROM snapshots WHERE dataset_version NOT IN"
        " (SELECT dataset_version FROM search_members) ORDER BY rowid"
    )
    return tuple(r[0] for r in reg.rows(sql))


def index(
    reg: Registry,
    dataset_version: str,
    lines: Iterable[tuple[str, str]],
    progress: Callable[[int], object] = lambda done: None,
) -> None:
    """Index a stored snapshot. lines: its (pair id, content hash).

    Inside `reg.writing()` all of it belongs to that transaction; else each bundle has one of its
    own. progress: told the number of pairs done. What is indexed already is not indexed again.
    """
    members = bytearray()
    done = 0
    for bundle in _bundles(h for _, h in lines):
        for row in _index_bundle(reg, bundle):
            if len(members) <= row >> 3:
                members.extend(bytes((row >> 3) + 1 - len(members)))
            members[row >> 3] |= 1 << (row & 7)
        done += len(bundle)
        progress(done)
    with reg.writing():
        sql = "INSERT OR REPLACE INTO search_members VALUES (?, ?)"
        reg.execute(sql, (dataset_version, zlib.compress(members, 6)))


def forget(reg: Registry) -> None:
    """Empty the indexes, to have them built again."""
    with reg.writing():
        for table in ("search_questions", "search_answers"):
            reg.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
        reg.execute("DELETE FROM search_members")
        reg.execute("DELETE FROM search_rows")


def _index_bundle(reg: Registry, content_hashes: Sequence[str]) -> Iterable[int]:
    """Index what is new of these contents; the rows of all of them."""
    rows = rows_of(reg, content_hashes)
    new = [h for h in dict.fromkeys(content_hashes) if h not in rows]
    for portion in _portions(reg, new):
        sql = f"SELECT hash, body FROM blobs WHERE hash IN ({marks(portion)})"
        texts = {}
        for content_hash, body in reg.each(sql, portion):  # before the lock is taken
            pair = json.loads(body)
            texts[content_hash] = (said(pair, "user"), said(pair, "assistant"))
        rows |= _put(reg, texts)
    return rows.values()


def _portions(reg: Registry, content_hashes: Sequence[str]) -> Iterator[list[str]]:
    """Those whose content is there, in lists of bounded length in characters."""
    if not content_hashes:
        return
    portion: list[str] = []
    chars = 0
    sql = f"SELECT hash, length(body) FROM blobs WHERE hash IN ({marks(content_hashes)})"
    for content_hash, length in reg.rows(sql, content_hashes):
        if portion and chars + length > BUNDLE_CHARS:
            yield portion
            portion, chars = [], 0
        portion.append(content_hash)
        chars += length
    if portion:
        yield portion


def _put(reg: Registry, texts: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """Index question and answer of each content. Returns their rows."""
    with reg.writing():
        theirs = rows_of(reg, list(texts))  # another process may have been first
        first = reg.value("SELECT coalesce(max(id), 0) FROM search_rows") + 1
        mine = {h: first + n for n, h in enumerate(h for h in texts if h not in theirs)}
        for sql, at in (
            ("INSERT INTO search_questions (rowid, question) VALUES (?, ?)", 0),
            ("INSERT INTO search_answers (rowid, answer) VALUES (?, ?)", 1),
        ):
            reg.executemany(sql, ((row, texts[h][at]) for h, row in mine.items()))
        sql = "INSERT INTO search_rows VALUES (?, ?)"
        reg.executemany(sql, ((row, bytes.fromhex(h)) for h, row in mine.items()))
    return theirs | mine


def rows_of(reg: Registry, content_hashes: Sequence[str]) -> dict[str, int]:
    """content hash → row, of those that are indexed."""
    sql = f"SELECT id, hash FROM search_rows WHERE hash IN ({marks(content_hashes)})"
    keys = [bytes.fromhex(h) for h in content_hashes]
    return {r[1].hex(): r[0] for r in reg.rows(sql, keys)}


def has(bits: bytes, row: int) -> bool:
    """Whether a snapshot's bitmap holds the row."""
    return row >> 3 < len(bits) and bool(bits[row >> 3] >> (row & 7) & 1)


def said(pair: Mapping[str, Any], role: str) -> str:
    """All turns of `role` in the JSON object of a pair."""
    return "\n".join(m["content"] for m in pair["messages"] if m["role"] == role)


def _bundles(hashes: Iterable[str]) -> Iterator[list[str]]:
    hashes = iter(hashes)
    while bundle := list(islice(hashes, BUNDLE)):
        yield bundle


def marks(values: Sequence[object]) -> str:
    """Placeholders for an IN list."""
    return ",".join("?" * len(values))
