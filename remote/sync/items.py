"""The files of a transfer: their names, sizes and hashes, and what would become of them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.errors import DiskFull, EnvironmentProblem, QAError, RouteError, UsageError
from remote.agent.arriving import is_part, sha256_of
from remote.agent.incoming import STAGE, check_relative, many
from remote.agent.problem import Problem
from remote.helper_client import ODD, error_from, plain

HASH_S = 900.0  # a large model on a slow disk
MAX_FILES = 20_000
MAX_BYTES = 64 << 30
RESERVE = 256 << 20  # bytes to leave free on the laptop
BIG = 1 << 20  # bytes: from here on it is worth asking for a part or an old version
_HASH = re.compile(r"[0-9a-f]{64}")

Kind = Literal["new", "changed", "same", "extra"]


@dataclass(frozen=True, slots=True)
class Moved:
    """files, bytes: what is new there.  skipped: files that were there already.

    wire: bytes of files that travelled: fewer where a part or an old version was there.
    """

    files: int
    bytes: int
    skipped: int
    wire: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One file of a plan. extra: it is there and not here, and stays."""

    kind: Kind
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a push or pull would do, in the order it would be done."""

    changes: tuple[Change, ...]

    def of(self, *kinds: Kind) -> list[Change]:
        return [c for c in self.changes if c.kind in kinds]

    @property
    def bytes(self) -> int:
        """At most this many would travel."""
        return sum(c.size for c in self.of("new", "changed"))


@dataclass(frozen=True, slots=True)
class Item:
    name: str  # relative, with /
    path: Path
    size: int
    sha256: str
    executable: bool = False
    stamp: int = 0  # mtime of the local file when it was hashed, ns


def tree(paths: Iterable[Path], to: str = "") -> list[tuple[Path, str]]:
    """Files and folders as (path, name on the host) below `to`; links are left out, not followed.

    Raises UsageError.
    """
    found: list[tuple[Path, str]] = []
    prefix = to.strip("/") + "/" if to.strip("/") not in ("", ".") else ""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            top = path.resolve().name
            for below in _files(path):
                found.append((below, f"{prefix}{top}/{below.relative_to(path).as_posix()}"))
        elif path.is_file():
            found.append((path, prefix + path.name))
        else:
            raise UsageError(
                f"{path}: no such file or folder", try_next="a file or folder of this machine"
            )
    return found


def _files(folder: Path) -> Iterator[Path]:
    for root, dirs, names in os.walk(folder):
        dirs[:] = sorted(d for d in dirs if d != STAGE)
        for name in sorted(names):
            path = Path(root) / name
            if path.is_file() and not path.is_symlink() and not is_part(name):
                yield path


def local_items(files: Sequence[tuple[Path, str]]) -> list[Item]:
    """Raises UsageError: unusable or repeated names, missing files."""
    if len(files) > MAX_FILES:
        raise UsageError(
            f"{len(files)} files at once; at most {MAX_FILES}",
            try_next="send them folder by folder, or as one archive",
        )
    if len({name for _, name in files}) < len(files):
        names = [name for _, name in files]
        twice = next(n for n in names if names.count(n) > 1)
        raise UsageError(f"two files would be named {twice!r}", try_next="send them one by one")
    items: list[Item] = many(lambda f: _local_item(*f), list(files))
    return items


def _local_item(path: Path, name: str) -> Item:
    try:
        check_relative(name)
    except Problem as e:
        raise UsageError(
            f"{name!r} is not a path below the host's work folder",
            try_next="give --to a folder below it, without a leading / and without ..",
        ) from e
    if not path.is_file():
        raise UsageError(f"{path}: no such file", try_next="a file of this machine")
    try:
        info = path.stat()
        digest = sha256_of(str(path), info.st_size)
    except OSError as e:
        raise UsageError(
            f"{path} cannot be read",
            why=e.strerror or str(e),
            try_next="look at its permissions, or leave it out",
        ) from e
    executable = bool(info.st_mode & 0o100)
    return Item(name, path, info.st_size, digest, executable, info.st_mtime_ns)


def remote_items(listing: Any, into: Path) -> list[Item]:
    """The host's list, believed in nothing. Raises RouteError."""
    if not isinstance(listing, list) or len(listing) > MAX_FILES:
        raise RouteError("the host sent an odd list of files", try_next=ODD)
    items = []
    for row in listing:
        row = row if isinstance(row, dict) else {}
        name = usable_name(row.get("name"))
        size, sha256 = row.get("size"), row.get("sha256")
        if type(size) is not int or size < 0:
            raise RouteError("the host sent an odd list of files", try_next=ODD)
        if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
            raise RouteError("the host sent an odd list of files", try_next=ODD)
        items.append(Item(name, into / name, size, sha256, row.get("x") is True))
    if len({i.name for i in items}) < len(items):
        raise RouteError(
            "the host names a file twice, which is refused",
            try_next="name the files you want",
        )
    return items


def usable_name(name: Any) -> str:
    try:
        parts = check_relative(name).split("/")
        if STAGE in parts or any(is_part(p) for p in parts):
            raise Problem("bad_name", "")
    except Problem as e:
        raise RouteError(
            f"the host names a file {plain(repr(name), 100)}, which is refused",
            why="it could end up outside its folder, or do harm on a terminal",
            try_next="rename or remove it on the host, or name the files you want",
        ) from e
    return str(name)


def is_here(item: Item) -> bool:
    """A regular file of that content at that place."""
    path = item.path
    if path.is_symlink() or not path.is_file() or path.stat().st_size != item.size:
        return False
    return sha256_of(str(path)) == item.sha256


def safe_parent(into: Path, path: Path) -> None:
    """Make the folders between `into` and `path`; refuse one that is a link. Raises QAError."""
    here = into
    try:
        for part in path.relative_to(into).parent.parts:
            here = here / part
            if here.is_symlink():
                raise EnvironmentProblem(
                    f"{here} is a link, maybe out of {into}", try_next="choose another folder"
                )
            here.mkdir(mode=0o700, exist_ok=True)
    except OSError as e:
        raise from_os(e, here) from e


def check_room(into: Path, total: int, reserve: int) -> None:
    """Raises DiskFull."""
    if total and total + reserve > shutil.disk_usage(into).free:
        raise DiskFull(f"{into}: no room for {total >> 20} MiB", try_next="free space, then repeat")


def from_os(e: OSError, path: Path) -> QAError:
    """A fault of this machine's files."""
    import errno

    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{path}: no room left", try_next="free space, then repeat")
    return EnvironmentProblem(
        f"{path} cannot be written",
        why=e.strerror or str(e),
        try_next="choose a folder that you may write to",
    )


def transfer_error(problem: Any) -> QAError:
    """The agent's complaint about a transfer as one of our errors."""
    code = problem.get("code") if isinstance(problem, dict) else None
    what = plain(problem.get("what", "")) if isinstance(problem, dict) else ""
    if code in ("mismatch", "changed"):
        return RouteError(
            what or "a file did not arrive as announced",
            why="it changed meanwhile, or was altered on the way",
            try_next="try again when nothing writes to it",
        )
    if code in ("taken", "protocol"):
        return RouteError(what or "the transfer broke off", try_next="try again")
    return error_from(problem)
