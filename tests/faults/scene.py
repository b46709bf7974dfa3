"""What a fault test needs: a job that can be counted, a laptop that watches it, and the two questions
asked of every fault: is the operator told what, why and what to try, and is nothing lost?
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from core import locations
from core.errors import QAError
from core.jobdir import JobDir, read_events
from remote.agent import procs
from remote.hosts import Host
from remote.launch import DirectLauncher
from remote.mirror import Mirror
from remote.route import Route
from tests.remote.local import py, until

E = TypeVar("E", bound=QAError)

JOB = "job-1"
LINES, GATES = 2000, 4
LINE_BYTES = 15
NOTICED_S = 8.0  # the route's own deadline is 4 s; the rest is for a crowded machine

# Before each quarter it waits for a gate, so that a test decides how long it runs.
COUNTER = f"""
import json, os, sys, time
events = open("events.jsonl", "ab", buffering=0)
for n in range({LINES}):
    while n % {LINES // GATES} == 0 and not os.path.exists("gate%d" % (n // {LINES // GATES})):
        time.sleep(0.01)
    print(f"line {{n:06d}} ü", flush=True)
    if n % 10 == 0:
        events.write(json.dumps({{"t": n, "kind": "metric", "step": n}}).encode() + b"\\n")
        time.sleep(0.005)
sys.exit(3)
"""


def told(call: Callable[[], object], kind: type[E]) -> E:
    """The error that `call` raises, complete: of that kind, with what, why and what to try."""
    with pytest.raises(QAError) as caught:
        call()
    return complete(caught.value, kind)


def complete(error: QAError | None, kind: type[E]) -> E:
    assert isinstance(error, kind), repr(error)
    assert error.what and error.why and error.try_next, error.as_dict()
    assert not any(ord(c) < 32 for line in error.lines() for c in line), "escapes in an error"
    return error


class Counting:
    """The counting job on a host, seen from the host's disk."""

    def __init__(self, host: Host, job_id: str = JOB) -> None:
        self.path = Path(host.workdir) / "jobs" / job_id

    def open(self, *gates: int) -> None:
        """All of them if none is named."""
        until(self.path.exists)
        for n in gates or range(GATES):
            (self.path / f"gate{n}").touch()

    def written(self, quarter: int) -> None:
        """Wait until it has printed all of that quarter."""
        size = (quarter + 1) * LINES // GATES * LINE_BYTES
        log = self.path / "output.log"
        until(lambda: log.exists() and log.stat().st_size >= size, 60)


class Laptop:
    """One operator's machine: a route, and a mirror of the job."""

    def __init__(self, host: Host, into: Path, job_id: str = JOB) -> None:
        self.route = Route(host)
        self.into = into
        self.mirror = Mirror(self.route.ensure, job_id, into)
        self.losses: list[QAError | None] = []
        self.route.on_lost.append(lambda: self.losses.append(self.route.status().error))

    def __enter__(self) -> Laptop:
        self.route.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.mirror.stop()
        self.route.close()

    @property
    def launcher(self) -> DirectLauncher:
        return DirectLauncher(self.route)

    def begin(self) -> Laptop:
        """Connect, start the job, and watch it."""
        self.route.open()
        self.launcher.start(py(COUNTER))
        return self.watch()

    def watch(self) -> Laptop:
        self.mirror.start()
        return self

    def has(self, quarter: int) -> None:
        """Wait until all of that quarter is here."""
        size = (quarter + 1) * LINES // GATES * LINE_BYTES
        log = self.into / "output.log"
        until(lambda: log.exists() and log.stat().st_size >= size, 60)

    def lost(self) -> QAError | None:
        """Wait until the route has said that it is down; with which error."""
        until(lambda: self.losses, NOTICED_S)
        return self.losses[-1]

    def whole(self, job: Counting) -> None:
        """The job has ended and every line is here once, as on the host."""
        assert self.mirror.done.wait(60), "the mirror did not come to its end"
        assert self.mirror.error is None, self.mirror.error
        all_lines(self.into, job.path)


def all_lines(into: Path, theirs: Path) -> None:
    mine = JobDir(into)
    lines = mine.output.read_text("utf-8").splitlines()
    assert lines == [f"line {n:06d} ü" for n in range(LINES)]
    assert mine.output.read_bytes() == (theirs / "output.log").read_bytes()
    events, _ = read_events(mine.events)
    assert [e["step"] for e in events] == list(range(0, LINES, 10))
    state = mine.state()
    assert state is not None and (state.status, state.exit_code) == ("failed", 3)


class Sleeper:
    """A laptop in a process of its own, which can be stopped as when its lid is closed."""

    def __init__(self, host: Host, into: Path, job_id: str = JOB) -> None:
        argv = [sys.executable, "-c", _SLEEPER, repr(host), str(into), job_id]
        self.process = subprocess.Popen(
            argv, cwd=locations.project_root(), stdout=subprocess.PIPE, text=True
        )

    def close_lid(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def open_lid(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def result(self) -> list[str]:
        """What it said at its end: the mirror's error, its cuts, its peak memory in bytes."""
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return out.split()

    def __enter__(self) -> Sleeper:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.open_lid()
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


_SLEEPER = """
import resource, sys
from pathlib import Path, PosixPath
from remote.hosts import *
from remote.mirror import Mirror
from remote.route import Route
host, into, job = eval(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
route = Route(host)
route.open()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mirror = Mirror(route.ensure, job, into).start()
mirror.done.wait()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(type(mirror.error).__name__, mirror.cuts, grown * 1024)
"""


class Stranger:
    """Somebody else's process under a process id of choice. Root on Linux only.

    It stays a child of ours, and what was orphaned meanwhile becomes one: a number is only free for it
    once the dead who had it before have been collected, which nobody may do in a container.
    """

    def __enter__(self) -> Stranger:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._process: subprocess.Popen[str] | None = None
        return self

    def move_in(self, pid: int) -> bool:
        """Under that number, whose last owner is dead; False if the kernel does not let us."""
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CLONE, str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.pid = pid
        return self._process.stdout.readline().strip() == str(pid)

    @property
    def lives(self) -> bool:
        return procs.start_mark(self.pid) is not None

    def __exit__(self, *_: object) -> None:
        _prctl(PR_SET_CHILD_SUBREAPER, 0)
        if self._process:
            self._process.communicate("")


PR_SET_CHILD_SUBREAPER = 36

# clone3 with a process id of choice; the child sleeps until its maker ends.
_CLONE = """
import ctypes, os, signal, sys
names = "flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup"
class Arguments(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in names.split()]
wanted = (ctypes.c_int * 1)(int(sys.argv[1]))
given = Arguments(
    exit_signal=signal.SIGCHLD, set_tid=ctypes.addressof(wanted), set_tid_size=1
)
SYS_clone3 = 435
pid = ctypes.PyDLL(None).syscall(SYS_clone3, ctypes.byref(given), ctypes.sizeof(given))
if pid == 0:
    os.close(0)
    os.close(1)
    os.execvp("sleep", ["sleep", "600"])
print(pid, flush=True)
sys.stdin.read()
if pid > 0:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value)


def end_job(job: Path, state: Any) -> None:
    """The runner and the job die without a word."""
    for pid in (state.runner_pid, state.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
