"""One file on its way in: written beside its place, given its name when it is whole and right.

What a cut link leaves is `.<hash of the source>.part`; the next transfer of the same content goes on
from its size. Used at both ends.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import time
import zlib
from typing import Any

from remote.agent import delta
from remote.agent.problem import Problem

CHUNK = 1 << 18  # bytes of the file in one frame
KEEP = 1 << 20  # bytes: less is not worth going on from
FSYNC = 1 << 20  # bytes: smaller files are flushed together at the end
STALE_S = 3 * 86400.0
_PART = re.compile(r"^\.(?:[0-9a-f]{32}(?:\.[0-9a-f]{8})?|\d+\.[0-9a-f]{8})\.part$")


def part_path(path: str, sha256: str) -> str:
    """Where the first part of a file waits for the rest."""
    return os.path.join(os.path.dirname(path), ".%s.part" % sha256[:32])


def is_part(name: str) -> bool:
    return name[:1] == "." and name.endswith(".part")


def sha256_of(path: str, size: int = -1) -> str:
    """Of the first `size` bytes; of all for -1."""
    digest = hashlib.sha256()
    left = size
    with open(path, "rb", buffering=0) as f:
        while left:
            data = f.read(CHUNK * 4 if left < 0 else min(CHUNK * 4, left))
            if not data:
                break
            digest.update(data)
            left -= len(data) if left > 0 else 0
    return digest.hexdigest()


def usable_part(path: str, sha256: str, size: int) -> int:
    """Bytes of a part nobody is writing; 0 if there is none to go on from."""
    try:
        fd = os.open(part_path(path, sha256), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        info = os.fstat(fd)
        good = stat.S_ISREG(info.st_mode) and KEEP <= info.st_size <= size
        return info.st_size if good else 0
    except OSError:
        return 0
    finally:
        os.close(fd)


def sweep(folder: str) -> None:
    """Remove parts nobody came back for."""
    for name in os.listdir(folder):
        if _PART.match(name):
            path = os.path.join(folder, name)
            try:
                if time.time() - os.lstat(path).st_mtime > STALE_S:
                    os.unlink(path)
            except OSError:
                pass


class Arriving:
    """path: its place; the folder must exist.  start: bytes of its part that were checked and stay.

    base: an old version, open for reading, for copies; -1 if there is none.  Raises OSError, Problem.
    """

    def __init__(
        self,
        path: str,
        size: int,
        sha256: str,
        executable: bool = False,
        start: int = 0,
        base: int = -1,
    ) -> None:
        if not re.match(r"^[0-9a-f]{64}$", sha256) or type(size) is not int or size < 0:
            raise Problem("protocol", "an announcement that makes no sense")
        self.path, self.size, self.sha256 = path, size, sha256
        self.executable, self.base = executable, base
        self.part = part_path(path, sha256)
        self.fd = -1
        self._digest = hashlib.sha256()
        self.got = 0
        self._open(start)

    def _open(self, start: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        while True:
            fd = os.open(self.part, flags, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # another transfer of the same content, or no locks on this file system
                os.close(fd)
                if start:
                    raise Problem("taken", "another is bringing %s already" % self.path) from None
                self.part = "%s.%s.part" % (self.part[: -len(".part")], os.urandom(4).hex())
                fd = os.open(self.part, flags | os.O_EXCL, 0o600)
                break
            try:
                here = os.stat(self.part, follow_symlinks=False)
            except FileNotFoundError:
                here = None
            if here is not None and here.st_ino == os.fstat(fd).st_ino:
                break
            os.close(fd)  # the other transfer has just given it its name
        self.fd = fd
        try:
            if os.fstat(fd).st_size < start:
                raise Problem("taken", "the first part of %s is gone" % self.path)
            os.ftruncate(fd, start)
            os.fchmod(fd, 0o700 if self.executable else 0o600)
            self._digest_start(start)
        except BaseException:
            self.abandon()
            raise

    def _digest_start(self, start: int) -> None:
        while self.got < start:
            data = os.read(self.fd, min(CHUNK * 4, start - self.got))
            self._digest.update(data)
            self.got += len(data)

    def take(self, header: dict[str, Any], data: bytes) -> int:
        """A frame of bytes, of compressed bytes, or of copies; how many bytes of the file it was."""
        before = self.got
        if "copy" in header:
            if self.base < 0:
                raise Problem("protocol", "copies of no file")
            try:
                for piece in delta.copied(self.base, delta.unpack_copies(data)):
                    self._write(piece)
            except ValueError as e:
                raise Problem("protocol", str(e)) from e
        else:
            self._write(_inflated(data) if header.get("z") else data)
        return self.got - before

    def _write(self, data: bytes) -> None:
        if self.got + len(data) > self.size:
            raise Problem("mismatch", "%s is longer than announced" % self.path)
        left = memoryview(data)
        while left:
            left = left[os.write(self.fd, left) :]
        self._digest.update(data)
        self.got += len(data)

    def finish(self) -> bool:
        """Give it its name, if it is what was announced. False: its bytes are still to be flushed."""
        if self.got != self.size or self._digest.hexdigest() != self.sha256:
            self.abandon()
            raise Problem("mismatch", "%s did not arrive as announced" % self.path)
        flushed = self.size >= FSYNC
        if flushed:
            os.fsync(self.fd)
        os.replace(self.part, self.path)
        self._close()
        return flushed

    def abandon(self, keep: bool = False) -> None:
        """keep: the link was cut, so the next transfer may go on from here."""
        if self.fd < 0:
            return
        if not (keep and self.got >= KEEP):
            try:
                os.unlink(self.part)
            except OSError:
                pass
        self._close()

    def _close(self) -> None:
        for fd in (self.fd, self.base):
            if fd >= 0:
                os.close(fd)
        self.fd = self.base = -1


def flush(paths: list[str]) -> None:
    """fsync of many small files side by side: a disk takes them together."""
    from concurrent.futures import ThreadPoolExecutor

    if paths:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(_flush, paths))


def flushed_sha256(path: str) -> str:
    """Its hash, and its bytes on the disk: the one while the other."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        flushing = pool.submit(_flush, path)
        digest = sha256_of(path)
        flushing.result()
    return digest


def _flush(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.EBADF):
            raise
    finally:
        os.close(fd)


def _inflated(data: bytes) -> bytes:
    """At most a frame's worth, whatever the bytes claim."""
    engine = zlib.decompressobj()
    try:
        out = engine.decompress(data, CHUNK * 2)
    except zlib.error as e:
        raise Problem("protocol", "compressed bytes that are none: %s" % e) from e
    if engine.unconsumed_tail or not engine.eof:
        raise Problem("protocol", "compressed bytes of unusable length")
    return out
