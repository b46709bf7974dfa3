"""The real app in a real terminal: first frame, connection, keys, resize, leaving."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require

pytestmark = [pytest.mark.tmux, pytest.mark.xdist_group("pilot")]


class Terminal:
    def __init__(self, socket: str) -> None:
        self._tmux = ["tmux", "-S", socket, "-f", "/dev/null"]

    def run(self, *args: str) -> str:
        return subprocess.run(
            [*self._tmux, *args], capture_output=True, text=True, timeout=30, check=True
        ).stdout

    def screen(self) -> str:
        return self.run("capture-pane", "-p")

    def wait(self, *texts: str, timeout: float = 60) -> str:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            screen = self.screen()
            if all(t in screen for t in texts):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"never saw {texts}:\n{self.screen()}")

    def wait_gone(self, text: str, timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while text in self.screen():
            assert time.monotonic() < deadline, self.screen()
            time.sleep(0.1)

    def keys(self, *keys: str) -> None:
        self.run("send-keys", *keys)


@pytest.fixture
def terminal(tmp_path: Path, desk_env: dict[str, str]) -> Iterator[Terminal]:
    require(shutil.which("tmux"), "tmux")
    term = Terminal(str(tmp_path / "tmux"))
    env = [f"{k}={v}" for k, v in desk_env.items() if k.startswith("QA_")]
    # a snapshot plugin sets COLUMNS and LINES, which would overrule the terminal's own size
    command = [
        "env",
        "-u",
        "COLUMNS",
        "-u",
        "LINES",
        *env,
        sys.executable,
        "-m",
        "tui.cli",
        "app",
        "--host",
        "sandbox",
    ]
    term.run("new-session", "-d", "-x", "120", "-y", "40", *command)
    yield term
    subprocess.run([*term._tmux, "kill-server"], capture_output=True, check=False)


def test_the_app_connects_runs_an_item_and_leaves(terminal: Terminal) -> None:
    terminal.wait("Week 1", "sandbox", "0 of 16 done")
    terminal.wait("ms ━")  # both hops answer
    terminal.wait("First steps")  # of an empty registry
    terminal.keys("Escape")
    terminal.wait_gone("First steps")
    terminal.keys("Enter")
    terminal.wait("1 of 16 done", timeout=90)
    terminal.keys("6")
    terminal.wait("Versions")
    terminal.run("resize-window", "-x", "80", "-y", "24")
    terminal.keys("?")
    terminal.wait("esc closes")
    terminal.keys("Escape")
    terminal.wait_gone("esc closes")  # ESC and a key sent together would be alt+key
    terminal.keys("q")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            terminal.screen()
        except subprocess.CalledProcessError:
            return  # the only window closed with the app
        time.sleep(0.1)
    raise AssertionError(terminal.screen())
