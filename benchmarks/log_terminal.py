"""The log view in a real pseudo-terminal, driven by keys, with a heartbeat that notices stalls."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import struct
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from typing import Any

BEAT_S = 0.02


class Terminal:
    """A program in a pseudo-terminal of 120x40; everything it writes is read."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.seen = b""
        self.began = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm-256color", **(env or {})})
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def press(self, keys: bytes) -> None:
        self.seen = b""
        os.write(self.fd, keys)

    def drain(self, seconds: float) -> None:
        """Read what comes for a while."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def until(self, words: bytes, limit: float = 60.0) -> float:
        """Seconds until `words` are written; raises TimeoutError."""
        began = time.perf_counter()
        while words not in self.seen:
            if time.perf_counter() - began > limit:
                raise TimeoutError(f"never saw {words!r} in {self.seen[-500:]!r}")
            self._read(0.05)
        return time.perf_counter() - began

    def _read(self, seconds: float) -> None:
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                self.seen = (self.seen + os.read(self.fd, 1 << 16))[-1_000_000:]
            except OSError:
                return  # it has ended

    def leave(self, keys: bytes) -> None:
        """Press `keys` and wait for the end."""
        os.write(self.fd, keys)
        end = time.monotonic() + 20
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            self._read(0.02)
            if time.monotonic() > end:
                os.kill(self.pid, 9)
                os.waitpid(self.pid, 0)
                break
        os.close(self.fd)


def app_argv(log: Path, report: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.log_terminal", str(log), str(report)]


def main(log: Path, report: Path) -> None:
    """The app in the terminal: writes what it measured when it is left with ctrl+q."""
    from textual.app import App, ComposeResult
    from textual.geometry import Region
    from textual.strip import Strip

    from tui.widgets.log.lines import LogLines
    from tui.widgets.log.view import LogView

    facts: dict[str, Any] = {"late": [], "redraw_cpu": []}

    class Timed(LogLines):
        """Notes what each redraw costs."""

        def render_lines(self, crop: Region) -> list[Strip]:
            began = time.thread_time()
            try:
                return super().render_lines(crop)
            finally:
                facts["redraw_cpu"].append(time.thread_time() - began)

    class Bench(App[None]):
        def compose(self) -> ComposeResult:
            view = LogView()
            view.body.__class__ = Timed
            yield view

        def on_mount(self) -> None:
            sys.setswitchinterval(0.001)  # as the whole app does
            self.view = self.query_one(LogView)
            self.view.focus()
            self.began = time.perf_counter()
            self.view.open_path(log)
            self.call_after_refresh(self.note, "shown")
            self.beating = asyncio.create_task(self.beat())

        def note(self, name: str) -> None:
            facts.setdefault(name, time.perf_counter() - self.began)

        async def beat(self) -> None:
            last = time.perf_counter()
            while True:
                await asyncio.sleep(BEAT_S)
                now = time.perf_counter()
                facts["late"].append(max(0.0, now - last - BEAT_S))
                last = now
                if self.view.file is not None and self.view.file.complete:
                    self.note("counted")

        def on_unmount(self) -> None:
            report.write_text(json.dumps(facts))

    Bench().run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
