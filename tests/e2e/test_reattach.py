"""`kill -9` the desk while a job runs: the job goes on, and the next start shows all of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.jobdir import SUCCEEDED
from tests.e2e.conftest import Qa

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pilot")]


def test_a_killed_desk_loses_nothing(qa: Qa, desk_env: dict[str, str], tmp_path: Path) -> None:
    assert qa("checklist", "run", "data-loader", "--recipe", "tiny").returncode == 0
    desk = subprocess.Popen(
        [sys.executable, "-m", "tui.cli", "checklist", "run", "first-training", "--recipe", "tiny"],
        env=desk_env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    jobs = tmp_path / "state" / "sandbox" / "host" / "work" / "jobs"
    log = _wait_for(lambda: next((p for p in jobs.glob("train-*/output.log")), None))
    _wait_for(lambda: log.stat().st_size > 0)
    desk.send_signal(signal.SIGKILL)
    desk.wait()
    job_id = log.parent.name
    state = log.parent / "state.json"
    assert json.loads(state.read_text())["status"] == "running"

    done = qa("logs", job_id, "--follow")
    assert done.returncode == 0, done.stderr
    assert json.loads(state.read_text())["status"] == SUCCEEDED
    assert done.stdout.splitlines() == log.read_text("utf-8").splitlines()

    seen = json.loads(qa("jobs", "list", "--offline", "--json").stdout)
    assert [(j["id"], j["status"], j["exit_code"]) for j in seen] == [(job_id, SUCCEEDED, 0)]


def _wait_for(look, timeout: float = 120):  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {timeout} s in vain ({os.getpid()})")
