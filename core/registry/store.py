"""Opening registry.db, transactions on it, and SQLite's errors as ours."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import locations
from core.errors import (
    Cancelled,
    DiskFull,
    EnvironmentProblem,
    QAError,
    RegistryError,
    RegistryNewer,
)
from core.whoami import whoami

if TYPE_CHECKING:
    from sqlite_utils import Database

MIGRATION_SET = "registry"
MIGRATIONS = ("m001_memory", "m002_search", "m003_release", "m004_ledger", "m005_sources",
              "m006_corrections", "m007_judging")  # fmt: skip
"""Names of the migrations in migrations/, so that an up-to-date file opens without importing them.
Each names a file and the function in it; they apply in this order."""

BUSY_S = 30.0
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables

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


def open_registry(
    path: Path | str | None = None,
    *,
    seed: bool = True,
    operator: str | None = None,
    how: str | None = None,
) -> Registry:
    """Open registry.db (locations.registry_path() unless given), creating it on first use.

    Pending migrations are applied, after a backup if the file held data. seed: fill sources and
    checklist from the configs on first use, and again when these files change; a registry that is
    shared with other operators is filled again by `qa registry seed` alone, as their files may differ.
    how: "app", "cli", "job …" for the audit (default: which of our programs this is).
    Raises RegistryNewer (written by a newer program), RegistryError (read-only, corrupt, busy, not
    a registry), DiskFull; on first use also SettingsError for a broken sources or checklist file.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise EnvironmentProblem(
            f"SQLite {sqlite3.sqlite_version} is too old for the registry",
            why="STRICT tables came with SQLite 3.37",
            try_next="use a Python that brings a newer SQLite",
        )
    path = Path(path) if path is not None else locations.registry_path()
    reg = Registry(path, _connect(path), operator or whoami(), how)
    try:
        _migrate(reg, seed)
        if seed:
            _reseed(reg)
    except BaseException:
        reg.conn.close()
        raise
    return reg


def utc_now() -> str:
    """Now as ISO 8601 in UTC with milliseconds: 2026-11-22T13:05:00.123Z"""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def mark_path(path: Path) -> Path:
    """The file that says that a registry is shared with other operators; written by sharing."""
    return path.with_name(f"{path.name}.shared.json")


def clean(text: str) -> str:
    """Text that SQLite and UTF-8 can hold: no NUL, no half surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _connect(path: Path) -> sqlite3.Connection:
    with translated(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise RegistryError(
                f"{path}: the folder cannot be made",
                why=e.strerror or str(e),
                try_next="point QA_REGISTRY at a file in a folder you can write to",
            ) from e
        conn = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, cached_statements=256)
        try:
            conn.row_factory = sqlite3.Row
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA synchronous = FULL")
            conn.execute("PRAGMA trusted_schema = OFF")
            _use_wal(conn)
        except BaseException:
            conn.close()
            raise
        return conn


def _use_wal(conn: sqlite3.Connection) -> None:
    """Switching to WAL needs the file for itself and does not wait for it: so we do."""
    deadline = time.monotonic() + BUSY_S
    while conn.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            conn.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as e:
            if "locked" not in str(e) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _applied(reg: Registry) -> set[str] | None:
    """Names of the applied migrations; None for an empty file."""
    tables = {r[0] for r in reg.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    names: set[str] = set()
    if "_sqlite_migrations" in tables:
        sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
        names = {r[0] for r in reg.rows(sql, (MIGRATION_SET,))}
    if not names:
        raise RegistryError(
            f"{reg.path}: a SQLite database, but not a registry",
            try_next="point QA_REGISTRY at another file",
        )
    newer = sorted(names - set(MIGRATIONS))
    if newer:
        raise RegistryNewer(
            f"{reg.path} was written by a newer version of this program",
            why=f"it has the schema change {', '.join(newer)}, which is not known here",
            try_next="update the program, or point QA_REGISTRY at another file; nothing was changed",
        )
    return names


def _migrate(reg: Registry, seed: bool) -> None:
    """Apply what is pending and, on an empty file, seed: in one transaction, under the lock."""
    if _applied(reg) == set(MIGRATIONS):
        return
    from core.registry.migrations import migrations
    from core.registry.seed import seed_files

    with reg.writing():
        applied = _applied(reg)  # again: another process may have been first
        if applied == set(MIGRATIONS):
            return
        if applied:
            _backup(reg)
        with translated(reg.path):
            migrations.apply(reg.db)
        if seed and applied is None:
            seed_files(reg)


def _reseed(reg: Registry) -> None:
    """Take over changed seed files. A broken one must not keep anybody from rolling back."""
    from core.registry.seed import seed_files, seeds_are_current

    if seeds_are_current(reg) or mark_path(reg.path).exists():
        return
    try:
        seed_files(reg)
    except QAError as e:
        reg.seed_problem = e


def _backup(reg: Registry) -> None:
    """A copy of the committed state beside the file, before a migration changes it."""
    from core.registry.copying import copy_file

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    name = f"{reg.path.name}.before-{MIGRATIONS[-1]}-{stamp}.bak"
    copy_file(reg.path, reg.path.with_name(name))


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
