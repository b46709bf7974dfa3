"""The pairs of a snapshot or of a file as a table that can be paged, in a scratch SQLite file.

A snapshot is a manifest and contents by their hash, a file is lines: neither can give its row 200,000.
A thread lays them out once, and what is there can be read while it works. The table of a snapshot or
of an unchanged file is used again; all of it follows from them, and what no running app reads may be
removed at any time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from core import in_use, locations
from core.errors import Cancelled, DiskFull, EnvironmentProblem, QAError
from core.paging import Listing

if TYPE_CHECKING:
    from core.registry import Registry

SHOWN = (
    300  # characters of a question and of an answer that a row holds, and that a filter looks in
)
BUNDLE = 2000  # rows
KEPT = 4  # tables; one of 250,000 pairs takes about 120 MB
BUSY_S = 30.0
_FORMAT = 1

# place: where the whole pair is: its content hash, or "<offset> <bytes>" of its line
_TABLE = """CREATE TABLE pairs (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL, domain TEXT NOT NULL, source TEXT NOT NULL,
  question TEXT NOT NULL, answer TEXT NOT NULL, fault TEXT NOT NULL, place TEXT NOT NULL
) STRICT"""
_INDEXED = ("id", "domain", "source", "fault")

LISTING = Listing(
    table="pairs",
    key="n",
    columns="n, id, domain, source, question, answer, fault",
    orders={
        "": ("n",),
        "n": ("n",),
        **{name: (name, "n") for name in (*_INDEXED, "question", "answer")},
    },
    searched=("id", "domain", "source", "fault", "question", "answer"),
)
"""n: place of a snapshot's pair from 1, number of a file's line.  fault: "" of a good row."""

_FROM_SNAPSHOT = f"""INSERT INTO pairs
  SELECT some.n, some.id, coalesce(json_extract(body, '$.domain'), ''),
    coalesce(json_extract(body, '$.source'), ''),
    substr(coalesce(json_extract(body, '$.messages[0].content'), ''), 1, {SHOWN}),
    substr(coalesce(json_extract(body, '$.messages[#-1].content'), ''), 1, {SHOWN}),
    iif(body IS NULL, 'missing', ''), some.hash
  FROM some LEFT JOIN registry.blobs AS b ON b.hash = some.hash"""

_Row = tuple[int, str, str, str, str, str, str, str]
Told = Callable[[int, float], None]  # rows of a bundle that is in, share of the way
Fill = Callable[[sqlite3.Connection, Told], None]


@dataclass(frozen=True, slots=True)
class State:
    """share: 0…1 of the way.  rows: that can be read."""

    rows: int
    share: float
    complete: bool


class PairPages:
    """One table. The first `state` or `rows` begins to lay it out; `close` stops that.

    From then on until `close` it is in use, and no other app removes it.
    """

    def __init__(
        self, name: str, fill: Fill, written: tuple[int, int] | None = None, passing: str = ""
    ) -> None:
        """name: another one for other content.  written: of the file it is of, as `written` says.
        passing: a fault that may be mended elsewhere; a table with such a row is laid out anew.
        """
        self.written = written
        self._passing = passing
        self.path = folder() / f"{name}-{_FORMAT}.db"
        self._fill = fill
        self._state = State(0, 0.0, False)
        self._problem: QAError | None = None
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._begun = False
        self._readers = threading.local()
        self._where = self.path
        self._let_go: Callable[[], object] = lambda: None

    def state(self) -> State:
        """Raises what stopped the laying out: QAError."""
        self._begin()
        if self._problem is not None:
            raise self._problem
        return self._state

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Of the table `pairs`, as far as it is there. Safe in any thread."""
        self.state()
        reader: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        try:
            if reader is None:
                with self._guard:
                    reader = sqlite3.connect(_uri(self._where), uri=True, timeout=BUSY_S)
                    reader.execute("SELECT 1 FROM pairs LIMIT 1")  # opens the file
                self._readers.connection = reader
            return reader.execute(sql, values).fetchall()
        except sqlite3.Error as e:
            raise _problem(self._where, e) from e

    def wait(self) -> State:
        """Until it is complete."""
        while not self.state().complete:
            time.sleep(0.01)
        return self._state

    def close(self) -> None:
        """Nobody reads it any more."""
        self._stop.set()
        if self._state.complete:
            self._let_go()

    def _begin(self) -> None:
        with self._guard:
            if self._begun:
                return
            self._begun = True
            place = self.path.parent
            try:
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                with in_use.turn(place):
                    if self._is_there():
                        return
                    _tidy(place)
                    self._where = place / f".{self.path.name}.{os.getpid()}.{time.time_ns()}.tmp"
                    self._hold(in_use.hold(self._where, new=True))
                self._open_new()
            except (OSError, sqlite3.Error) as e:
                self._problem = _problem(self.path, e)
                return
        threading.Thread(target=self._lay_out, daemon=True, name="pair-pages").start()

    def _hold(self, fd: int) -> None:
        self._let_go = weakref.finalize(self, os.close, fd)

    def _is_there(self) -> bool:
        try:
            held = in_use.hold(self.path)
        except FileNotFoundError:
            return False
        try:
            with contextlib.closing(sqlite3.connect(_uri(self.path), uri=True)) as db:
                (count,) = db.execute("SELECT count(*) FROM pairs").fetchone()
                sql = "SELECT count(*) FROM pairs WHERE fault <> '' AND fault = ?"
                (doubtful,) = db.execute(sql, (self._passing,)).fetchone()
        except sqlite3.Error:  # e.g. cut off on a full disk: made again
            doubtful = 1
        if doubtful:
            os.close(held)
            return False
        self._hold(held)
        os.utime(self.path)
        self._state = State(count, 1.0, True)
        return True

    def _open_new(self) -> None:
        with contextlib.closing(sqlite3.connect(self._where)) as db:
            db.execute(_TABLE)
            db.commit()

    def _lay_out(self) -> None:
        tmp = self._where
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{quote(str(tmp))}", uri=True, timeout=BUSY_S)
            ) as db:
                db.execute("PRAGMA synchronous = OFF")
                db.execute("PRAGMA journal_mode = MEMORY")
                self._fill(db, lambda rows, share: self._told(db, rows, share))
                for column in _INDEXED:
                    db.execute(f"CREATE INDEX pairs_by_{column} ON pairs ({column}, n)")
                db.commit()
            with self._guard:  # a thread's first reader opens either name while it is there
                tmp.replace(self.path)
                self._where = self.path
            self._state = State(self._state.rows, 1.0, True)
        except Exception as e:
            tmp.unlink(missing_ok=True)
            self._problem = e if isinstance(e, QAError) else _problem(tmp, e)
        if self._stop.is_set():
            self._let_go()

    def _told(self, db: sqlite3.Connection, rows: int, share: float) -> None:
        """A bundle is in: let readers have it."""
        db.commit()
        if self._stop.is_set():
            raise Cancelled("the list was closed before it was laid out")
        self._state = State(self._state.rows + rows, min(share, 0.99), False)


