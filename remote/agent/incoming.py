"""What the host knows of files that are to come or to go: sizes, hashes, parts, old versions."""

from __future__ import annotations

import base64
import errno
import os
import shutil
import stat
from itertools import takewhile
from typing import Any, Callable, Iterable

from remote.agent import arriving, delta
from remote.agent.arriving import sha256_of
from remote.agent.problem import Problem

MAX_ENTRIES = 20000
DELTA = 1 << 20  # bytes: smaller files travel whole
MAX_BASE = 2 << 30  # bytes: reading a larger old version costs more than it saves
MAX_SIGNED = 16 << 20  # bytes of signatures in one answer
STAGE = ".incoming"  # where rsync puts files, named by their hash


def check_relative(name: Any) -> str:
    """A path that stays below the folder it is joined to."""
    ok = isinstance(name, str) and 0 < len(name) <= 1024 and not name.startswith("/")
    ok = ok and all(ord(c) >= 32 and c != "\x7f" for c in name)
    if not ok or any(part in ("", ".", "..") for part in name.split("/")):
        raise Problem("bad_name", "not a usable path: %.80r" % (name,))
    return str(name)


def survey(root: str, files: list[list[Any]], folder: str | None = None) -> dict[str, Any]:
    """files: [name, size].  here: per file None, or {size, sha256, x}; the hash only where the size
    agrees.  others: names below `folder` that are none of `files`."""
    wanted = [(os.path.join(root, check_relative(name)), size) for name, size in files]

    def look(one: tuple[str, int]) -> dict[str, Any] | None:
        path, size = one
        try:
            info = os.stat(path)
        except OSError as e:
            if e.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            return None
        if not stat.S_ISREG(info.st_mode):
            raise Problem("bad_name", "%s is there and is no file" % path)
        found: dict[str, Any] = {"size": info.st_size, "x": bool(info.st_mode & 0o100)}
        found["sha256"] = sha256_of(path) if info.st_size == size else None
        return found

    answer: dict[str, Any] = {"here": many(look, wanted)}
    if folder is not None:
        names = {name for name, _ in files}
        base = "" if folder in ("", ".") else check_relative(folder)
        there = (os.path.join(base, name) for name in _names(os.path.join(root, base)))
        answer["others"] = [name for name in there if name not in names]
    return answer


def hints(root: str, files: list[list[Any]]) -> list[dict[str, Any]]:
    """files: [name, size, sha256].  Per file: a part to go on from, and an old version's signature."""
    answer = []
    room = MAX_SIGNED
    for name, size, sha256 in files:
        path = os.path.join(root, check_relative(name))
        hint: dict[str, Any] = {}
        start = arriving.usable_part(path, sha256, size)
        if start:
            hint.update(part=start, prefix=sha256_of(arriving.part_path(path, sha256), start))
        base = old_version(path, size) if room > 0 else None
        if base:
            least = delta.least_for(max(size, os.path.getsize(base)))
            with open(base, "rb", buffering=0) as f:
                signed = delta.signature(f, least)
            hint.update(base=os.path.relpath(base, root), least=least)
            hint["blocks"] = base64.b64encode(signed).decode()
            room -= len(hint["blocks"])
        answer.append(hint)
    return answer


def old_version(path: str, size: int) -> str | None:
    """The file there, or its likeliest sibling: same ending, alike in name and size, newest."""
    if size < DELTA:
        return None
    folder, name = os.path.split(path)
    ending = os.path.splitext(name)[1]
    best: tuple[int, float, str] | None = None
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return None
    for entry in entries:
        if not entry.is_file(follow_symlinks=False) or arriving.is_part(entry.name):
            continue
        info = entry.stat(follow_symlinks=False)
        if not DELTA <= info.st_size <= MAX_BASE or not size / 4 <= info.st_size <= size * 4:
            continue
        if entry.name == name:
            return entry.path
        if os.path.splitext(entry.name)[1] == ending:
            alike = sum(
                1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(entry.name, name))
            )
            if alike >= 3 and (best is None or (alike, info.st_mtime) > best[:2]):
                best = (alike, info.st_mtime, entry.path)
    return best[2] if best else None


