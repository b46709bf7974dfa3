"""Starting and ending the process of the servers, private or detached."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from core import locations
from core.errors import EnvironmentProblem
from remote.agent import procs
from remote.sandbox import records
from remote.sandbox.asking import answer, last_line
from remote.sandbox.files import Layout, disk_errors
from remote.sandbox.options import Options
from remote.sandbox.records import Record

READY_S = 60.0  # usually well under one second; a first start on a crowded machine takes longer
STOP_S = 5.0


def serve_argv(directory: Path, options: Options, *, stay: bool) -> list[str]:
    words = ["--stay"] if stay else []
    argv = [sys.executable, "-m", "remote.sandbox", "serve", "--dir", str(directory)]
    return [*argv, *options.argv(), *words]


def spawn(
    layout: Layout, options: Options, *, stay: bool
) -> tuple[subprocess.Popen[bytes], Record]:
    """Start the servers and wait until they listen. Raises what they raise; EnvironmentProblem."""
    with disk_errors(layout.log), layout.log.open("ab") as log:
        process = subprocess.Popen(
            serve_argv(layout.root, options, stay=stay),
            stdin=subprocess.DEVNULL if stay else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=locations.project_root(),
            bufsize=0,
            start_new_session=True,  # Ctrl-C in the terminal is meant for the app alone
        )
    assert process.stdout
    try:
        record = Record.from_dict(answer(_first_line(layout, process.stdout)))
    except BaseException:
        end(process)
        raise
    process.stdout.close()
    return process, record


def end(process: subprocess.Popen[bytes]) -> None:
    """Close its lifeline and wait; then ask; then insist."""
    if process.stdin:
        with suppress(BrokenPipeError):
            process.stdin.close()
    for insist in (None, signal.SIGTERM, signal.SIGKILL):
        if insist:
            process.send_signal(insist)
        try:
            process.wait(STOP_S)
            break
        except subprocess.TimeoutExpired:
            continue
    if process.stdout:
        process.stdout.close()


def end_detached(layout: Layout, record: Record) -> None:
    """Ask, then insist; only while it is the very process of the record."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if record.alive:
            procs.send_signal(record.pid, number)
        deadline = time.monotonic() + STOP_S
        while record.alive:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            break
    records.remove(layout, record)


def _first_line(layout: Layout, stdout: IO[bytes]) -> bytes:
    heard = b""
    deadline = time.monotonic() + READY_S
    poll = select.poll()
    poll.register(stdout.fileno(), select.POLLIN)
    while not heard.endswith(b"\n"):
        ready = poll.poll(max(deadline - time.monotonic(), 0) * 1000)
        data = os.read(stdout.fileno(), 65536) if ready else b""
        if not data:
            raise EnvironmentProblem(
                "the sandbox ended unexpectedly" if ready else "the sandbox does not answer",
                why=last_line(layout),
                try_next=f"see {layout.log}",
            )
        heard += data
    return heard