def of_snapshot(registry: Callable[[], Registry], dataset_version: str) -> PairPages:
    """The pairs of a frozen snapshot, by id. registry: gives a thread its own."""

    def fill(db: sqlite3.Connection, told: Told) -> None:
        from core.registry import snapshots

        reg = registry()
        total = snapshots.row(reg, dataset_version).pair_count
        db.execute("ATTACH ? AS registry", (_uri(reg.path),))
        db.execute("CREATE TEMP TABLE some (n INTEGER PRIMARY KEY, id TEXT, hash TEXT)")
        numbered = enumerate(snapshots.lines(reg, dataset_version), 1)
        while some := [(n, pair_id, h) for n, (pair_id, h) in islice(numbered, BUNDLE)]:
            db.execute("DELETE FROM some")
            db.executemany("INSERT INTO some VALUES (?, ?, ?)", some)
            db.execute(_FROM_SNAPSHOT)
            told(len(some), some[-1][0] / max(1, total))

    return PairPages(dataset_version, fill, passing="missing")


def of_file(path: Path) -> PairPages:
    """Every row of a JSONL file, also the rejected ones, in the order of the lines.

    A file that is written anew is another table. Raises EnvironmentProblem: it cannot be read.
    """
    try:
        stat = path.stat()
    except OSError as e:
        raise _problem(path, e) from e
    said = "\0".join(map(str, (path.absolute(), *written(stat))))
    name = f"file-{hashlib.sha256(said.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}"

    def fill(db: sqlite3.Connection, told: Told) -> None:
        for some in _bundles(_rows_of(path)):
            db.executemany("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", some)
            told(len(some), int(some[-1][-1].split()[0]) / max(1, stat.st_size))

    return PairPages(name, fill, written(stat))


def written(stat: os.stat_result) -> tuple[int, int]:
    """What changes with a file's content: bytes, time of the last change in ns."""
    return stat.st_size, stat.st_mtime_ns


def place_of(pages: PairPages, n: str) -> str:
    """Where the whole pair is; "" if there is no such row."""
    found = pages.rows("SELECT place FROM pairs WHERE n = ?", (n,))
    return str(found[0][0]) if found else ""


def folder() -> Path:
    return locations.cache_dir() / "pairs"


def _rows_of(path: Path) -> Iterator[_Row]:
    from core.pairs import iter_rows

    for row in iter_rows([path]):
        fault = next((p.code for p in row.problems if not p.usable), "") if row.problems else ""
        place = f"{row.offset} {row.size}"
        pair = row.pair
        if pair is None:
            raw = row.raw[: 4 * SHOWN].decode("utf-8", "replace")[:SHOWN]
            yield row.line, "", "", "", _stored(raw), "", fault or "rejected", place
        else:
            said = (_stored(s[:SHOWN]) for s in (pair.question, pair.answer))
            yield row.line, _stored(pair.id), pair.domain, pair.source, *said, "", place  # type: ignore[misc]


def _stored(text: str) -> str:
    from core.registry.store import clean

    return clean(text)


def _bundles(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    rows = iter(rows)
    while some := list(islice(rows, BUNDLE)):
        yield some


def _tidy(place: Path) -> None:
    """The tables used last stay, and those that are read or laid out now."""
    found = []
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path))
    whole = sorted((f for f in found if f[1].suffix == ".db"), reverse=True)[KEPT - 1 :]
    left = [f for f in found if f[1].suffix == ".tmp"]
    in_use.remove_unused(path for _, path in (*whole, *left))


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _problem(path: Path, error: Exception) -> QAError:
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT) or _is_full(error):
        return DiskFull(
            f"{path}: no room to lay out the pairs",
            why=str(error),
            try_next="free some space in the cache folder",
        )
    return EnvironmentProblem(
        f"{path}: the pairs cannot be laid out or read",
        why=getattr(error, "strerror", None) or str(error),
        try_next=f"see that the file is there, and that {folder()} can be written",
    )
