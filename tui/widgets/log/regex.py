"""Regular expressions over a log, in a child process: a pattern that never ends is ended with it."""

from __future__ import annotations

import json
import os
import re
import select
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path

from tui.widgets.log.query import Query

CHILD = Path(__file__).with_name("regex_child.py")
PATIENCE_S = 10.0  # for one piece of a log


class TooSlow(Exception):
    """The pattern takes too long on this log."""


class Stopped(Exception):
    """Nobody wants the answer any more."""


class RegexChild:
    """One pattern in one process, which starts with the first request. One caller at a time."""

    def __init__(self, query: Query, stopped: Callable[[], bool] = lambda: False) -> None:
        self._query = query
        self._stopped = stopped
        self._process: subprocess.Popen[bytes] | None = None

    def lines(self, data: bytes, end: int) -> list[int]:
        """Numbers of the lines of `data` up to `end` that fit. Raises TooSlow, Stopped."""
        return array("I", self._ask(b"L", data[:end])).tolist()

    def spans(self, lines: list[str]) -> list[list[tuple[int, int]]]:
        """Where the hits are in each of `lines`. Raises TooSlow, Stopped."""
        answer = json.loads(self._ask(b"S", "\n".join(lines).encode("utf-8", "replace")))
        return [[(begin, end) for begin, end in found] for found in answer]

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _ask(self, kind: bytes, data: bytes) -> bytes:
        try:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(CHILD)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    start_new_session=True,  # a ctrl+c meant for a pager must not end it
                )
                flags = re.IGNORECASE if self._query.folded else 0
                self._exchange(b"F", b"%d %s" % (flags, self._query.text.encode()))
            return self._exchange(kind, data)
        except (TooSlow, Stopped):
            self.close()
            raise
        except OSError:
            self.close()
            raise Stopped from None

    def _exchange(self, kind: bytes, data: bytes) -> bytes:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        deadline = time.monotonic() + PATIENCE_S
        left = memoryview(struct.pack("<cI", kind, len(data)) + data)
        while left:  # the child reads all of it before it answers
            left = left[process.stdin.write(left) or 0 :]
        (length,) = struct.unpack("<I", self._read(process.stdout.fileno(), 4, deadline))
        return self._read(process.stdout.fileno(), length, deadline)

    def _read(self, fd: int, length: int, deadline: float) -> bytes:
        data = b""
        while len(data) < length:
            if self._stopped():
                raise Stopped
            if time.monotonic() > deadline:
                raise TooSlow
            if select.select([fd], [], [], 0.05)[0]:
                piece = os.read(fd, length - len(data))
                if not piece:
                    raise Stopped
                data += piece
        return data
