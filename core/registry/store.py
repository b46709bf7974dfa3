"""A connection to registry.db: transactions on it, and SQLite's errors as ours. `opening` makes one."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import (
    Cancelled,
    DiskFull,
    QAError,
    RegistryError,
)

if TYPE_CHECKING:
    from sqlite_utils import Database

BUSY_S = 30.0
# Numbers that do not fit, and text of a damaged file, are Python's errors rather than SQLite's.
_SQLITE = (sqlite3.Error, OverflowError, UnicodeDecodeError)


class Registry:
    """A connection to registry.db. Use it in the thread that opened it; open one per thread.

    operator: who is written into the audit where a call does not say.
    how: by which of our doors the change came in (app, cli, job …); stands in the audit too.
    seed_problem: why a changed sources.yaml or checklist.yaml was not taken over, if so.
    """

    def __init__(
        self, path: Path, conn: sqlite3.Connection, operator: str, how: str | None = None
    ) -> None:
        self.path = path
        self.conn = conn
        self.operator = operator
        self.how = how or _door()
        self.seed_problem: QAError | None = None

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with translated(self.path):
            self.conn.close()

    def interrupt(self) -> None:
        """Stop the query that is running; callable from any thread. It ends in Cancelled."""
        self.conn.interrupt()

    @property
    def db(self) -> Database:
        """The same connection as a sqlite-utils Database."""
        from sqlite_utils import Database

        return Database(self.conn, recursive_triggers=False, execute_plugins=False)

    # On the way of every statement: try rather than a context manager, which costs as much as a read.
    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Text that is no Unicode (half surrogates) is stored with replacement characters."""
        try:
            return self.conn.execute(sql, values)
        except UnicodeEncodeError:
            return self.execute(sql, [clean(v) if isinstance(v, str) else v for v in values])
        except _SQLITE as e:
            raise _as_ours(self.path, e) from e

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with translated(self.path):
            self.conn.executemany(sql, rows)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        cursor = self.execute(sql, values)
        try:
            return cursor.fetchall()
        except _SQLITE as e:
            raise _as_ours(self.path, e) from e

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[sqlite3.Row]:
        """Rows one by one, for results that need not fit in memory."""
        with translated(self.path):
            yield from self.execute(sql, values)

    def one(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        cursor = self.execute(sql, values)
        try:
            row: sqlite3.Row | None = cursor.fetchone()
        except _SQLITE as e:
            raise _as_ours(self.path, e) from e
        return row

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        row = self.one(sql, values)
        return None if row is None else row[0]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All or nothing. The write lock is taken first, so what is read inside stays true.

        A `writing` inside another joins it.
        """
        if self.conn.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
            raise


def utc_now() -> str:
    """Now as ISO 8601 in UTC with milliseconds: 2026-11-22T13:05:00.123Z"""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean(text: str) -> str:
    """Text that SQLite and UTF-8 can hold: no NUL, no half surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _door() -> str:
    """Which of our programs this process is; "python" for anybody else."""
    for module, door in (("tui.app", "app"), ("tui.cli.root", "cli")):
        if module in sys.modules:
            return door
    return "python"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except _SQLITE as e:
        raise _as_ours(path, e) from e


def _as_ours(path: Path, e: Exception) -> QAError:
    text = str(e)
    low = text.lower()
    if "interrupted" in low:
        return Cancelled("the query was stopped")
    if "full" in low:
        return DiskFull(
            f"{path}: no room to write", why=text, try_next="free some space; nothing was half-done"
        )
    if "locked" in low or "busy" in low:
        return RegistryError(
            f"{path}: busy for more than {BUSY_S:.0f} s",
            why="another process is writing",
            try_next="wait for it to end, or see who holds the file with `lsof`",
        )
    if "readonly" in low or "unable to open" in low:
        return RegistryError(
            f"{path}: cannot be opened for writing",
            why=text,
            try_next="make the file and its folder writable, or point QA_REGISTRY elsewhere",
        )
    # text that is not UTF-8 was never written by us
    if isinstance(e, UnicodeDecodeError) or any(
        w in low for w in ("not a database", "malformed", "corrupt", "could not decode")
    ):
        return RegistryError(
            f"{path}: damaged, or not a SQLite database",
            why=text,
            try_next="run `qa registry check`, then put back a backup: qa registry restore FILE"
            f" (beside it: {path.name}.*.bak)",
        )
    if isinstance(e, sqlite3.IntegrityError | sqlite3.DataError | OverflowError):
        return RegistryError("the registry refused the change", why=text)
    return RegistryError(
        f"{path}: {text}", why=type(e).__name__, try_next="run `qa registry check`"
    )
