"""The sandbox that stays: `qa sandbox up`, and what other processes do with it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import EnvironmentProblem, UsageError
from remote.sandbox import records
from remote.sandbox.asking import ask
from remote.sandbox.files import Layout, disk_errors
from remote.sandbox.options import Options
from remote.sandbox.records import Record
from remote.sandbox.servers_process import end_detached, spawn


def up(layout: Layout, options: Options) -> tuple[Record, bool]:
    """The detached servers, and whether they were started just now.

    Raises UsageError if they run already with other options; MissingComponent, PortTaken, DiskFull,
    EnvironmentProblem.
    """
    layout.make_directories()
    with _one_at_a_time(layout):
        if record := records.attachable(layout, options):
            return record, False
        refuse_a_second(layout)
        return spawn(layout, options, stay=True)[1], True


def refuse_a_second(layout: Layout) -> None:
    """Raises UsageError if detached servers run."""
    if any(record.stays for record in records.living(layout)):
        raise UsageError(
            "the sandbox is up already",
            why="one that stays is enough, and it may have other options",
            try_next="qa sandbox status shows it; qa sandbox down ends it",
        )


def down(layout: Layout) -> Record | None:
    """End the detached servers; which these were. Jobs go on, private servers too."""
    if not layout.run.is_dir():
        return None
    with _one_at_a_time(layout):
        for record in records.living(layout):
            if record.stays:
                end_detached(layout, record)
                return record
    return None


def states(layout: Layout) -> list[dict[str, Any]]:
    """Every server over the directory: its record, and its faults."""
    found = []
    for record in records.living(layout):
        try:
            faults = ask(layout, record, "state")["faults"]
        except EnvironmentProblem as exc:
            faults = {"unknown": exc.what}
        found.append({**record.as_dict(), "faults": faults})
    return found


def tell_all(layout: Layout, line: str) -> dict[str, Any]:
    """A fault for every server over the directory, private ones of an open app too."""
    answer = None
    for record in records.living(layout):
        answer = ask(layout, record, line)
    if answer is None:
        raise EnvironmentProblem(
            "no sandbox is running", try_next="qa sandbox up, or qa app --host sandbox"
        )
    return answer


@contextmanager
def _one_at_a_time(layout: Layout) -> Iterator[None]:
    with disk_errors(layout.run):
        fd = os.open(layout.run / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
