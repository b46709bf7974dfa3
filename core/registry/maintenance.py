"""Looking after registry.db: is it sound, a copy of it, putting a copy back, making it smaller."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import NotFound, QAError, Refused, RegistryError
from core.registry import health, snapshots
from core.registry.copying import copy_file, sync_to_disk
from core.registry.marks import forget_head
from core.registry.opening import open_registry
from core.registry.store import Registry, translated

HOLD_S = 2.0  # how long somebody else's short use of the file is waited for


@dataclass(frozen=True, slots=True)
class Fault:
    """area: file, registry, blobs, search, points.  what: in words."""

    area: str
    what: str


@dataclass(frozen=True, slots=True)
class Restored:
    """restored: the file that is in place now; aside: what was there before, None if nothing."""

    restored: Path
    aside: Path | None


def check(reg: Registry) -> tuple[Fault, ...]:
    """Everything that can be wrong with a registry; empty when all is well. Reads the whole file.

    Pages, references, invariants, snapshots and the audit; contents no snapshot has; the search
    index; metric points. What cannot be looked at because of damage is a fault too.
    """
    looks: tuple[tuple[str, Callable[[Registry], Iterator[str]]], ...] = (
        ("registry", lambda r: iter(health.check(r))),
        ("blobs", _orphan_blobs),
        ("search", _search),
        ("points", _orphan_points),
    )
    found = []
    for area, look in looks:
        try:
            found += [Fault(area, what) for what in look(reg)]
        except RegistryError as e:
            found.append(Fault("file", f"{e.what}: {e.why}" if e.why else e.what))
    return tuple(dict.fromkeys(found))


def check_file(path: Path) -> tuple[Fault, ...]:
    """As `check`, of a file that perhaps cannot even be opened. Does not create it."""
    if not path.exists():
        raise NotFound(f"{path}: no such file", try_next="name a registry, or restore a backup")
    try:
        with open_registry(path, seed=False) as reg:
            return check(reg)
    except RegistryError as e:
        return (Fault("file", f"{e.what}: {e.why}" if e.why else e.what),)


def backup(reg: Registry, target: Path | None = None) -> Path:
    """Copy the registry while it is used; the copy is checked before it gets its name.

    target: default `<registry>.<time>.bak` beside it. Raises RegistryError, DiskFull.
    """
    if target is None:
        target = reg.path.with_name(f"{reg.path.name}.{_stamp()}.bak")
    if target.exists() and target.samefile(reg.path):
        raise Refused("a registry cannot be its own backup", try_next="name another file")
    return copy_file(reg.path, target)


def backups(path: Path) -> tuple[Path, ...]:
    """The backups beside a registry, newest first."""
    found = [*path.parent.glob(f"{path.name}.*.bak"), *path.parent.glob(f"{path.name}.aside-*")]
    plain = (p for p in found if not p.name.endswith(("-wal", "-shm")))
    return tuple(sorted(plain, key=lambda p: p.stat().st_mtime_ns, reverse=True))


def restore(path: Path, file: Path) -> Restored:
    """Put a backup in place of the registry at `path`. What was there is kept beside it.

    The backup is checked whole before anything is touched, and is itself left as it is.
    Raises NotFound, Refused (another process has the registry open), RegistryError (the backup is
    damaged), RegistryNewer.
    """
    if not file.is_file():
        beside = ", ".join(p.name for p in backups(path)[:5])
        raise NotFound(f"{file}: no such file", try_next=f"beside the registry: {beside or '–'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.restore-", dir=path.parent) as folder:
        made = copy_file(file, Path(folder) / "registry.db")
        faults = check_file(made)
        if faults:
            raise RegistryError(
                f"{file}: not sound, so it was not put in place",
                why="; ".join(f.what for f in faults[:5]),
                try_next="choose another backup: qa registry status lists them",
            )
        for suffix in ("-wal", "-shm"):  # of the check; its last closing has emptied them
            made.with_name(made.name + suffix).unlink(missing_ok=True)
        sync_to_disk(made)
        with _nobody_else(path):
            forget_head(path)
            aside = _set_aside(path)
            made.replace(path)
        sync_to_disk(path.parent)
    return Restored(path, aside)


def vacuum(reg: Registry) -> tuple[int, int]:
    """Give unused room back to the disk. Returns bytes before and after.

    Needs as much free room as the file has. Raises RegistryError (somebody else is writing).
    """
    before = size(reg)
    reg.execute("PRAGMA optimize")
    reg.execute("VACUUM")
    reg.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before, size(reg)


def size(reg: Registry) -> int:
    """Bytes of the file once its log is merged into it."""
    return int(reg.value("PRAGMA page_count") * reg.value("PRAGMA page_size"))


# -- looks ------------------------------------------------------------------------------------


def _orphan_blobs(reg: Registry) -> Iterator[str]:
    stored = {r[0] for r in reg.each("SELECT hash FROM blobs")}
    for row in snapshots.list(reg):
        stored -= {content for _, content in snapshots.lines(reg, row.dataset_version)}
        if not stored:
            return
    if stored:
        yield f"{len(stored)} contents belong to no snapshot: {', '.join(sorted(stored)[:3])} …"


def _search(reg: Registry) -> Iterator[str]:
    sql = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '%fts5%'"
    for name, made in reg.rows(sql):
        if not re.search(r"using\s+fts5\s*\(", made, re.IGNORECASE):
            continue  # fts5vocab, a view of one, has nothing to check
        quoted = '"' + str(name).replace('"', '""') + '"'
        try:
            with _undone(reg):
                reg.execute(f"INSERT INTO {quoted} ({quoted}, rank) VALUES ('integrity-check', 1)")
        except QAError as e:
            yield f"the search index {name} does not fit its text: {e.why or e.what}"


def _orphan_points(reg: Registry) -> Iterator[str]:
    for table, column in (("point_runs", "run"), ("point_keys", "key")):
        sql = (
            f"SELECT count(*) FROM (SELECT DISTINCT {column} FROM points) AS p"
            f" WHERE p.{column} NOT IN (SELECT id FROM {table})"
        )
        count = reg.value(sql)
        if count:
            yield f"points of {count} unknown {column}s"
    for job_id, taken in reg.rows("SELECT job_id, taken FROM point_runs WHERE taken < 0"):
        yield f"the place in the events of {job_id} is {taken}"


@contextmanager
def _undone(reg: Registry) -> Iterator[None]:
    """FTS5's check is an INSERT that changes nothing."""
    reg.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        if reg.conn.in_transaction:
            reg.execute("ROLLBACK")


