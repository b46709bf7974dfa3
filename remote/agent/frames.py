"""The byte format of streams: one JSON header line with `n`, then n bytes."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

MAX_HEADER = 16384
MAX_DATA = 1 << 20


class FrameError(ValueError):
    """The other side does not speak frames."""


def pack(header: dict[str, Any], data: bytes = b"") -> bytes:
    """One frame. `n` is filled in."""
    return json.dumps(dict(header, n=len(data)), separators=(",", ":")).encode() + b"\n" + data


def parse_header(line: bytes) -> dict[str, Any]:
    """FrameError unless it is a JSON object with 0 <= n <= MAX_DATA."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise FrameError("not a frame header: %r" % line[:80])
    n = header.get("n")
    if type(n) is not int or not 0 <= n <= MAX_DATA:
        raise FrameError("frame of unusable size: %.40r" % (n,))
    return header


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame of a blocking stream; None at its end."""
    line = stream.readline(MAX_HEADER + 1)
    if not line.endswith(b"\n"):
        if line:
            raise FrameError("cut or overlong frame header")
        return None
    header = parse_header(line)
    data = stream.read(header["n"])
    if len(data) < header["n"]:
        raise FrameError("cut frame")
    return header, data


class FrameReader:
    """Frames out of bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._header: dict[str, Any] | None = None

    def feed(self, data: bytes) -> list[tuple[dict[str, Any], bytes]]:
        """The frames completed by `data`. Raises FrameError; the reader is of no use after that."""
        buffer = self._buffer
        buffer += data
        frames = []
        at = 0
        while True:
            if self._header is None:
                end = buffer.find(b"\n", at, at + MAX_HEADER + 1)
                if end < 0:
                    if len(buffer) - at > MAX_HEADER:
                        raise FrameError("overlong frame header")
                    break
                self._header = parse_header(bytes(buffer[at:end]))
                at = end + 1
            n = self._header["n"]
            if len(buffer) - at < n:
                break
            with memoryview(buffer) as view:  # one copy, not two
                frames.append((self._header, bytes(view[at : at + n])))
            self._header = None
            at += n
        del buffer[:at]
        return frames
