"""Both pairs of servers a route is tried on: the embedded sandbox and real OpenSSH."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import QAError
from remote.agent import jobs, locks
from remote.route import Route
from remote.sandbox import Sandbox
from tests.openssh import OpenSSHPair
from tests.remote.local import Local


def end_jobs(workdir: Path) -> None:
    """No test leaves a process behind."""
    for path in workdir.glob("jobs/*/state.json"):
        state = json.loads(path.read_text())
        for pid in jobs.living(str(path.parent), state):
            os.kill(pid, signal.SIGKILL)
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


def refused(call: Any) -> QAError:
    with pytest.raises(QAError) as e:
        call()
    return e.value
