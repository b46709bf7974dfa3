"""The registry of record on the host: opaque generations of a file, and compare-and-swap.

    <workdir>/registry/
      registry.db                     a link to the newest generation's file
      generations/00000012/           registry.db, blocks (SHA-256 of each), head.json
      staging/<token>                 blocks on their way in

A generation is prepared beside the others and gets its number by one rename, which fails if the
number is taken: that is the commit point, and it needs no lock, as laptops may come in through
different login nodes of a cluster. The lock only spares needless work.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
import zlib
from contextlib import contextmanager
from typing import Any, Iterator

from remote.agent.problem import Problem, check_id

BLOCK = 1 << 16
DIGEST = 32
MAX_BLOCKS = 1 << 18
KEEP_LEAST, KEEP_MOST, KEEP_BYTES = 3, 20, 1 << 30
STALE_S = 86400.0


def head(workdir: str) -> dict[str, Any] | None:
    """What is noted about the newest generation; None if there is none."""
    number = _newest(workdir)
    if number == 0:
        return None
    _link(_root(workdir), number)  # a put that was killed right after its rename could not
    return _read_head(workdir, number)


def blocks(workdir: str, generation: int) -> str | None:
    """Base64 of its block hashes; None if it is not kept any more."""
    try:
        with open(os.path.join(_generation(workdir, generation), "blocks"), "rb") as f:
            return base64.b64encode(f.read()).decode()
    except FileNotFoundError:
        return None


def get_blocks(workdir: str, generation: int, numbers: list[int]) -> list[str] | None:
    """Base64 of the packed blocks; None if the generation is not kept any more."""
    if len(numbers) > 256:
        raise Problem("bad_request", "too many blocks at once")
    try:
        with open(_file(_generation(workdir, generation)), "rb") as f:
            out = []
            for number in numbers:
                f.seek(_index(number) * BLOCK)
                out.append(base64.b64encode(zlib.compress(f.read(BLOCK), 1)).decode())
            return out
    except FileNotFoundError:
        return None


def stage(workdir: str, token: str, packed: list[list[Any]]) -> None:
    """Keep blocks [number, base64 of packed bytes] for the `put` with the same token."""
    folder = os.path.join(_root(workdir), "staging")
    os.makedirs(folder, 0o700, exist_ok=True)
    fd = os.open(os.path.join(folder, check_id(token)), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for number, text in packed:
            data = _unpack(text)
            os.lseek(fd, _index(number) * BLOCK, os.SEEK_SET)
            while data:
                data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def put(
    workdir: str, token: str, base: dict[str, Any] | None, new: dict[str, Any], hashes: str
) -> dict[str, Any]:
    """The next generation, of staged blocks and those of `base`, if `base` is still the newest.

    {"head": …}, or {"moved": the newest head} with nothing changed, or {"missing": [numbers]}.
    Asked again after it has succeeded, it says so again.
    """
    root = _root(workdir)
    staged = os.path.join(root, "staging", check_id(token))
    digests = base64.b64decode(hashes)
    size = new.get("size")
    if type(size) is not int or size < 1 or len(digests) != -(-size // BLOCK) * DIGEST:
        raise Problem("bad_request", "the list of blocks does not fit the size")
    if len(digests) > MAX_BLOCKS * DIGEST:
        raise Problem("bad_request", "too large")
    os.makedirs(os.path.join(root, "generations"), 0o700, exist_ok=True)
    with _locked(root):
        newest = _newest(workdir)
        current = None if newest == 0 else _read_head(workdir, newest)
        if current is not None and current.get("token") == token:
            return {"head": current}
        if (current is None) != (base is None) or (
            current is not None
            and base is not None
            and (current["generation"], current["root"]) != (base["generation"], base["root"])
        ):
            return {"moved": current}
        number = newest + 1
        made = dict(new, generation=number, token=token)
        part = os.path.join(root, "generations", ".new-" + token)
        shutil.rmtree(part, ignore_errors=True)
        os.mkdir(part, 0o700)
        try:
            old = None if newest == 0 else _generation(workdir, newest)
            missing = _assemble(part, old, staged, digests, size)
            if missing:
                return {"missing": missing}
            _write(os.path.join(part, "blocks"), digests)
            _write(os.path.join(part, "head.json"), json.dumps(made).encode())
            _sync_folder(part)
            try:
                os.rename(part, _generation(workdir, number))
            except OSError as e:
                if e.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                return {"moved": _read_head(workdir, _newest(workdir))}
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _sync_folder(os.path.join(root, "generations"))
        _tidy(workdir, root, staged)
    return {"head": made}


def _assemble(part: str, old: str | None, staged: str, digests: bytes, size: int) -> list[int]:
    """Write the new file; the numbers of blocks that neither place has."""
    known = b""
    if old is not None:
        with open(os.path.join(old, "blocks"), "rb") as f:
            known = f.read()
    sources = [_open(_file(old)) if old is not None else None, _open(staged)]
    missing = []
    try:
        with open(_file(part), "wb") as out:
            os.chmod(_file(part), 0o600)
            for i in range(len(digests) // DIGEST):
                want = digests[i * DIGEST : (i + 1) * DIGEST]
                length = min(BLOCK, size - i * BLOCK)
                first = 0 if known[i * DIGEST : (i + 1) * DIGEST] == want else 1
                for source in sources[first:]:
                    data = _read(source, i, length)
                    if hashlib.sha256(data).digest() == want:
                        out.write(data)
                        break
                else:
                    missing.append(i)
                    if len(missing) >= 4096:
                        break
            out.flush()
            os.fsync(out.fileno())
    finally:
        for source in sources:
            if source is not None:
                source.close()
    return missing


def _tidy(workdir: str, root: str, staged: str) -> None:
    """What may be missing after a crash, and is made good later: the link, the pruning."""
    _link(root, _newest(workdir))
    _remove(staged)
    total = 0
    numbers = sorted(_numbers(root), reverse=True)
    for kept, number in enumerate(numbers):
        folder = _generation(workdir, number)
        try:
            total += os.path.getsize(_file(folder))
        except OSError:
            pass
        if kept >= KEEP_LEAST and (kept >= KEEP_MOST or total > KEEP_BYTES):
            shutil.rmtree(folder, ignore_errors=True)
    for place in ("staging", "generations"):
        folder = os.path.join(root, place)
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            left_over = place == "staging" or name.startswith(".new-")
            if left_over and time.time() - os.stat(path).st_mtime > STALE_S:
                shutil.rmtree(path, ignore_errors=True)
                _remove(path)


def _link(root: str, number: int) -> None:
    """Let registry.db be the newest one, for people who look."""
    link = os.path.join(root, "registry.db")
    target = os.path.join("generations", "%08d" % number, "registry.db")
    try:
        if os.readlink(link) == target:
            return
    except OSError:
        pass
    temp = "%s.%d.%d" % (link, os.getpid(), threading.get_ident())
    try:
        _remove(temp)
        os.symlink(target, temp)
        os.rename(temp, link)
    except OSError:  # e.g. a full disk: the generations are what counts
        _remove(temp)


# -- small things -----------------------------------------------------------------------------


def _root(workdir: str) -> str:
    return os.path.join(workdir, "registry")


def _generation(workdir: str, number: int) -> str:
    return os.path.join(_root(workdir), "generations", "%08d" % _index(number))


def _file(folder: str) -> str:
    return os.path.join(folder, "registry.db")


def _index(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 10**8:
        raise Problem("bad_request", "not a usable number")
    return number


def _numbers(root: str) -> list[int]:
    try:
        names = os.listdir(os.path.join(root, "generations"))
    except FileNotFoundError:
        return []
    return [int(name) for name in names if len(name) == 8 and name.isdigit()]


def _newest(workdir: str) -> int:
    return max(_numbers(_root(workdir)), default=0)


def _read_head(workdir: str, number: int) -> dict[str, Any]:
    try:
        with open(os.path.join(_generation(workdir, number), "head.json"), "rb") as f:
            found = json.loads(f.read())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Problem("registry", "generation %d of the registry has no readable head" % number)
    return found


def _unpack(text: Any) -> bytes:
    try:
        packed = zlib.decompressobj()
        data = packed.decompress(base64.b64decode(text), BLOCK)
        if packed.unconsumed_tail or not packed.eof:
            raise ValueError("too long")
    except (ValueError, TypeError, zlib.error):
        raise Problem("bad_request", "not a packed block") from None
    return data


def _open(path: str) -> Any:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _read(source: Any, number: int, length: int) -> bytes:
    if source is None:
        return b""
    source.seek(number * BLOCK)
    return bytes(source.read(length))


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


@contextmanager
def _locked(root: str) -> Iterator[None]:
    fd = os.open(os.path.join(root, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: the rename decides
            pass
        yield
    finally:
        os.close(fd)
