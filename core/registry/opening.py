"""Opening registry.db: made on first use, migrated after a backup, filled from the configs."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from core import locations
from core.errors import EnvironmentProblem, QAError, RegistryError, RegistryNewer
from core.registry.migrations_known import MIGRATION_SET, MIGRATIONS
from core.registry.store import BUSY_S, Registry, translated
from core.whoami import whoami

OLDEST_SQLITE = (3, 37, 0)  # STRICT tables


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


def mark_path(path: Path) -> Path:
    """The file that says that a registry is shared with other operators; written by sharing."""
    return path.with_name(f"{path.name}.shared.json")


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
