"""Data up, artifacts down: by content, so that what is there already does not travel again.

Many files go as one stream; each appears under its name only when whole and of the right hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from core import jobdir, locations
from core.errors import DiskFull, EnvironmentProblem, LinkLost, RouteError, UsageError
from remote.agent.frames import FrameError, FrameReader, pack
from remote.agent.jobs import Problem
from remote.agent.transfer import check_relative
from remote.helper_client import Carrier, Duplex, error_from, plain

Progress = Callable[[int, int, str], None]  # bytes done, bytes in all, file name

CHUNK = 1 << 18
HASH_S = 900.0  # a large model on a slow disk
MAX_FILES = 20_000
MAX_BYTES = 64 << 30
RESERVE = 256 << 20  # bytes to leave free on the laptop


@dataclass(frozen=True, slots=True)
class Moved:
    """files, bytes: what travelled.  skipped: files that were there already."""

    files: int
    bytes: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _Item:
    name: str  # relative, with /
    path: Path
    size: int
    sha256: str
    executable: bool = False


def push(
    route: Carrier, files: Sequence[tuple[Path, str]], progress: Progress | None = None
) -> Moved:
    """Copy local files to paths below the host's work folder.

    Raises UsageError (names, missing files), DiskFull, LinkLost: repeat it, what arrived stays.
    """
    items = [_local_item(path, name) for path, name in files]
    there = route.helper().call(
        "sha256",
        paths=[i.name for i in items],
        sizes=[i.size for i in items],
        timeout=HASH_S,
    )
    if not isinstance(there, list) or len(there) != len(items):
        raise RouteError("the host sent an odd answer about its files")
    todo = [i for i, have in zip(items, there, strict=True) if have != i.sha256]
    if not todo:
        return Moved(0, 0, len(items))
    total = sum(i.size for i in todo)
    workdir = str(route.helper().call("hello")["workdir"])
    stream = route.agent("receive", workdir)
    try:
        answer = _send_all(stream, todo, total, progress)
    finally:
        stream.close()
    if "error" in answer:
        raise error_from(answer["error"])
    if answer.get("files") != len(todo):
        raise RouteError("the host did not confirm every file", try_next="try again")
    return Moved(len(todo), total, len(items) - len(todo))


def push_code(route: Carrier, root: Path | None = None) -> str:
    """The `core` package onto the host; returns the absolute folder for PYTHONPATH.

    The folder is named by the hash of its content: jobs that run keep the code they began with.
    """
    root = root or locations.project_root()
    paths = sorted(p for p in (root / "core").rglob("*.py") if "__pycache__" not in p.parts)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(root).as_posix()}\0{_sha256(path)}\n".encode())
    folder = f"code/{digest.hexdigest()[:16]}"
    push(route, [(p, f"{folder}/{p.relative_to(root).as_posix()}") for p in paths])
    return f"{route.helper().call('hello')['workdir']}/{folder}"


def pull(
    route: Carrier,
    remote_dir: str,
    into: Path,
    progress: Progress | None = None,
    *,
    names: Iterable[str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> list[Path]:
    """Copy the regular files below a folder of the host into `into`; the local paths, sorted.

    remote_dir: absolute or relative to the work folder.  names: only these files or folders of it.
    Links are not followed, names that would leave `into` are refused, hashes are verified.
    Raises NotFound, RouteError (odd names, too much, altered on the way), DiskFull, LinkLost.
    """
    listing = route.helper().call("manifest", path=remote_dir, timeout=HASH_S)
    items = _wanted(_remote_items(listing, into), names)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    todo = [i for i in items if not _is_here(i)]
    total = sum(i.size for i in todo)
    if total > max_bytes:
        raise RouteError(
            f"{plain(remote_dir)} holds {total} bytes, more than is taken ({max_bytes})"
        )
    if total and total + RESERVE > shutil.disk_usage(into).free:
        raise DiskFull(f"{into}: no room for {total >> 20} MiB", try_next="free space, then repeat")
    if todo:
        workdir = str(route.helper().call("hello")["workdir"])
        stream = route.agent("send", str(PurePosixPath(workdir) / remote_dir))
        try:
            stream.send(json.dumps({"names": [i.name for i in todo]}).encode() + b"\n")
            _receive_all(stream, todo, into, total, progress)
        finally:
            stream.close()
    return sorted(i.path for i in items)


def fetch_artifacts(
    route: Carrier,
    job_id: str,
    into: Path,
    names: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """What a job left, into `artifacts/` of its mirror directory `into`.

    names: only these files or folders, e.g. ["adapter", "summary.json"].
    """
    if "/" in job_id:
        raise UsageError(f"{job_id!r} is not a job id")
    folder = f"jobs/{job_id}/{jobdir.ARTIFACTS}"
    return pull(route, folder, into / jobdir.ARTIFACTS, progress, names=names)


# -- up -------------------------------------------------------------------------------------


def _local_item(path: Path, name: str) -> _Item:
    try:
        check_relative(name)
    except Problem as e:
        raise UsageError(f"{name!r} is not a path below the host's work folder") from e
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    executable = os.access(path, os.X_OK)
    return _Item(name, path, path.stat().st_size, _sha256(path), executable)


def _send_all(
    stream: Duplex, items: list[_Item], total: int, progress: Progress | None
) -> dict[str, Any]:
    """Frames out until done or the host objects, then its answer.

    The stream always ends in proper form: bytes for a command that is gone could end the connection.
    """
    reply = bytearray()
    done = 0
    for item, frame, size in _frames(items):
        stream.send(frame)
        done += size
        if progress:
            progress(done, total, item.name)
        if _answered(stream, reply):
            break
    stream.send(pack({"end": True}))
    while b"\n" not in reply:
        data = stream.recv(HASH_S)
        if not data:
            raise LinkLost("the host ended the transfer", try_next="try again")
        reply += data
        if len(reply) > 1 << 20:
            break
    try:
        answer = json.loads(reply)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RouteError("the host ended the transfer in an odd way", try_next="try again")
    return answer


def _frames(items: list[_Item]) -> Iterator[tuple[_Item, bytes, int]]:
    """(file, frame, bytes of the file in it)."""
    for item in items:
        head = {"file": item.name, "size": item.size, "sha256": item.sha256}
        yield item, pack({**head, "mode": "x"} if item.executable else head), 0
        with open(item.path, "rb") as f:
            while data := f.read(CHUNK):
                yield item, pack({}, data), len(data)


def _answered(stream: Duplex, reply: bytearray) -> bool:
    """Has the host objected already? Never waits."""
    try:
        data = stream.recv(0.0)
    except TimeoutError:
        return False
    if not data:
        raise LinkLost("the host ended the transfer", try_next="try again")
    reply += data
    return True


# -- down -----------------------------------------------------------------------------------


def _remote_items(listing: Any, into: Path) -> list[_Item]:
    if not isinstance(listing, list) or len(listing) > MAX_FILES:
        raise RouteError("the host sent an odd list of files")
    items = []
    for row in listing:
        row = row if isinstance(row, dict) else {}
        try:
            name = check_relative(row.get("name"))
        except Problem as e:
            raise RouteError(
                f"the host names a file {plain(repr(row.get('name')), 100)}, which is refused",
                why="it could end up outside its folder",
            ) from e
        size, sha256 = row.get("size"), row.get("sha256")
        if type(size) is not int or size < 0 or not isinstance(sha256, str):
            raise RouteError("the host sent an odd list of files")
        items.append(_Item(name, into / name, size, sha256))
    return items


def _wanted(items: list[_Item], names: Iterable[str] | None) -> list[_Item]:
    if names is None:
        return items
    tops = [n.rstrip("/") for n in names]
    return [i for i in items if any(i.name == t or i.name.startswith(t + "/") for t in tops)]


def _is_here(item: _Item) -> bool:
    path = item.path
    if path.is_symlink() or not path.is_file() or path.stat().st_size != item.size:
        return False
    return _sha256(path) == item.sha256


def _receive_all(
    stream: Duplex, items: list[_Item], into: Path, total: int, progress: Progress | None
) -> None:
    expected = iter(items)
    current: _Incoming | None = None
    reader = FrameReader()
    done = 0
    try:
        while True:
            data = stream.recv(120.0)
            if not data:
                raise LinkLost("the host ended the transfer", try_next="try again")
            for header, body in reader.feed(data):
                if "error" in header:
                    raise error_from(header["error"])
                if "file" in header or header.get("end"):
                    if current is not None:
                        current.finish()
                        current = None
                    item = next(expected, None)
                    if header.get("end"):
                        if item is not None:
                            raise RouteError("the host left out files", try_next="try again")
                        return
                    if item is None or header.get("file") != item.name:
                        raise RouteError("the host sent a file that was not asked for")
                    current = _Incoming(item, into)
                elif current is None:
                    raise FrameError("bytes of no file")
                current.take(body)
                done += len(body)
                if progress:
                    progress(done, total, current.item.name)
    except FrameError as e:
        raise RouteError("the host broke off the transfer", why=str(e), try_next="try again") from e
    except TimeoutError as e:
        raise RouteError("the transfer came to a halt", try_next="try again") from e
    finally:
        if current is not None:
            current.abandon()


class _Incoming:
    """One file on its way: written beside its place, moved there when it is right."""

    def __init__(self, item: _Item, into: Path) -> None:
        self.item = item
        root = into.resolve()
        item.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not item.path.parent.resolve().is_relative_to(root):
            raise EnvironmentProblem(f"{item.path.parent} is a link out of {into}")
        self._temp = item.path.parent / f".{secrets.token_hex(6)}.part"
        self._fd = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._digest = hashlib.sha256()
        self._got = 0

    def take(self, data: bytes) -> None:
        self._got += len(data)
        if self._got > self.item.size:
            raise RouteError(f"{self.item.name} is longer than the host said")
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left) :]
        self._digest.update(data)

    def finish(self) -> None:
        if self._got != self.item.size or self._digest.hexdigest() != self.item.sha256:
            self.abandon()
            raise RouteError(
                f"{self.item.name} did not arrive as the host described it",
                why="its hash differs: it changed meanwhile, or was altered on the way",
                try_next="try again",
            )
        os.fsync(self._fd)
        os.close(self._fd)
        self._temp.replace(self.item.path)

    def abandon(self) -> None:
        if self._temp.exists():
            os.close(self._fd)
            self._temp.unlink()


def _sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
