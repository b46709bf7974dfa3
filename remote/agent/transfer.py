"""Files in and out of the work folder as one stream of frames: no round trip per file.

In:  {"file", "size", "sha256", "mode"}, data frames {}, …, {"end"}; answered by one line of JSON.
Out: {"file", "size", "mode"}, data frames {}, …, {"end"} or {"error"}.
A file appears under its name only when it is whole and its hash is right.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
from typing import Any, BinaryIO

from remote.agent.frames import FrameError, pack, read_frame
from remote.agent.jobs import Problem

CHUNK = 1 << 18
MAX_ENTRIES = 20000


def check_relative(name: Any) -> str:
    """A path that stays below the folder it is joined to."""
    ok = isinstance(name, str) and 0 < len(name) <= 1024 and not name.startswith("/")
    ok = ok and all(ord(c) >= 32 and c != "\x7f" for c in name)
    if not ok or any(part in ("", ".", "..") for part in name.split("/")):
        raise Problem("bad_name", "not a usable path: %.80r" % (name,))
    return str(name)


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while True:
            data = f.read(CHUNK)
            if not data:
                return digest.hexdigest()
            digest.update(data)


def manifest(root: str) -> list[dict[str, Any]]:
    """Regular files below `root` as {name, size, sha256}; links, odd and half files are left out."""
    found: list[dict[str, Any]] = []
    for folder, dirs, names in os.walk(root):
        dirs.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if not stat.S_ISREG(info.st_mode) or (name[:1] == "." and name.endswith(".part")):
                continue
            if len(found) >= MAX_ENTRIES:
                raise Problem("too_many", "more than %d files below %s" % (MAX_ENTRIES, root))
            entry = {"name": os.path.relpath(path, root), "size": info.st_size}
            found.append(dict(entry, sha256=sha256(path)))
    return found


def receive(root: str, stream: BinaryIO, out: BinaryIO) -> None:
    """After a fault the rest of the stream is read and dropped: the sender must find us alive, as
    bytes sent to a closed channel can end the whole connection."""
    receiver = _Receiver(root)
    failed = False
    while True:
        frame = read_frame(stream)
        if frame is None:
            receiver.abandon()
            return
        header, data = frame
        if header.get("end"):
            break
        if failed:
            continue
        try:
            receiver.take(header, data)
        except (OSError, Problem) as e:
            failed = True
            receiver.abandon()
            _answer(out, {"error": _as_problem(e).as_dict()})
    if not failed:
        try:
            receiver.finish()
        except (OSError, Problem) as e:
            _answer(out, {"error": _as_problem(e).as_dict()})
        else:
            _answer(out, {"files": receiver.files, "bytes": receiver.bytes})


class _Receiver:
    def __init__(self, root: str) -> None:
        self.root = root
        self.files = self.bytes = 0
        self.fd = -1
        self.temp = self.path = ""

    def take(self, header: dict[str, Any], data: bytes) -> None:
        if "file" in header:
            self.finish()
            self._begin(header)
        elif self.fd < 0:
            raise Problem("protocol", "data before a file")
        left = memoryview(data)
        while left:
            left = left[os.write(self.fd, left) :]
        self.digest.update(data)
        self.got += len(data)

    def _begin(self, header: dict[str, Any]) -> None:
        self.path = os.path.join(self.root, check_relative(header["file"]))
        self.size, self.sha256 = header.get("size"), header.get("sha256")
        folder = os.path.dirname(self.path)
        os.makedirs(folder, 0o700, exist_ok=True)
        self.temp = os.path.join(folder, ".%d.%s.part" % (os.getpid(), os.urandom(4).hex()))
        mode = 0o700 if header.get("mode") == "x" else 0o600
        self.fd = os.open(self.temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        self.digest = hashlib.sha256()
        self.got = 0

    def finish(self) -> None:
        """Give the file in hand its name, if it is what was announced."""
        if self.fd < 0:
            return
        if self.got != self.size or self.digest.hexdigest() != self.sha256:
            self.abandon()
            raise Problem("mismatch", "%s did not arrive as announced" % self.path)
        os.fsync(self.fd)
        os.close(self.fd)
        self.fd = -1
        os.replace(self.temp, self.path)
        self.files += 1
        self.bytes += self.got

    def abandon(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            os.unlink(self.temp)


def send(root: str, stream: BinaryIO, out: BinaryIO) -> None:
    """`stream`: one line {"names": […]}, paths relative to `root`."""
    try:
        for name in json.loads(stream.readline(1 << 24))["names"]:
            _send_one(root, check_relative(name), out)
    except (OSError, Problem) as e:
        if isinstance(e, (BrokenPipeError, ConnectionError)):
            return
        out.write(pack({"error": _as_problem(e).as_dict()}))
    else:
        out.write(pack({"end": True}))
    out.flush()


def _send_one(root: str, name: str, out: BinaryIO) -> None:
    fd = os.open(os.path.join(root, name), os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb", buffering=0) as f:
        info = os.fstat(fd)
        mode = "x" if info.st_mode & 0o100 else ""
        out.write(pack({"file": name, "size": info.st_size, "mode": mode}))
        left = info.st_size
        while left:
            data = f.read(min(CHUNK, left))
            if not data:
                raise Problem("changed", "%s became shorter while it was read" % name)
            out.write(pack({}, data))
            left -= len(data)


def _as_problem(e: Exception) -> Problem:
    if isinstance(e, Problem):
        return e
    assert isinstance(e, OSError)
    code = "disk_full" if e.errno in (errno.ENOSPC, errno.EDQUOT) else "os"
    return Problem(code, "%s: %s" % (e.strerror or "error", e.filename or "the file"))


def _answer(out: BinaryIO, record: dict[str, Any]) -> None:
    out.write(json.dumps(record).encode() + b"\n")
    out.flush()


def main(command: str, root: str) -> None:
    os.umask(0o077)
    try:
        run = receive if command == "receive" else send
        run(root, sys.stdin.buffer, sys.stdout.buffer)
    except FrameError as e:
        _answer(sys.stdout.buffer, {"error": {"code": "protocol", "what": str(e)}})
