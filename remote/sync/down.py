"""Files from the host, who may send what it likes: nothing is written outside the chosen folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import LinkLost, RouteError, UsageError
from remote.agent import arriving, delta
from remote.agent.arriving import Arriving, sha256_of
from remote.agent.frames import MAX_DATA, FrameError, FrameReader, pack
from remote.agent.incoming import check_relative, old_version
from remote.agent.problem import Problem
from remote.helper_client import ODD, Carrier, Duplex, plain
from remote.sync import items as limits
from remote.sync.items import (
    BIG,
    HASH_S,
    MAX_BYTES,
    Change,
    Item,
    Plan,
    check_room,
    from_os,
    is_here,
    remote_items,
    safe_parent,
    transfer_error,
)
from remote.sync.progress import Progress, Tally


def pull(
    route: Carrier,
    remote_dir: str,
    into: Path,
    progress: Progress | None = None,
    *,
    names: Iterable[str] | None = None,
    max_bytes: int = MAX_BYTES,
    rsync: bool | None = None,
) -> list[Path]:
    """Copy the regular files below a folder of the host into `into`; the local paths, sorted.

    remote_dir: absolute or relative to the work folder.  names: only these files or folders of it.
    rsync: through it or not; None: where both ends have it and it pays.
    Links are not followed, names that would leave `into` are refused, hashes are verified.
    Raises NotFound, RouteError (odd names, too much, altered on the way), DiskFull, LinkLost.
    """
    items = _listed(route, remote_dir, into, names)
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise from_os(e, into) from e
    todo = [i for i in items if not is_here(i)]
    total = sum(i.size for i in todo)
    if total > max_bytes:
        raise RouteError(
            f"{plain(remote_dir)} holds {total} bytes, more than is taken ({max_bytes})",
            try_next="name the files you want",
        )
    check_room(into, total, limits.RESERVE)
    if todo:
        tally = Tally(total, progress)
        workdir = str(route.helper().call("hello")["workdir"])
        root = str(PurePosixPath(workdir) / remote_dir)
        from remote import rsync as by_rsync

        if by_rsync.chosen(route, rsync, [i.size for i in todo]):
            by_rsync.pull(route, root, todo, into, tally)
        else:
            _by_frames(route, root, todo, into, tally)
    return sorted(i.path for i in items)


def plan_pull(
    route: Carrier, remote_dir: str, into: Path, *, names: Iterable[str] | None = None
) -> Plan:
    """What `pull` would do; extra: files below `into` that the host does not have."""
    items = _listed(route, remote_dir, into, names)
    changes = []
    for item in items:
        there = os.path.lexists(item.path)
        kind: Any = "same" if is_here(item) else "changed" if there else "new"
        changes.append(Change(kind, item.name, item.size))
    if names is None and into.is_dir():
        mine = {i.name for i in items}
        for path, name in limits.tree([into]):
            name = name.partition("/")[2]
            if name not in mine:
                changes.append(Change("extra", name, path.stat().st_size))
    return Plan(tuple(changes))


def _listed(route: Carrier, remote_dir: str, into: Path, names: Iterable[str] | None) -> list[Item]:
    wanted = None if names is None else [_wanted(n) for n in names]
    listing = route.helper().call("manifest", path=remote_dir, names=wanted, timeout=HASH_S)
    items = remote_items(listing, into)
    if wanted is None:
        return items
    return [i for i in items if any(i.name == t or i.name.startswith(t + "/") for t in wanted)]


def _wanted(name: str) -> str:
    try:
        return check_relative(name.rstrip("/"))
    except Problem as e:
        raise UsageError(
            f"{name!r} is not a path below that folder",
            try_next="without a leading / and without ..",
        ) from e


# -- as frames ------------------------------------------------------------------------------


def _by_frames(route: Carrier, root: str, todo: list[Item], into: Path, tally: Tally) -> None:
    stream = route.agent("send", root)
    try:
        bases: dict[str, str] = {}
        for request in _requests(todo, bases):
            stream.send(request)
        receiver = _Receiver(todo, into, tally, bases)
        _receive_all(stream, receiver)
        arriving.flush(receiver.unflushed)
    finally:
        stream.close()


def _requests(todo: list[Item], bases: dict[str, str]) -> Iterator[bytes]:
    """What is wanted, and what of it is here: a part, or an old version's signature (into `bases`)."""
    for item in todo:
        path = str(item.path)
        asked: dict[str, Any] = {"name": item.name}
        start = arriving.usable_part(path, item.sha256, item.size) if item.size >= BIG else 0
        if start:
            part = arriving.part_path(path, item.sha256)
            asked.update({"from": start, "prefix": sha256_of(part, start)})
        base = old_version(path, item.size)
        signed = b""
        if base:
            bases[item.name] = base
            asked["least"] = delta.least_for(max(item.size, Path(base).stat().st_size))
            with open(base, "rb", buffering=0) as f:
                signed = delta.signature(f, asked["least"])  # type: ignore[arg-type]
        yield pack(asked)
        for at in range(0, len(signed), MAX_DATA):
            yield pack({"blocks": True}, signed[at : at + MAX_DATA])
    yield pack({"end": True})