def manifest(root: str, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """As `listing`, each with its "sha256" too."""
    found = listing(root, names)
    paths = [os.path.join(root, entry["name"]) for entry in found]
    for entry, digest in zip(found, many(sha256_of, paths)):
        entry["sha256"] = digest
    return found


def listing(root: str, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Regular files below `root` as {name, size, x}; links, odd and half files are left out.

    names: only these files or folders of it.
    """
    tops = None if names is None else [check_relative(n.rstrip("/")) for n in names]
    found: list[dict[str, Any]] = []
    for name in _names(root):
        if tops is not None and not any(name == t or name.startswith(t + "/") for t in tops):
            continue
        info = os.lstat(os.path.join(root, name))
        found.append({"name": name, "size": info.st_size, "x": bool(info.st_mode & 0o100)})
    return found


def _names(root: str) -> Iterable[str]:
    count = 0
    for folder, dirs, names in os.walk(root):
        dirs[:] = sorted(d for d in dirs if d != STAGE)
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not stat.S_ISREG(os.lstat(path).st_mode) or arriving.is_part(name):
                continue
            count += 1
            if count > MAX_ENTRIES:
                raise Problem("too_many", "more than %d files below %s" % (MAX_ENTRIES, root))
            yield os.path.relpath(path, root)


def many(work: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """In four threads: hashing lets go of the interpreter."""
    if len(values) < 2:
        return [work(v) for v in values]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(work, values))


# -- for rsync ------------------------------------------------------------------------------


def stage(root: str, files: list[list[Any]]) -> dict[str, Any]:
    """files: [name, size, sha256].  A place for rsync to write to, with old versions to start from."""
    folder = os.path.join(root, STAGE)
    os.makedirs(folder, 0o700, exist_ok=True)
    _sweep_stage(folder)
    bases = 0
    for name, size, sha256 in files:
        target = os.path.join(root, check_relative(name))
        base = old_version(target, size)
        place = os.path.join(folder, check_relative(sha256))
        if base and not os.path.lexists(place):
            try:
                os.link(base, place)  # rsync writes a new file and never into this one
                bases += 1
            except OSError:
                pass  # another file system: then it travels whole
    return {"folder": folder, "bases": bases}


def adopt(root: str, files: list[list[Any]]) -> int:
    """files: [name, size, sha256, executable].  Each into its place if it is what was announced."""
    folder = os.path.join(root, STAGE)
    left = [sha256 for _, _, sha256, _ in files]
    for name, size, sha256, executable in files:
        left.remove(sha256)
        target = os.path.join(root, check_relative(name))
        place = os.path.join(folder, check_relative(sha256))
        if not os.path.isfile(place) and os.path.isfile(target) and sha256_of(target) == sha256:
            continue  # another transfer of the same content was quicker
        info = os.lstat(place)
        right = stat.S_ISREG(info.st_mode) and info.st_size == size
        if not right or arriving.flushed_sha256(place) != sha256:
            os.unlink(place)
            raise Problem("mismatch", "%s did not arrive as announced" % name)
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        _give_place(place, target, 0o700 if executable else 0o600, copy=sha256 in left)
    return len(files)


def _give_place(source: str, target: str, mode: int, copy: bool) -> None:
    """copy: the same content is wanted elsewhere too."""
    if not copy:
        os.chmod(source, mode)
        try:
            os.replace(source, target)
            return
        except OSError as e:
            if e.errno != errno.EXDEV:
                raise
    beside = os.path.join(
        os.path.dirname(target), ".%d.%s.part" % (os.getpid(), os.urandom(4).hex())
    )
    shutil.copyfile(source, beside)
    os.chmod(beside, mode)
    arriving.flush([beside])
    os.replace(beside, target)
    if not copy:
        os.unlink(source)


def _sweep_stage(folder: str) -> None:
    import time

    for below, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(below, name)
            try:
                if time.time() - os.lstat(path).st_mtime > arriving.STALE_S:
                    os.unlink(path)
            except OSError:
                pass
