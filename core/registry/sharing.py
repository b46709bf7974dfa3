"""One truth for several operators: each laptop has a whole registry, a ledger has the one of record.

    with sharing.deciding(reg, ledger, expected_head=seen):
        versions.promote(reg, …)

A replica is read and written like any registry. `sync` brings it together with the ledger:

    ours is theirs or older     take theirs, with our observations merged into it
    ours is newer               put ours there, with their observations merged into it
    both decided                theirs stays; ours is kept aside, and every audit row of ours that
                                did not make it is named

"Newer" is judged by the audit chain: theirs is newer if our newest row stands in their chain. What
is put there goes on top of the generation that was looked at, or not at all, so of two operators who
decide at once one wins and the other learns of it.
"""

from __future__ import annotations

import fcntl
import os
import platform
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from core.errors import ChangedUnderYou, QAError, Refused, RegistryError, RegistryNewer
from core.registry import audit, observations
from core.registry.copying import OtherWriter, copy_file, take_over
from core.registry.ledger import (
    Head,
    HeadMoved,
    Ledger,
    block_hashes,
    download,
    read_block,
    root_of,
)
from core.registry.marks import Mark, mark_of, write_mark
from core.registry.migrations_known import MIGRATIONS
from core.registry.opening import open_registry
from core.registry.store import Registry, clean, utc_now

TRIES = 12
_SEEDED = ("sources.sample",)  # what every registry begins with, by itself

