"""Finding pairs by their words: question first, answers apart.

    find(reg, "how much memory has a delta node")

Three tiers, from strict to loose; the first that brings the hits to ENOUGH is the last one asked:

    all           every word (stop words out)
    all but one   every word but one, the least telling left out first
    any           at least one of the three rarest words

A hit's score is the share of the query's information it holds: the summed inverse document
frequency of the words it has over that of all words, 0…1. Equal ones: the shorter text first, then
the newer row. BM25 would say nearly the same of texts this short and has to count every row of
every word for it.
"""

from __future__ import annotations

import json
import re
import textwrap
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal
from weakref import WeakKeyDictionary

from core import citations
from core.errors import NotFound, Refused
from core.near_duplicates import STOP_WORDS
from core.registry.search_index import has, marks, rows_of, said
from core.registry.store import Registry, clean

ENOUGH = 5
MAX_WORDS = 16
MAX_WORD_CHARS = 64
COMMON = 5_000
"""Rows from which a word says little: counted no further, and left out of the last tier."""
CANDIDATES = 3000  # newest rows of a tier that are looked at
SNIPPET_CHARS = 160
_MAX_COUNTS = 20_000

Tier = Literal["all", "all but one", "any"]
_Members = bytes | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One pair. question: the first user turn.  answer: a piece of the answer, without markers;
    full_answer: all of it, as it is stored.

    score: 0…1, see above.  content_hash: what a snapshot knows the pair by; two contents under one
    id are two hits.
    """

    pair_id: str
    question: str
    answer: str
    domain: str
    source: str
    score: float
    tier: Tier
    content_hash: str
    full_answer: str


def find(
    reg: Registry,
    text: str,
    *,
    snapshot: str | None = None,
    answers: bool = False,
    limit: int = 10,
    prefix: bool = False,
) -> tuple[Hit, ...]:
    """Pairs that `text` may mean, best first. Whatever it holds is taken as words, never as syntax.

    snapshot: only pairs of this one.  answers: search what the assistant said.  prefix: the last
    word is still being typed; then any hit is enough.
    Another thread may stop it with `reg.interrupt()` (Cancelled).
    Raises NotFound (no such snapshot), Refused (its index is not built to the end).
    """
    index = _index(reg, "search_answers" if answers else "search_questions", snapshot)
    words = _words(text)
    found = _ranked(index, words, prefix, limit)
    bodies = contents(reg, [row for row, _, _ in found])
    shown = words if answers else []
    return tuple(
        _hit(*bodies[row], score, tier, shown) for row, score, tier in found if row in bodies
    )


def snapshots_with(reg: Registry, content_hashes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """content hash → the snapshots that hold it, newest first."""
    rows = rows_of(reg, list(content_hashes))
    out: dict[str, list[str]] = {h: [] for h in rows}
    sql = (
        "SELECT dataset_version, members FROM search_members JOIN snapshots USING (dataset_version)"
        " ORDER BY created_at DESC, snapshots.rowid DESC"
    )
    for name, packed in reg.each(sql):
        bits = zlib.decompress(packed)
        for content_hash, row in rows.items():
            if has(bits, row):
                out[content_hash].append(name)
    return {h: tuple(names) for h, names in out.items()}


_Counts = dict[tuple[str, str], int]
_counted: WeakKeyDictionary[Registry, tuple[int, _Counts]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Index:
    """One of the two indexes, perhaps seen through a snapshot. Words are in FTS5's syntax, quoted.

    total: rows there are.  counts: how many rows have a word, as far as asked by this connection.
    """

    reg: Registry
    table: str
    members: _Members
    total: int
    counts: _Counts

    def rows(self, word: str) -> int:
        """How many rows have it, counted up to COMMON."""
        found = self.counts.get((self.table, word))
        if found is None:
            sql = (
                f"SELECT count(*) FROM (SELECT 1 FROM {self.table}"
                f" WHERE {self.table} MATCH ? LIMIT {COMMON})"
            )
            found = self.counts[self.table, word] = int(self.reg.value(sql, (word,)))
        return found

    def weight(self, word: str) -> float:
        """Inverse document frequency; greater than 0."""
        return log(1 + (self.total + 1) / (self.rows(word) + 0.5))

    def shortest(self, expression: str, limit: int) -> list[int]:
        """Of the newest CANDIDATES matching rows the `limit` shortest."""
        # sz: the number of tokens as a varint, whose bytes sort as the numbers do below 2^14.
        sql = (
            f"SELECT d.id FROM (SELECT rowid AS id FROM {self.table} WHERE {self.table} MATCH ?"
            f" {self._only()} ORDER BY rowid DESC LIMIT {CANDIDATES}) AS f"
            f" JOIN {self.table}_docsize AS d ON d.id = f.id ORDER BY d.sz, d.id DESC LIMIT ?"
        )
        return [r[0] for r in self.reg.rows(sql, (expression, limit))]

    def all(self, expression: str) -> list[int]:
        sql = f"SELECT rowid FROM {self.table} WHERE {self.table} MATCH ? {self._only()}"
        return [r[0] for r in self.reg.rows(f"{sql} LIMIT {COMMON}", (expression,))]

    def sizes(self, rows: Sequence[int]) -> dict[int, bytes]:
        sql = f"SELECT id, sz FROM {self.table}_docsize WHERE id IN ({marks(rows)})"
        return {r[0]: r[1] for r in self.reg.rows(sql, rows)}

    def _only(self) -> str:
        bits = self.members
        if bits is None:
            return ""
        self.reg.conn.create_function("in_snapshot", 1, lambda row: has(bits, row))
        return "AND in_snapshot(rowid)"


def _index(reg: Registry, table: str, snapshot: str | None) -> _Index:
    members = _members(reg, snapshot)
    total = int(reg.value("SELECT coalesce(max(id), 0) FROM search_rows"))
    known, counts = _counted.get(reg, (-1, {}))
    if known != total or len(counts) > _MAX_COUNTS:
        counts = {}
        _counted[reg] = total, counts
    return _Index(reg, table, members, total, counts)


def _ranked(
    index: _Index, words: Sequence[str], prefix: bool, limit: int
) -> list[tuple[int, float, Tier]]:
    """(row, score, tier), tier by tier, the best first in each."""
    asked = [f'"{word}"' for word in words]
    if prefix and asked:
        asked[-1] += " *"
    found: dict[int, tuple[float, Tier]] = dict.fromkeys(_all(index, asked, limit), (1.0, "all"))
    if prefix and words and not found:
        asked[-1] = _typed(index, words[-1])
        found = dict.fromkeys(_all(index, asked, limit), (1.0, "all"))
    enough = 1 if prefix else min(ENOUGH, limit)  # while typing, the next letter comes soon
    if len(asked) > 1 and len(found) < enough:
        total = sum(map(index.weight, asked))
        for row, score in _all_but_one(index, asked, found.keys(), limit):
            found.setdefault(row, (min(1.0, score / total), "all but one"))
        if len(found) < enough:
            for row, score in _any(index, asked, limit):
                found.setdefault(row, (min(1.0, score / total), "any"))
    return [(row, score, tier) for row, (score, tier) in found.items()][:limit]


def _all(index: _Index, words: Sequence[str], limit: int) -> Iterable[int]:
    return index.shortest(" AND ".join(words), limit) if words else ()


def _all_but_one(
    index: _Index, words: Sequence[str], known: Container[int], limit: int
) -> Iterator[tuple[int, float]]:
    """known: the rows with all words."""
    unknown = [w for w in words if not index.rows(w)]
    if len(unknown) > 1:
        return
    by_weight = sorted(words, key=index.weight)
    leave_out = unknown or by_weight
    if not unknown and len(words) > 2:
        # Whatever else is left out, a hit has the two most telling words. Mostly nothing new has.
        both = index.shortest(" AND ".join(by_weight[-2:]), limit + 1)
        if len(both) <= limit and all(row in known for row in both):
            leave_out = by_weight[-2:]
    seen: set[int] = set()
    for left_out in leave_out:
        rest = [w for w in words if w != left_out]
        score = sum(map(index.weight, rest))
        for row in index.shortest(" AND ".join(rest), limit + len(seen)):
            if row not in seen:
                seen.add(row)
                yield row, score
        if len(seen) >= limit:
            return


def _any(index: _Index, words: Sequence[str], limit: int) -> Iterator[tuple[int, float]]:
    rarest = sorted((w for w in words if index.rows(w)), key=index.rows)[:3]
    scores: dict[int, float] = {}
    looked_at = 0
    for word in rarest:
        looked_at += index.rows(word)
        if scores and looked_at > COMMON:
            break
        for row in index.all(word):
            scores[row] = scores.get(row, 0.0) + index.weight(word)
    newest = sorted(scores, reverse=True)
    best = sorted(newest, key=scores.__getitem__, reverse=True)[: max(limit * 20, 200)]
    sizes = index.sizes(best)
    best.sort(key=lambda row: (-scores[row], sizes.get(row, b"\xff"), -row))
    yield from ((row, scores[row]) for row in best[:limit])


def _typed(index: _Index, word: str) -> str:
    """A word that is still being typed. The index holds stems, so "computi" begins none of them:
    then up to three letters are taken off its end.
    """
    for end in range(len(word), max(len(word) - 4, min(2, len(word) - 1)), -1):
        shorter = f'"{word[:end]}" *'
        if index.rows(shorter):
            return shorter
    return f'"{word}" *'


def _words(text: str) -> list[str]:
    """The words of a query in order, each once; stop words only if there are no others."""
    found = re.findall(r"[^\W_]+", clean(text[:10_000]).lower())
    words = list(dict.fromkeys(w[:MAX_WORD_CHARS] for w in found))
    return ([w for w in words if w not in STOP_WORDS] or words)[:MAX_WORDS]


def _members(reg: Registry, snapshot: str | None) -> _Members:
    if snapshot is None:
        return None
    sql = "SELECT members FROM search_members WHERE dataset_version = ?"
    packed = reg.value(sql, (snapshot,))
    if packed is not None:
        return zlib.decompress(packed)
    if reg.one("SELECT 1 FROM snapshots WHERE dataset_version = ?", (snapshot,)) is None:
        raise NotFound(f"no snapshot {snapshot!r}", try_next="see `qa snapshots list`")
    raise Refused(
        f"the search index of {snapshot} is not built to the end",
        why="it is being built, or the process that built it was stopped",
        try_next="run `qa search`, which goes on with it",
    )


def contents(reg: Registry, rows: Sequence[int]) -> dict[int, tuple[str, dict[str, Any]]]:
    """search row → (content hash, the pair's JSON object)."""
    sql = (
        "SELECT r.id, b.hash, b.body FROM search_rows AS r"
        f" JOIN blobs AS b ON b.hash = lower(hex(r.hash)) WHERE r.id IN ({marks(rows)})"
    )
    return {r[0]: (r[1], json.loads(r[2])) for r in reg.rows(sql, rows)}


def _hit(
    content_hash: str,
    pair: Mapping[str, Any],
    score: float,
    tier: Tier,
    words: Sequence[str],
) -> Hit:
    answer = said(pair, "assistant")
    return Hit(
        pair["id"],
        pair["messages"][0]["content"],
        _snippet(citations.without_markers(answer), words),
        pair["domain"],
        pair["source"],
        round(score, 4),
        tier,
        content_hash,
        answer,
    )


def _snippet(text: str, words: Sequence[str]) -> str:
    """The beginning, or the surroundings of the first of `words` that occurs."""
    text = " ".join(text.split())
    places = [m.start() for w in words if (m := re.search(rf"\b{w}", text, re.IGNORECASE))]
    start = max(0, min(places, default=0) - SNIPPET_CHARS // 3)
    if start:
        start = text.find(" ", start) + 1
    short = textwrap.shorten(
        text[start : start + 4 * SNIPPET_CHARS], SNIPPET_CHARS, placeholder=" …"
    )
    return f"… {short}" if start else short
