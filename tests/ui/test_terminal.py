"""The real app in a pseudo-terminal: no byte of hostile text may reach the terminal as a command."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from tests.ui.fakes import FakeDesk
from tests.ui.test_app import _everywhere
from tests.ui.fakes import hostile
from tui.app import run

bad = "\\x1b]52;c;T1dORUQ=\\x07\\x1b]0;OWNED\\x1b\\\\\\x1b[6n\\x9b6n\\x9d0;OWNED\\x9c\\x1b]8;;http://OWNED/\\x07\\x1bP$qOWNED\\x1b\\\\"
desk = FakeDesk(Path(sys.argv[1]), "finished")
desk.mapped = _everywhere(hostile(bad))
desk.says = [bad]
for job in desk.rows:
    with open(desk.job_dir(job).output, "a") as log:
        log.write(("step 1 " + bad + "\\n") * 50)
run(desk)
"""
FORBIDDEN = (b"\x1b]52", b"\x1b]0;", b"\x1b[6n", b"\xc2\x9b", b"\xc2\x9d", b"\x1b]8;", b"\x1bP$")


def test_escapes_do_not_reach_the_terminal_and_q_leaves(tmp_path: Path) -> None:
    pid, fd = pty.fork()
    if pid == 0:
        # given whole: readline puts COLUMNS and LINES where os.environ does not see them
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        env.update(TERM="xterm-256color", TEXTUAL_ANIMATIONS="none")
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        os.chdir(Path(__file__).parents[2])
        os.execve(sys.executable, [sys.executable, "-c", SCRIPT, str(tmp_path / "jobs")], env)
    output = b""
    steps = [(b"Week 4", b"3"), (b"following", b"5"), (b"NO-GO", b"6"), (b"history", b"q")]
    end = time.monotonic() + 60
    status = None
    while status is None and time.monotonic() < end:
        ready, _, _ = select.select([fd], [], [], 0.05)
        if ready:
            with contextlib.suppress(OSError):  # the other end is gone: the app has left
                output += os.read(fd, 1 << 16)
        if steps and steps[0][0] in output:
            os.write(fd, steps.pop(0)[1])
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
    os.close(fd)
    if status is None:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert not steps, f"never saw {steps[0]}: {output[-2000:]!r}"
    assert status == 0
    assert "OWNED" not in output.decode("utf-8", "replace"), "also the payload's own text is gone"
    for bad in FORBIDDEN:
        assert bad not in output, bad