Outcome = Literal["same", "pulled", "pushed", "merged", "lost"]


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did.

    lost: audit rows of ours that did not make it, oldest first; aside: the file that has them.
    head: the ledger's now.
    """

    outcome: Outcome
    head: Head
    lost: tuple[audit.Entry, ...] = ()
    aside: Path | None = None


@dataclass(slots=True)
class Decision:
    """Filled in when a `deciding` ends. unsent: why the ledger does not have it yet."""

    synced: Synced | None = None
    unsent: QAError | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """Of a replica: where its audit stands, what it saw, what schema it has."""

    seq: int
    head: str
    seen: str

    @classmethod
    def of(cls, reg: Registry) -> _State:
        return cls(*audit.position(reg), observations.fingerprint(reg))

    def is_at(self, head: Head) -> bool:
        return (self.seq, self.head, self.seen, MIGRATIONS) == (
            head.audit_seq, head.audit_head, head.seen, head.migrations,
        )  # fmt: skip


@dataclass(slots=True)
class _Sync:
    """One sync: its private folder, and what it has done so far.

    may_lose: decisions of ours that the ledger does not know may be given up for its own.
    """

    reg: Registry
    ledger: Ledger
    folder: Path
    may_lose: bool = True
    steps: set[str] = field(default_factory=set)
    lost: tuple[audit.Entry, ...] = ()
    aside: Path | None = None
    taken: Head | None = None


def sync(reg: Registry, ledger: Ledger) -> Synced:
    """Bring a replica and the ledger together, see above. Safe to repeat after any interruption.

    Raises RouteError (nothing is lost: the next sync goes on), RegistryNewer (the ledger was written
    by a newer program), RegistryError (it is damaged), DiskFull.
    """
    return _brought_together(reg, ledger, may_lose=True)


@contextmanager
def deciding(
    reg: Registry, ledger: Ledger | None, *, expected_head: str | None = None
) -> Iterator[Decision]:
    """Take a decision on the newest truth, and put it into the ledger at once.

    ledger None: a registry of one operator; only expected_head is looked at.
    expected_head: `audit.head` as the operator saw it when the question was put.
    Raises ChangedUnderYou: before, if the head moved since; after, if another operator was first:
    then the decision is undone here and theirs is what stands. If the link is lost after the
    decision it stays, `unsent` says why, and the next sync puts it there or says who was first.
    """
    decision = Decision()
    if ledger is None:
        _as_expected(reg, expected_head)
        yield decision
        return
    with _alone(reg.path):
        _raise_if_lost(sync(reg, ledger), ledger)
        _as_expected(reg, expected_head)
        yield decision
        try:
            decision.synced = sync(reg, ledger)
        except QAError as e:  # the link, or the host's disk: the decision stands here
            decision.unsent = e
            return
        _raise_if_lost(decision.synced, ledger)


def share(
    reg: Registry, ledger: Ledger, *, take_theirs: bool = False, replace_theirs: bool = False
) -> Synced:
    """Make this registry a replica of the ledger, which is filled with it if it is empty.

    A registry with decisions that the ledger does not know is refused, unless take_theirs (ours is
    kept aside) or replace_theirs (the ledger gets ours as its next generation) says what to do.
    """
    with _alone(reg.path):
        known = _is_shared_with(reg.path, ledger)
        with reg.writing():  # counts of its own: this file may be a copy of another replica's
            reg.execute("UPDATE replica SET id = lower(hex(randomblob(8)))")
        if replace_theirs:
            with _folder(reg.path) as folder:
                _push(_Sync(reg, ledger, folder), ledger.head())
        found = _brought_together(reg, ledger, may_lose=take_theirs or known)
        write_mark(reg.path, Mark(ledger.name, found.head, utc_now()))
    return found


def unshared(reg: Registry, ledger_head: Head | None) -> tuple[audit.Entry, ...]:
    """Our decisions that the ledger, as last seen, does not have yet; oldest first."""
    if ledger_head is None or audit.hash_at(reg, ledger_head.audit_seq) != ledger_head.audit_head:
        return audit.after(reg, 0) if ledger_head is None else ()
    return audit.after(reg, ledger_head.audit_seq)


def _brought_together(reg: Registry, ledger: Ledger, *, may_lose: bool) -> Synced:
    with _alone(reg.path), _folder(reg.path) as folder:
        run = _Sync(reg, ledger, folder, may_lose)
        for _ in range(TRIES):
            try:
                head = _once(run)
            except (HeadMoved, OtherWriter):
                continue
            except QAError:
                if run.taken is None or not run.lost:
                    raise
                head = run.taken  # what was given up must be told, whatever came after
            if _is_shared_with(reg.path, ledger):
                write_mark(reg.path, Mark(ledger.name, head, utc_now()))
            return Synced(_outcome(run), head, run.lost, run.aside)
    raise RegistryError(
        f"the registry of record on {ledger.name} keeps changing",
        why=f"it moved {TRIES} times while this replica was brought together with it",
        try_next="sync again; nothing was lost",
    )


# -- one attempt ------------------------------------------------------------------------------


def _once(run: _Sync) -> Head:
    """Take or merge theirs, then put ours there if it has more. Raises HeadMoved, OtherWriter."""
    theirs = run.ledger.head()
    if theirs is not None:
        if _State.of(run.reg).is_at(theirs):
            return theirs
        if not _has_all_of(run, theirs):
            _join(run, theirs)
        if _State.of(run.reg).is_at(theirs):
            return theirs
    return _push(run, theirs)


def _has_all_of(run: _Sync, theirs: Head) -> bool:
    """This replica was brought together with just that generation, and still has its decisions."""
    known = mark_of(run.reg.path)
    return (
        known is not None
        and (known.host, known.head) == (run.ledger.name, theirs)
        and audit.hash_at(run.reg, theirs.audit_seq) == theirs.audit_head
    )


def _join(run: _Sync, theirs: Head) -> None:
    """After this the replica has all that theirs has."""
    newer = sorted(set(theirs.migrations) - set(MIGRATIONS))
    if newer:
        raise RegistryNewer(
            f"the registry of record on {run.ledger.name} was written by a newer program",
            why=f"it has the schema change {', '.join(newer)}, which is not known here",
            try_next="update the program; until then this replica can be read, and nothing is lost",
        )
    reg = run.reg
    with closing(sqlite3.connect(reg.path)) as watcher:
        version = _data_version(watcher)
        ours = copy_file(reg.path, run.folder / "ours.db")
        content = run.folder / "theirs.db"
        for name in run.folder.glob("theirs.db*"):  # of an attempt before
            name.unlink()
        download(run.ledger, theirs, ours, content)
        with _opened(run, content, theirs) as other:
            common = audit.hash_at(reg, theirs.audit_seq) == theirs.audit_head
            if common:  # ours has every decision of theirs
                if observations.merge(reg, content):
                    run.steps.add("merged")
                return
            seq, head = audit.position(reg)
            lost = () if audit.hash_at(other, seq) == head else _after_fork(reg, other)
            if all(entry.action in _SEEDED for entry in lost):
                lost = ()
            elif not run.may_lose:
                raise _strangers(run, lost, theirs)
            _keep_replica(reg, other)
            observations.merge(other, ours)
        aside = _keep_aside(reg.path, ours) if lost else None
        try:
            take_over(reg.path, content, unchanged=lambda: _data_version(watcher) == version)
        except BaseException:
            if aside is not None:
                aside.unlink(missing_ok=True)
            raise
        run.steps.add("pulled")
        run.lost, run.aside, run.taken = run.lost + lost, aside or run.aside, theirs


def _push(run: _Sync, theirs: Head | None) -> Head:
    """Put ours on top of theirs. Raises HeadMoved."""
    reg = run.reg
    ours = copy_file(reg.path, run.folder / "ours.db")
    with open_registry(ours, seed=False, operator=reg.operator) as copy:
        state = _State.of(copy)
    for suffix in ("-wal", "-shm"):
        ours.with_name(ours.name + suffix).unlink(missing_ok=True)
    hashes = block_hashes(ours)
    new = Head(
        generation=theirs.generation + 1 if theirs else 1,
        root=root_of(hashes),
        size=ours.stat().st_size,
        audit_seq=state.seq,
        audit_head=state.head,
        seen=state.seen,
        migrations=MIGRATIONS,
        who=clean(reg.operator),
        origin=clean(platform.node()),
        at=utc_now(),
    )
    head = run.ledger.put(theirs, new, hashes, lambda number: read_block(ours, number))
    run.steps.add("pushed")
    return head


@contextmanager
def _opened(run: _Sync, content: Path, theirs: Head) -> Iterator[Registry]:
    """The file that came, migrated if it is older, believed only if it is what it should be."""
    try:
        with open_registry(content, seed=False, operator=run.reg.operator) as other:
            _believe(run, other, theirs)
            yield other
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        for name in run.folder.glob("theirs.db.before-*"):
            name.unlink()


def _believe(run: _Sync, other: Registry, theirs: Head) -> None:
    """The host may be anybody's: pages, schema and audit must hold before anything is taken."""
    why = ""
    found = other.value("PRAGMA quick_check(1)")
    if found != "ok":
        why = str(found)
    elif _schema(other) != _schema(run.reg):
        why = "its tables or rules are not those of this program"
    else:
        chain = audit.verify(other)
        if not chain.ok:
            why = chain.what
        elif (chain.rows, chain.head) != (theirs.audit_seq, theirs.audit_head):
            why = "its audit is not the one that was noted"
    if why:
        raise RegistryError(
            f"the registry of record on {run.ledger.name} cannot be believed"
            f" (generation {theirs.generation})",
            why=why,
            try_next="this replica was left as it is; the generations before it are beside it there",
        )


