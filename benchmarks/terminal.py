"""A program in a real pseudo-terminal, driven by keys: what it paints, and how soon after a key."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import Self

KEPT = 1_000_000  # bytes of the output that are looked through


class Terminal:
    """A pseudo-terminal of 120x40 by default; everything the program writes is read.

    Leaving the `with` ends the program, whatever it is doing.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (120, 40),
    ) -> None:
        self.seen = b""
        self.ended = False
        # given whole: readline puts COLUMNS and LINES where os.environ does not see them
        whole = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        whole |= {"TERM": "xterm-256color", **(env or {})}
        shape = struct.pack("HHHH", size[1], size[0], 0, 0)
        self.began = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                ioctl(0, termios.TIOCSWINSZ, shape)
                os.execvpe(argv[0], list(argv), whole)
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            self._wait(3.0)

    def press(self, keys: bytes) -> None:
        """What was written before is forgotten."""
        self.seen = b""
        os.write(self.fd, keys)

    def drain(self, seconds: float) -> None:
        """Read what comes for a while."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0 and not self.ended:
            self._read(left)

    def until(self, words: bytes | re.Pattern[bytes], limit: float = 20.0) -> float:
        """Seconds until `words` are written; raises TimeoutError."""
        began = time.perf_counter()
        while not self.sees(words):
            if self.ended or time.perf_counter() - began > limit:
                raise TimeoutError(f"never saw {words!r} in {self.seen[-2000:]!r}")
            self._read(0.05)
        return time.perf_counter() - began

    @property
    def since(self) -> float:
        """Seconds since the program was started."""
        return time.perf_counter() - self.began

    def sees(self, words: bytes | re.Pattern[bytes]) -> bool:
        if isinstance(words, bytes):
            return words in self.seen
        return words.search(self.seen) is not None

    def paint(self, keys: bytes, words: bytes | re.Pattern[bytes], *, rest: float = 0.03) -> float:
        """Seconds from a key to `words` on the terminal; then a short rest, as a hand takes one."""
        self.press(keys)
        took = self.until(words)
        self.drain(rest)
        return took

    def leave(self, keys: bytes = b"\x11", limit: float = 20.0, sure: bytes = b"y") -> None:
        """Press `keys` and wait for the end; `sure` is for the app that asks whether we mean it."""
        os.write(self.fd, keys)
        self.drain(1.5)
        if not self.ended:
            os.write(self.fd, sure)
        self._wait(limit)

    def _read(self, seconds: float) -> None:
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                got = os.read(self.fd, 1 << 16)
            except OSError:
                got = b""
            self.ended = not got
            self.seen = (self.seen + got)[-KEPT:]

    def _wait(self, limit: float) -> None:
        """For the end; the output goes on being read, or the program would wait for us."""
        end = time.monotonic() + limit
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            self.drain(0.02) if not self.ended else time.sleep(0.02)
        self.ended = True
        os.close(self.fd)


def of_its_own(folder: Path) -> dict[str, str]:
    """Environment of an app that shares nothing with the operator's: state, registry, settings."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    (folder / "state" / "first-steps-seen").touch()
    return {
        "QA_STATE": str(folder / "state"),
        "QA_REGISTRY": str(folder / "registry.db"),
        "QA_USER_CONFIG": str(folder / "config"),
        "QA_OPERATOR": "bench",
        "TEXTUAL_ANIMATIONS": "none",
    }


def qa(*args: str) -> list[str]:
    return [sys.executable, "-m", "tui.cli", *args]


def rank(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
