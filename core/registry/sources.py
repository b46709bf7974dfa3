"""The source registry: source id → display name, URL, status; and the log of unknown ones."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.citations import STATUSES, Source, SourceIndex, is_web_link
from core.errors import NotFound, UsageError
from core.registry import audit
from core.registry.store import Registry, clean, utc_now
from core.source_files import is_source_id

Resolution = Literal["resolved", "alias", "dismissed"]


@dataclass(frozen=True, slots=True)
class UnknownSource:
    """A source id that answers cited and the registry does not have."""

    source_id: str
    occurrences: int
    first_seen: str
    last_seen: str
    model_version: str | None
    example: str
    resolution: Resolution | None
    resolved_to: str | None


def all(reg: Registry) -> tuple[Source, ...]:
    """Every source by id."""
    return tuple(as_source(r) for r in reg.rows("SELECT * FROM sources ORDER BY source_id"))


def search(reg: Registry, text: str, *, limit: int = 200) -> tuple[Source, ...]:
    """Sources with `text` in their id, name or address (any case), by id."""
    like = "%" + re.sub(r"([%_\\])", r"\\\1", clean(text)) + "%"
    columns = ("source_id", "display_name", "url")
    where = " OR ".join(rf"{c} LIKE ? ESCAPE '\'" for c in columns)
    sql = f"SELECT * FROM sources WHERE {where} ORDER BY source_id LIMIT ?"
    return tuple(as_source(r) for r in reg.rows(sql, (like, like, like, limit)))


def rows(reg: Registry) -> list[dict[str, Any]]:
    """Rows {source_id, display_name, url, status, renamed_to, checked_at}: what files and
    SourceIndex.load read.
    """
    columns = "source_id, display_name, url, status, renamed_to, checked_at"
    return [dict(r) for r in reg.rows(f"SELECT {columns} FROM sources ORDER BY source_id")]


def index(reg: Registry) -> SourceIndex:
    """What citations are judged against. Raises RegistryNotLoaded if there are no sources."""
    return SourceIndex.load(rows(reg))


def get(reg: Registry, source_id: str) -> Source:
    """Raises NotFound."""
    row = reg.one("SELECT * FROM sources WHERE source_id = ?", (source_id,))
    if row is None:
        raise NotFound(f"no source {source_id!r}", try_next="see `qa sources list`")
    return as_source(row)


def write_jsonl(reg: Registry, path: str) -> int:
    """The index as JSONL, for an evaluation on the host. Returns the number of rows."""
    found = rows(reg)
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    return len(found)


def upsert_many(
    reg: Registry,
    rows: Iterable[Mapping[str, Any]],
    *,
    who: str | None = None,
    why: str = "",
    origin: Literal["operator", "sample"] = "operator",
) -> int:
    """Add or replace sources; all or none. Returns how many rows were written.

    rows: {source_id, display_name, url, status?, renamed_to?, checked_at?}. origin "sample" leaves
    rows alone that an operator wrote. An unknown source that is now known counts as resolved.
    Raises UsageError for a row that is not one.
    """
    now = utc_now()
    values = [_checked(row, origin, now) for row in rows]
    guard = "" if origin == "operator" else " WHERE sources.origin = 'sample'"
    sql = (
        "INSERT INTO sources (source_id, domain, display_name, url, status, renamed_to, origin,"
        " checked_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source_id) DO UPDATE SET display_name = excluded.display_name,"
        " url = excluded.url, status = excluded.status, renamed_to = excluded.renamed_to,"
        " origin = excluded.origin, checked_at = excluded.checked_at,"
        f" updated_at = excluded.updated_at{guard}"
    )
    if not values:
        return 0
    with reg.writing():
        before = reg.conn.total_changes
        reg.executemany(sql, values)
        written = reg.conn.total_changes - before
        reg.execute(
            "UPDATE unknown_sources SET resolution = 'resolved', resolved_to = source_id,"
            " resolved_at = ? WHERE resolution IS NULL AND source_id IN (SELECT source_id FROM"
            " sources)",
            (now,),
        )
        subject = values[0][0] if len(values) == 1 else f"{len(values)} sources"
        ids = [v[0] for v in values]
        after = {"source_ids": ids[:20], "count": len(values), "rows": digests(reg, ids)}
        audit.append(reg, f"sources.{origin}", subject, who=who, after=after, why=why)
    return written


def take_samples(reg: Registry, rows: Iterable[Mapping[str, Any]]) -> int:
    """The seed's upsert."""
    return upsert_many(reg, rows, why="filled from sources.yaml", origin="sample")


def digests(reg: Registry, source_ids: Iterable[str] | None = None) -> dict[str, str]:
    """source id → first 16 hex of the SHA-256 of its row as stored: what the audit keeps of it.

    None: of every source.
    """
    columns = "source_id, display_name, url, status, renamed_to, origin, checked_at"
    wanted = None if source_ids is None else set(source_ids)
    return {
        r[0]: hashlib.sha256(json.dumps(list(r)).encode()).hexdigest()[:16]
        for r in reg.rows(f"SELECT {columns} FROM sources ORDER BY source_id")
        if wanted is None or r[0] in wanted
    }


