"""A rule the database itself keeps, whatever program writes."""

from __future__ import annotations

from sqlite_utils import Database


def forbid(db: Database, table: str, event: str, why: str) -> None:
    """Refuse an event on a table: "DELETE", "UPDATE", or "UPDATE OF a, b".

    why: shown to whoever tries; no quotes in it.
    """
    name = f"{table}_no_{event.split()[0].lower()}"
    db.conn.execute(
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, '{why}'); END"
    )