# -- putting back -----------------------------------------------------------------------------


@contextmanager
def _nobody_else(path: Path) -> Iterator[None]:
    """Hold the file alone, as far as that can be known. Its log is merged into it."""
    if not path.exists():
        yield
        return
    with translated(path), closing(sqlite3.connect(path, timeout=HOLD_S)) as conn:
        try:
            # leaving WAL needs the file for itself: another open connection anywhere prevents it
            conn.execute("PRAGMA locking_mode = EXCLUSIVE")
            conn.execute("PRAGMA journal_mode = DELETE").fetchone()
            conn.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as e:
            if "locked" in str(e) or "busy" in str(e):
                raise _in_use(path) from e
        except sqlite3.DatabaseError:
            pass  # damaged: the reason why it is to be replaced
        if _holders(path):
            raise _in_use(path)
        yield


def _in_use(path: Path) -> Refused:
    pids = ", ".join(map(str, _holders(path)))
    return Refused(
        f"{path} is open in another program",
        why=f"process {pids}" if pids else "it holds a lock on the file",
        try_next="close the app and other qa commands, then restore again",
    )


def _holders(path: Path) -> list[int]:
    """Other processes that have the file open; empty where /proc does not tell."""
    found = []
    real = os.path.realpath(path)
    for folder in Path("/proc").glob("[0-9]*/fd"):
        pid = int(folder.parent.name)
        if pid == os.getpid():
            continue
        try:
            if any(str(fd.readlink()) == real for fd in folder.iterdir()):
                found.append(pid)
        except OSError:
            continue
    return found


def _set_aside(path: Path) -> Path | None:
    """A second name for what is there; its log (of a damaged file) goes with it."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.aside-{_stamp()}")
    try:
        os.link(path, aside)
    except OSError:  # a file system without hard links
        shutil.copy2(path, aside)
        sync_to_disk(aside)
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(aside.with_name(aside.name + suffix))
    return aside


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