def note_unknown(
    reg: Registry,
    source_id: str,
    *,
    model_version: str | None = None,
    example: str = "",
    occurrences: int = 1,
) -> None:
    """Count a citation of a source the registry does not have. The newest example is kept."""
    now = utc_now()
    with reg.writing():
        reg.execute(
            "INSERT INTO unknown_sources (source_id, occurrences, first_seen, last_seen,"
            " model_version, example) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (source_id) DO UPDATE"
            " SET occurrences = occurrences + excluded.occurrences, last_seen = excluded.last_seen,"
            " model_version = coalesce(excluded.model_version, model_version),"
            " example = iif(excluded.example = '', example, excluded.example)",
            (clean(source_id), occurrences, now, now, model_version, clean(example)[:2000]),
        )


def unknown(reg: Registry, *, open_only: bool = True) -> tuple[UnknownSource, ...]:
    """The most frequent first. open_only: leave out what was resolved or dismissed."""
    where = "WHERE resolution IS NULL" if open_only else ""
    sql = f"SELECT * FROM unknown_sources {where} ORDER BY occurrences DESC, source_id"
    return tuple(
        UnknownSource(
            r["source_id"],
            r["occurrences"],
            r["first_seen"],
            r["last_seen"],
            r["model_version"],
            r["example"],
            r["resolution"],
            r["resolved_to"],
        )
        for r in reg.rows(sql)
    )


def resolve_unknown(
    reg: Registry, source_id: str, display_name: str, url: str, *, who: str | None = None
) -> None:
    """The unknown source exists: it becomes a source. Raises UsageError (name or address missing)."""
    if not display_name.strip():
        raise UsageError("a source needs a display name", try_next="what a reader shall see")
    if url and not is_web_link(url):
        raise UsageError(
            f"{url[:200]!r} is not an http or https address",
            try_next="write it whole, as https://host/page, or leave it out",
        )
    row = {"source_id": source_id, "display_name": display_name.strip(), "url": url}
    upsert_many(reg, [row], who=who, why="resolved from the log of unknown sources")


def alias_unknown(reg: Registry, source_id: str, to: str, *, who: str | None = None) -> None:
    """The unknown id is another name of a source that exists: markers with it are stale from now on
    and lead there. Raises NotFound, UsageError (an alias of itself).
    """
    if to == source_id:
        raise UsageError(
            f"{source_id!r} cannot be an alias of itself", try_next="name another source"
        )
    target = get(reg, to)
    row = {
        "source_id": source_id,
        "display_name": target.display_name,
        "url": target.url,
        "status": "renamed",
        "renamed_to": to,
    }
    with reg.writing():
        _settle(reg, source_id, "alias", to=to, who=who)
        upsert_many(reg, [row], who=who, why=f"alias of {to}")


def dismiss_unknown(reg: Registry, source_id: str, why: str, *, who: str | None = None) -> None:
    """The id is wrong and will never be a source; it is counted on, but no longer listed as open.

    Raises NotFound, UsageError (no reason given).
    """
    if not why.strip():
        raise UsageError("dismissing a source needs a reason", try_next="type why; it is kept")
    _settle(reg, source_id, "dismissed", who=who, why=why)


def _settle(
    reg: Registry,
    source_id: str,
    resolution: Resolution,
    *,
    to: str | None = None,
    who: str | None = None,
    why: str = "",
) -> None:
    with reg.writing():
        sql = (
            "UPDATE unknown_sources SET resolution = ?, resolved_to = ?, resolved_at = ?"
            " WHERE source_id = ?"
        )
        if reg.execute(sql, (resolution, to, utc_now(), source_id)).rowcount == 0:
            raise NotFound(
                f"{source_id!r} is not in the log of unknown sources",
                try_next="see `qa sources unknown --all`",
            )
        after = {"resolution": resolution, "to": to}
        audit.append(reg, "sources.settle", source_id, who=who, after=after, why=why)


def as_source(row: sqlite3.Row) -> Source:
    """A row of the table sources."""
    return Source(
        row["source_id"], row["display_name"], row["url"], row["status"], row["renamed_to"]
    )


def _checked(row: Mapping[str, Any], origin: str, now: str) -> tuple[Any, ...]:
    source_id = str(row.get("source_id", ""))
    status = row.get("status") or "active"
    renamed_to = row.get("renamed_to")
    if not is_source_id(source_id):
        raise UsageError(
            f"{source_id[:80]!r} is not a source id",
            try_next="write domain:entity_id, as in a marker <<SRC:domain:entity_id>>",
        )
    if status not in STATUSES:
        raise UsageError(f"{source_id}: unknown status {status!r}", try_next=", ".join(STATUSES))
    if renamed_to is not None and status != "renamed":
        raise UsageError(f"{source_id}: renamed_to is given, but the status is {status}")
    return (
        clean(source_id),
        clean(source_id.partition(":")[0]),
        clean(str(row.get("display_name") or source_id)),
        clean(str(row.get("url") or "")),
        status,
        renamed_to,
        origin,
        row.get("checked_at"),
        now,
    )
