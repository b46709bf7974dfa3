"""Process start → first frame in a real pseudo-terminal; peer: an empty Textual app."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl

from benchmarks.figures import Figure, median

RUNS = 7
BARE = (
    "from textual.app import App\nfrom textual.widgets import Static\n"
    "class A(App):\n  def compose(self): yield Static('ACCESS QA')\nA().run()"
)


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        env = {
            **os.environ,
            "QA_STATE": tmp,
            "QA_REGISTRY": f"{tmp}/registry.db",
            "TERM": "xterm-256color",
        }
        ours, peer = [], []
        for _ in range(RUNS + 1):
            peer.append(first_text([sys.executable, "-c", BARE], env, b"ACCESS QA"))
            ours.append(first_text([sys.executable, "-m", "tui.cli", "app"], env, b"Pilot"))
        yield Figure(
            "first frame", "s", median(ours[1:]), "bare Textual app", median(peer[1:]), 2.0, RUNS
        )


def first_text(argv: list[str], env: dict[str, str], words: bytes) -> float:
    """Seconds until `words` are on the terminal. The process is ended afterwards."""
    start = time.perf_counter()
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, env)
    ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    seen = b""
    try:
        while words not in seen:
            if time.perf_counter() - start > 20 or not select.select([fd], [], [], 20)[0]:
                raise TimeoutError(f"no frame from {argv}")
            seen += os.read(fd, 65536)
        return time.perf_counter() - start
    finally:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 3
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    os.read(fd, 65536)
                except OSError:
                    os.waitpid(pid, 0)
                    break
        os.close(fd)
