"""URL patterns of domains: where the page of an entity lies, for sources that are still unknown."""

from __future__ import annotations

from sqlite_utils import Database


def m005_sources(db: Database) -> None:
    db.conn.execute(
        "CREATE TABLE source_patterns ("
        " domain TEXT PRIMARY KEY, template TEXT NOT NULL, updated_at TEXT NOT NULL"
        ") STRICT, WITHOUT ROWID"
    )
