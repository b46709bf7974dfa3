"""All processes of one job: below the runner, in the job's group, or carrying the job's mark."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable

from remote.agent import jobs, procs

LEFTOVER_GRACE_S = 3.0


class Family:
    """The job's processes as its living runner sees them.

    first: the job's first process, leader of its group, until it is collected.  apart: children of
    the runner that are not the job's.
    """

    def __init__(self, job: str) -> None:
        self.mark = jobs.MARK + os.path.abspath(job)
        self.first: int | None = None
        self.apart: set[int] = set()

    def members(self) -> list[int]:
        """Living ones. Children that left the group or the session are found too: orphans become
        the runner's children, and what slipped away even so carries the mark."""
        found = set(procs.descendants(os.getpid())) | set(procs.marked(self.mark))
        if self.first is not None and procs.start_mark(self.first) is not None:
            found.add(self.first)
        return sorted(found - self.apart - {os.getpid()})

    def send(self, number: int) -> None:
        """To the group (only while its leader is not collected: later the number may be another's)
        and to each member."""
        if self.first is not None:
            procs.send_signal(self.first, number, group=True)
        for pid in self.members():
            procs.send_signal(pid, number)

    def end(self, doze: Callable[[float], None]) -> None:
        """End what the job left behind: it would keep the accelerator. doze: waits and collects."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + LEFTOVER_GRACE_S
            doze(0.0)
            if self.members():
                self.send(number)
            while self.members() and time.monotonic() < deadline:
                doze(0.05)


def end_orphan(job: str, state: dict[str, Any], grace: float) -> None:
    """Stop a job whose runner is gone: TERM, grace, KILL to all of it, from the background."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        deadline = time.monotonic() + grace
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in jobs.living(job, state):
                procs.send_signal(pid, number)
            while jobs.living(job, state) and time.monotonic() < deadline:
                time.sleep(0.1)
    finally:
        os._exit(0)
