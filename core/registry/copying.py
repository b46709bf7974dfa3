"""A registry file as a whole: a copy that is consistent and verified, and taking one over.

Both go through SQLite's backup API, so they are safe beside other connections, threads and
processes: a copy sees one committed state, and a takeover is one transaction.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from core.errors import RegistryError
from core.registry.store import BUSY_S, translated

STEP_PAGES = 4096


def copy_file(source: Path, target: Path) -> Path:
    """Copy the committed state of a registry to `target`, whole or not at all. Returns `target`.

    The copy is one file without a write-ahead log; its pages are checked before it gets its name.
    Raises RegistryError (the source is damaged, the target cannot be written), DiskFull.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(3)}.part")
    try:
        try:
            # made here: private, and an unwritable folder is an OSError with a name
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as e:
            raise RegistryError(
                f"{target}: cannot be written",
                why=e.strerror or str(e),
                try_next="name a file in a folder you can write to",
            ) from e
        with (
            translated(source),
            closing(sqlite3.connect(source, timeout=BUSY_S)) as live,
            closing(sqlite3.connect(part)) as copy,
        ):
            live.backup(copy, progress=_patience())
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise RegistryError(
                f"{source}: damaged",
                why=str(found),
                try_next="run `qa registry check`, then put back a backup: qa registry restore FILE",
            )
        sync_to_disk(part)
        part.replace(target)
        sync_to_disk(target.parent)
    finally:
        for name in (part, part.with_name(f"{part.name}-journal")):
            with suppress(OSError):
                name.unlink()
    return target


class OtherWriter(Exception):
    """Somebody wrote between the look and the takeover."""


def take_over(path: Path, content: Path, *, unchanged: Callable[[], bool]) -> None:
    """Make the registry at `path` the same as the file `content`, in one transaction.

    Open connections to `path` see the old state until it is done and the new one from then on.
    unchanged: asked once nobody else can write any more; False leaves `path` as it is and raises
    OtherWriter. Raises RegistryError (busy for too long), DiskFull.
    """
    patience = _patience()
    asked = False

    def progress(status: int, remaining: int, total: int) -> None:
        nonlocal asked
        patience(status, remaining, total)
        if total and not asked:
            asked = True
            if not unchanged():
                raise OtherWriter

    with (
        translated(path),
        closing(sqlite3.connect(content)) as source,
        closing(sqlite3.connect(path, timeout=BUSY_S)) as live,
    ):
        live.execute("PRAGMA synchronous = FULL")
        pages = source.execute("PRAGMA page_count").fetchone()[0]
        # never all in the first step: `unchanged` is asked between the first and the second
        step = max(1, min(STEP_PAGES, pages // 2))
        source.backup(live, pages=step, progress=progress, sleep=0.02)


def _patience() -> Callable[[int, int, int], None]:
    """Python repeats a step that finds the file locked for ever; this ends it."""
    deadline = time.monotonic() + BUSY_S

    def progress(_status: int, _remaining: int, total: int) -> None:
        if total == 0 and time.monotonic() > deadline:  # not one step has got a lock
            raise sqlite3.OperationalError("database is locked")

    return progress


def sync_to_disk(path: Path) -> None:
    """fsync a file or a folder."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
