"""Files in and out of the work folder as one stream of frames: no round trip per file.

In:  {"file", "size", "sha256", "mode", "from", "base"}, data frames, …, {"end"}; answered by one line.
Out: asked for by {"name", "from", "prefix", "least"}, {"blocks"} …, {"end"}; then
     {"file", "size", "mode", "from"}, data frames, …, {"end"} or {"error"}.
A data frame holds bytes ({}), compressed bytes ({"z"}), or copies from an old version ({"copy"}).
A file appears under its name only when it is whole and its hash is right.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from typing import Any, BinaryIO

from remote.agent import delta
from remote.agent.arriving import CHUNK, Arriving, flush, sha256_of, sweep
from remote.agent.frames import FrameError, pack, read_frame
from remote.agent.incoming import check_relative, manifest
from remote.agent.leaving import Squeezer, frames
from remote.agent.problem import Problem

__all__ = ["CHUNK", "check_relative", "manifest", "receive", "send", "sha256"]

sha256 = sha256_of


def receive(root: str, stream: BinaryIO, out: BinaryIO) -> None:
    """After a fault the rest of the stream is read and dropped: the sender must find us alive, as
    bytes sent to a closed channel can end the whole connection."""
    receiver = _Receiver(root)
    failed = False
    while True:
        try:
            frame = read_frame(stream)
        except FrameError:
            frame = None  # cut in the middle of one
        if frame is None:
            receiver.abandon(keep=True)
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
            flush(receiver.unflushed)
        except (OSError, Problem) as e:
            _answer(out, {"error": _as_problem(e).as_dict()})
        else:
            _answer(out, {"files": receiver.files, "bytes": receiver.bytes})


class _Receiver:
    def __init__(self, root: str) -> None:
        self.root = root
        self.files = self.bytes = 0
        self.unflushed: list[str] = []
        self.swept: set[str] = set()
        self.current: Arriving | None = None

    def take(self, header: dict[str, Any], data: bytes) -> None:
        if "file" in header:
            self.finish()
            self._begin(header)
        elif self.current is None:
            raise Problem("protocol", "data before a file")
        else:
            self.current.take(header, data)

    def _begin(self, header: dict[str, Any]) -> None:
        path = os.path.join(self.root, check_relative(header["file"]))
        folder = os.path.dirname(path)
        if folder not in self.swept:
            os.makedirs(folder, 0o700, exist_ok=True)
            sweep(folder)
            self.swept.add(folder)
        base = -1
        if header.get("base"):
            old = os.path.join(self.root, check_relative(header["base"]))
            base = os.open(old, os.O_RDONLY | os.O_NOFOLLOW)
        self.current = Arriving(
            path,
            header.get("size", -1),
            str(header.get("sha256")),
            header.get("mode") == "x",
            int(header.get("from", 0)),
            base,
        )

    def finish(self) -> None:
        """Give the file in hand its name, if it is what was announced."""
        current, self.current = self.current, None
        if current is None:
            return
        if not current.finish():
            self.unflushed.append(current.path)
        self.files += 1
        self.bytes += current.got

    def abandon(self, keep: bool = False) -> None:
        if self.current is not None:
            self.current.abandon(keep)
            self.current = None


def send(root: str, stream: BinaryIO, out: BinaryIO) -> None:
    """What is asked for on `stream`, paths relative to `root`."""
    try:
        squeezer = Squeezer()
        for wanted, blocks in _requests(stream):
            _send_one(root, wanted, blocks, squeezer, out)
    except (OSError, Problem, ValueError) as e:
        if isinstance(e, (BrokenPipeError, ConnectionError)):
            return
        out.write(pack({"error": _as_problem(e).as_dict()}))
    else:
        out.write(pack({"end": True}))
    out.flush()


def _requests(stream: BinaryIO) -> list[tuple[dict[str, Any], bytes]]:
    """All of them, before anything is sent: neither side ever waits for the other to read."""
    asked: list[tuple[dict[str, Any], bytes]] = []
    while True:
        frame = read_frame(stream)
        if frame is None or frame[0].get("end"):
            return asked
        header, data = frame
        if "blocks" in header and asked:
            asked[-1] = (asked[-1][0], asked[-1][1] + data)
        else:
            check_relative(header.get("name"))
            asked.append((header, b""))


def _send_one(
    root: str, wanted: dict[str, Any], blocks: bytes, squeezer: Squeezer, out: BinaryIO
) -> None:
    name, start = str(wanted["name"]), int(wanted.get("from", 0))
    path = os.path.join(root, name)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb", buffering=0) as f:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise Problem("bad_name", "%s is no file" % name)
        mode = "x" if info.st_mode & 0o100 else ""
        if start and sha256_of(path, start) != wanted.get("prefix"):
            start = 0
        f.seek(start)
        out.write(pack({"file": name, "size": info.st_size, "mode": mode, "from": start}))
        base = delta.index(blocks) if blocks else None
        for header, payload, _ in frames(
            f, info.st_size, squeezer, base, int(wanted.get("least", 1))
        ):
            out.write(pack(header, payload))


def _as_problem(e: Exception) -> Problem:
    if isinstance(e, Problem):
        return e
    if not isinstance(e, OSError):
        return Problem("protocol", str(e))
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
