"""The audit: append-only rows, each hashed together with the hash of the row before it.

    hash = SHA-256(prev_hash + canonical JSON of [seq, at, who, origin, action, subject, before,
                                                  after, why])

An edited, inserted or missing row breaks the chain at its place; rows cut off at the end are seen
because the head is kept apart as well. Whoever can rewrite the whole file can rewrite the whole
chain: keep the head's hash somewhere else (an export, a commit) to be safe from that too.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sqlite3
from dataclasses import dataclass
from typing import Any

from core.registry.store import Registry, clean, utc_now

GENESIS = "0" * 64
_HEAD = "audit_head"


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit row. before and after are JSON values or None."""

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
    seq, prev = _head(reg)
    row = (
        seq + 1,
        utc_now(),
        clean(who or reg.operator),
        clean(platform.node()),
        action,
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


def entries(reg: Registry, *, subject: str | None = None, limit: int = 200) -> tuple[Entry, ...]:
    """Newest first."""
    where, values = ("", ()) if subject is None else ("WHERE subject = ?", (subject,))
    rows = reg.rows(f"SELECT * FROM audit {where} ORDER BY seq DESC LIMIT ?", (*values, limit))
    return tuple(_entry(r) for r in rows)


def verify(reg: Registry) -> Verification:
    """Recompute the whole chain; the first row that does not fit is named by its seq."""
    seq, prev = 0, GENESIS
    columns = "seq, at, who, origin, action, subject, before, after, why"
    head_seq, head = _head(reg)
    for row in reg.each(f"SELECT {columns}, prev_hash, hash FROM audit ORDER BY seq"):
        values, stored_prev, stored = tuple(row)[:-2], row["prev_hash"], row["hash"]
        seq += 1
        if row["seq"] != seq:
            return Verification(False, seq - 1, prev, seq, f"row {seq} is missing")
        if stored_prev != prev:
            what = f"row {seq} does not follow row {seq - 1}: one of them was exchanged"
            return Verification(False, seq - 1, prev, seq, what)
        if _digest(prev, values) != stored:
            what = f"row {seq} ({row['action']} {row['subject']}) was edited after it was written"
            return Verification(False, seq - 1, prev, seq, what)
        prev = stored
    if (head_seq, head) != (seq, prev):
        what = f"the chain ends at row {seq}, its head is recorded as row {head_seq}"
        return Verification(False, seq, prev, min(seq, head_seq) + 1, what)
    return Verification(True, seq, prev)


def _head(reg: Registry) -> tuple[int, str]:
    text = reg.value("SELECT value FROM meta WHERE key = ?", (_HEAD,))
    if text is None:
        return 0, GENESIS
    seq, _, digest = str(text).partition(" ")
    return (int(seq), digest) if seq.isdigit() else (-1, digest)


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
