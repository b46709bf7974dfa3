"""The audit: append-only rows, each hashed together with the hash of the row before it.

    hash = SHA-256(prev_hash + canonical JSON of [seq, at, who, origin, action, subject, before,
                                                  after, why])

An edited, inserted or missing row breaks the chain at its place; rows cut off at the end are seen
because the head is kept apart as well. Whoever can rewrite the whole file can rewrite the whole
chain: keep the head (`mark`) somewhere else (an export, a commit) and verify against it.

The order is that of seq. `at` is the clock as it stood; where it went back, the row says so.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from core.errors import UsageError
from core.registry.store import Registry, clean, utc_now

GENESIS = "0" * 64
_HEAD = "audit_head"
_LAST = (
    "SELECT m.value, a.at FROM meta AS m LEFT JOIN audit AS a ON a.seq = CAST(m.value AS INTEGER)"
    " WHERE m.key = ?"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit row. before and after are JSON values or None.

    origin: where it was done from: "<machine>/<how>", with "; clock … s behind row …" behind it if
    the clock had been set back.
    """

    seq: int
    at: str
    who: str
    origin: str
    action: str
    subject: str
    before: Any
    after: Any
    why: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of verify. seq: where the chain first breaks; None if it holds."""

    ok: bool
    rows: int
    head: str
    seq: int | None = None
    what: str = ""


def append(
    reg: Registry,
    action: str,
    subject: str,
    *,
    who: str | None = None,
    before: Any = None,
    after: Any = None,
    why: str = "",
) -> str:
    """Add one row inside the transaction of the change it tells of. Returns its hash.

    before, after: JSON values. Called only within `reg.writing()`.
    """
    if not reg.conn.in_transaction:
        raise RuntimeError("an audit row belongs into the transaction of its change")
    last = reg.one(_LAST, (_HEAD,))  # the head and the time of its row
    seq, prev = _parsed(None if last is None else last[0])
    now = utc_now()
    row = (
        seq + 1,
        now,
        clean(who or reg.operator),
        clean(f"{_node()}/{reg.how}{_set_back(now, seq, None if last is None else last[1])}"),
        clean(action),
        clean(subject),
        None if before is None else _json(before),
        None if after is None else _json(after),
        clean(why),
    )
    digest = _digest(prev, row)
    sql = (
        "INSERT INTO audit (seq, at, who, origin, action, subject, before, after, why, prev_hash,"
        " hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    reg.execute(sql, (*row, prev, digest))
    reg.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_HEAD, f"{seq + 1} {digest}"),
    )
    return digest


def head(reg: Registry) -> str:
    """Hash of the newest row: what to note elsewhere to be able to prove the chain."""
    return _head(reg)[1]


def position(reg: Registry) -> tuple[int, str]:
    """Number and hash of the newest row; (0, GENESIS) before the first."""
    return _head(reg)


def mark(reg: Registry) -> str:
    """`<seq>:<hash>` of the newest row, as `verify(against=…)` takes it."""
    return "{}:{}".format(*_head(reg))


def hash_at(reg: Registry, seq: int) -> str | None:
    """The hash of a row; GENESIS for 0; None if there is no such row."""
    if seq == 0:
        return GENESIS
    found = reg.value("SELECT hash FROM audit WHERE seq = ?", (seq,))
    return None if found is None else str(found)


def after(reg: Registry, seq: int) -> tuple[Entry, ...]:
    """The rows that came after row `seq`, oldest first."""
    return tuple(
        _entry(r) for r in reg.rows("SELECT * FROM audit WHERE seq > ? ORDER BY seq", (seq,))
    )


def entries(reg: Registry, *, subject: str | None = None, limit: int = 200) -> tuple[Entry, ...]:
    """Newest first."""
    where, values = ("", ()) if subject is None else ("WHERE subject = ?", (subject,))
    rows = reg.rows(f"SELECT * FROM audit {where} ORDER BY seq DESC LIMIT ?", (*values, limit))
    return tuple(_entry(r) for r in rows)


def verify(reg: Registry, against: str | None = None) -> Verification:
    """Recompute the whole chain; the first row that does not fit is named by its seq.

    against: a head noted earlier, `<seq>:<hash>` or the hash alone (at least 12 digits of it). The
    chain must still contain it: that finds even a history that was rewritten whole, or cut off with
    its head. Raises UsageError if it is not one.
    """
    noted = None if against is None else _noted(against)
    found = _recompute(reg)
    return found if noted is None or not found.ok else _contains(reg, found, *noted)


def _contains(reg: Registry, chain: Verification, seq: int | None, digest: str) -> Verification:
    """The chain holds; is it the one whose head was noted?"""
    if seq is None:
        if digest == GENESIS[: len(digest)]:
            return chain
        sql = "SELECT 1 FROM audit WHERE substr(hash, 1, ?) = ?"
        if reg.one(sql, (len(digest), digest)) is not None:
            return chain
        what = "the noted head is not in this chain: rows were cut off, or it was rewritten"
        return Verification(False, chain.rows, chain.head, None, what)
    stored = hash_at(reg, seq)
    if stored is not None and stored.startswith(digest):
        return chain
    if stored is None:
        first, what = chain.rows + 1, f"rows {chain.rows + 1} to {seq} were cut off at the end"
    else:
        first, what = seq, f"the history was rewritten: row {seq} is not the one that was noted"
    return Verification(False, chain.rows, chain.head, first, what)


def _noted(text: str) -> tuple[int | None, str]:
    number, colon, digest = text.strip().lower().rpartition(":")
    wrong = colon and not (number.isascii() and number.isdigit() and len(number) < 18)
    if wrong or not 12 <= len(digest) <= 64 or set(digest) - set("0123456789abcdef"):
        raise UsageError(
            f"{text[:80]!r} is not the head of an audit",
            try_next="give <row>:<hash> as `qa audit verify` prints it, or the hash alone",
        )
    return (int(number) if colon else None), digest


def _recompute(reg: Registry) -> Verification:
    seq, prev = 0, GENESIS
    columns = "seq, at, who, origin, action, subject, before, after, why"
    head_seq, head = _head(reg)
    for row in reg.each(f"SELECT {columns}, prev_hash, hash FROM audit ORDER BY seq"):
        values, stored_prev, stored = tuple(row)[:-2], row["prev_hash"], row["hash"]
        seq += 1
        if row["seq"] != seq:
            what = f"row {seq} is missing (row {row['seq']} comes next)"
            return Verification(False, seq - 1, prev, seq, what)
        if stored_prev != prev:
            what = f"row {seq} does not follow row {seq - 1}: one of them was exchanged"
            return Verification(False, seq - 1, prev, seq, what)
        if _digest(prev, values) != stored:
            what = f"row {seq} ({row['action']} {row['subject']}) was edited after it was written"
            return Verification(False, seq - 1, prev, seq, what)
        prev = stored
    if (head_seq, head) != (seq, prev):
        what = f"the chain ends at row {seq}, its head is recorded as row {head_seq}"
        if seq < head_seq:
            what = f"rows {seq + 1} to {head_seq} were cut off at the end"
        return Verification(False, seq, prev, min(seq, head_seq) + 1, what)
    return Verification(True, seq, prev)


def _head(reg: Registry) -> tuple[int, str]:
    return _parsed(reg.value("SELECT value FROM meta WHERE key = ?", (_HEAD,)))


def _parsed(text: str | None) -> tuple[int, str]:
    if text is None:
        return 0, GENESIS
    seq, _, digest = text.partition(" ")
    return (int(seq), digest) if seq.isdigit() else (-1, digest)


@lru_cache(maxsize=1)
def _node() -> str:
    return platform.node()


def _set_back(now: str, seq: int, last: str | None) -> str:
    """A note if the clock stands before the row before: order is by number, not by time."""
    if last is None or last <= now:
        return ""
    try:
        behind = datetime.fromisoformat(last) - datetime.fromisoformat(now)
    except ValueError:
        return ""
    return f"; clock {behind.total_seconds():.0f} s behind row {seq}"


def _digest(prev: str, row: tuple[Any, ...]) -> str:
    return hashlib.sha256((prev + _json(list(row))).encode()).hexdigest()


def _json(value: Any) -> str:
    # ASCII only: also half surrogates of a hostile text become something that can be stored.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _entry(row: sqlite3.Row) -> Entry:
    before, after = (None if row[k] is None else json.loads(row[k]) for k in ("before", "after"))
    return Entry(
        row["seq"],
        row["at"],
        row["who"],
        row["origin"],
        row["action"],
        row["subject"],
        before,
        after,
        row["why"],
        row["hash"],
    )
