"""Both pairs of servers a route is tried on: the embedded sandbox and real OpenSSH."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import QAError
from remote.agent import jobs, locks, procs
from remote.route import Route
from remote.sandbox import Sandbox
from tests.conftest import require
from tests.openssh import OpenSSHPair
from tests.remote.local import Local
from tests.slurm import accounted, cluster, slurm  # noqa: F401  fixtures


def end_jobs(workdir: Path) -> None:
    """No test leaves a process behind: first the runners, or the next in line would begin.

    Told by start marks alone: the sandbox's host has a boot id of its own.
    """
    found = [(p.parent, json.loads(p.read_text())) for p in workdir.glob("jobs/*/state.json")]
    for _, state in found:
        pid, mark = state.get("runner_pid"), state.get("runner_pid_start")
        if pid != os.getpid() and mark and procs.start_mark(pid) == mark:
            procs.send_signal(pid, signal.SIGKILL)
    for job, _ in found:
        for pid in procs.marked(f"{jobs.MARK}{job}"):
            procs.send_signal(pid, signal.SIGKILL)
    shutil.rmtree(locks.locks_dir(str(workdir)), ignore_errors=True)


@pytest.fixture(params=["sandbox", "openssh"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A running jump host and host, with the means to make them fail."""
    it = (Sandbox if request.param == "sandbox" else OpenSSHPair)(tmp_path / request.param)
    with it:
        yield it
        it.thaw()
        end_jobs(Path(it.host.workdir))


@pytest.fixture
def route(pair: Any) -> Iterator[Route]:
    with Route(pair.host) as it:
        yield it


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """The agent without SSH."""
    monkeypatch.setenv("QA_LOCKS", str(tmp_path / "locks"))
    workdir = tmp_path / "work dir"
    with Local(workdir) as it:
        yield it
    end_jobs(workdir)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    place = tmp_path / "small"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(place)]
    mounted = subprocess.run(argv, capture_output=True).returncode == 0
    require(mounted, "the right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def refused(call: Any) -> QAError:
    with pytest.raises(QAError) as e:
        call()
    return e.value