def _schema(reg: Registry) -> frozenset[tuple[str, str, str]]:
    sql = (
        "SELECT type, name, coalesce(sql, '') FROM sqlite_master"
        " WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name <> '_sqlite_migrations'"
    )
    return frozenset((r[0], r[1], r[2]) for r in reg.rows(sql))


def _after_fork(reg: Registry, other: Registry) -> tuple[audit.Entry, ...]:
    """Our audit rows behind the last one that both have."""
    low, high = 0, min(audit.position(reg)[0], audit.position(other)[0])
    while low < high:  # chains that agree at a row agree at all before it
        middle = (low + high + 1) // 2
        if audit.hash_at(reg, middle) == audit.hash_at(other, middle):
            low = middle
        else:
            high = middle - 1
    return audit.after(reg, low)


def _keep_replica(reg: Registry, other: Registry) -> None:
    """What comes is theirs, but it goes on counting as this replica."""
    with other.writing():
        own = reg.value("SELECT id FROM replica")
        other.execute("UPDATE replica SET id = ?", (own,))


def _keep_aside(path: Path, ours: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return copy_file(ours, path.with_name(f"{path.name}.aside-{stamp}"))


def _data_version(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


# -- around it --------------------------------------------------------------------------------


def _outcome(run: _Sync) -> Outcome:
    if run.lost:
        return "lost"
    for word in ("pulled", "pushed", "merged"):
        if run.steps == {word}:
            return word  # type: ignore[return-value]
    return "merged" if run.steps else "same"


def _as_expected(reg: Registry, expected: str | None) -> None:
    if expected is None or audit.head(reg) == expected:
        return
    newest = audit.entries(reg, limit=1)
    last = f"{newest[0].action} {newest[0].subject} by {newest[0].who}" if newest else "nothing"
    raise ChangedUnderYou(
        "the registry changed under you", why=f"newest: {last}", try_next="look again, then decide"
    )


def _raise_if_lost(synced: Synced, ledger: Ledger) -> None:
    if not synced.lost:
        return
    rows = "; ".join(f"{e.action} {e.subject} ({e.why})" if e.why else f"{e.action} {e.subject}"
                     for e in synced.lost)  # fmt: skip
    first = f"{synced.head.who} on {synced.head.origin}"
    error = ChangedUnderYou(
        f"changed under you: {first} was first, and {len(synced.lost)} of your changes did not make it",
        why=rows,
        try_next=f"look again, then decide; your file is kept as {synced.aside}",
    )
    error.rows, error.aside = tuple(synced.lost), str(synced.aside)
    raise error


def _strangers(run: _Sync, lost: tuple[audit.Entry, ...], theirs: Head) -> Refused:
    return Refused(
        f"this registry and the one on {run.ledger.name} each have decisions of their own",
        why=f"{len(lost)} audit rows here are not there, where there are {theirs.audit_seq}",
        try_next="add --take-theirs (this one is kept aside) or --replace (that one is)",
    )


def _is_shared_with(path: Path, ledger: Ledger) -> bool:
    mark = mark_of(path)
    return mark is not None and mark.host == ledger.name


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.sync-", dir=path.parent, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


_held = threading.local()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One thread of one process of this laptop syncs or decides at a time; re-entrant."""
    depths: dict[Path, int] = _held.__dict__.setdefault("depths", {})
    if depths.get(path, 0) == 0:
        fd = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            depths[path] = 1
            yield
        finally:
            depths[path] = 0
            os.close(fd)
        return
    depths[path] += 1
    try:
        yield
    finally:
        depths[path] -= 1