def _receive_all(stream: Duplex, receiver: _Receiver) -> None:
    reader = FrameReader()
    kept = False
    try:
        while True:
            data = stream.recv(HASH_S)
            if not data:
                kept = True
                raise LinkLost("the host ended the transfer", try_next="try again")
            for header, body in reader.feed(data):
                if receiver.take(header, body):
                    return
    except FrameError as e:
        raise RouteError("the host broke off the transfer", why=str(e), try_next="try again") from e
    except TimeoutError as e:
        kept = True
        raise RouteError("the transfer came to a halt", try_next="try again") from e
    except Problem as e:
        raise transfer_error(e.as_dict()) from e
    except LinkLost:
        kept = True
        raise
    except OSError as e:
        raise from_os(e, receiver.into) from e
    finally:
        receiver.abandon(kept)


class _Receiver:
    """The files that were asked for, in that order and no others."""

    def __init__(self, items: list[Item], into: Path, tally: Tally, bases: dict[str, str]) -> None:
        self.into = into
        self._bases = bases
        self.unflushed: list[str] = []
        self._expected = iter(items)
        self._tally = tally
        self._item: Item | None = None
        self._current: Arriving | None = None

    def take(self, header: dict[str, Any], body: bytes) -> bool:
        """True at the end. Raises QAError, Problem, OSError, FrameError."""
        if "error" in header:
            raise transfer_error(header["error"])
        if header.get("end"):
            self._finish()
            if next(self._expected, None) is not None:
                raise RouteError("the host left out files", try_next="try again")
            return True
        if "file" in header:
            self._finish()
            self._begin(header)
        if self._current is None or self._item is None:
            raise FrameError("bytes of no file")
        n = self._current.take(header, body) if "file" not in header else self._current.got
        self._tally.add(n, self._item.name, len(body))
        return False

    def _begin(self, header: dict[str, Any]) -> None:
        item = next(self._expected, None)
        if item is None or header.get("file") != item.name:
            raise RouteError("the host sent a file that was not asked for", try_next=ODD)
        safe_parent(self.into, item.path)
        path, start, base = str(item.path), header.get("from", 0), -1
        arriving.sweep(str(item.path.parent))
        if start and start != arriving.usable_part(path, item.sha256, item.size):
            raise RouteError("the host goes on from where nobody stopped", try_next="try again")
        if item.name in self._bases:
            base = os.open(self._bases[item.name], os.O_RDONLY | os.O_NOFOLLOW)
        self._item = item
        self._current = Arriving(path, item.size, item.sha256, item.executable, start, base)

    def _finish(self) -> None:
        current, self._current = self._current, None
        if current is not None and not current.finish():
            self.unflushed.append(current.path)

    def abandon(self, keep: bool) -> None:
        if self._current is not None:
            self._current.abandon(keep)
            self._current = None
