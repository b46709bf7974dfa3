"""A Slurm that keeps accounts: who may submit, and what sacct still knows when slurmctld has forgotten."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import SchedulerRefused
from remote.agent import slurm as agent_slurm
from remote.slurm import info
from remote.slurm.launcher import SlurmLauncher
from remote.slurm.survey import misfits
from tests.remote.local import Local, sh, until
from tests.slurm import Slurm

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with Local(tmp_path / "work") as it:
        yield it


def forgotten(slurm: Slurm, number: str) -> bool:
    return number not in slurm.run("squeue", "-h", "-r", "-t", "all", "-o", "%i").split()


def test_an_account_one_does_not_have_is_refused(accounted: Slurm, local: Local) -> None:
    launcher = SlurmLauncher(local, accounted.settings(account="nobody"))
    with pytest.raises(SchedulerRefused) as e:
        launcher.start(sh("true"))
    assert "account" in e.value.what.lower() and "`account`" in e.value.try_next
    assert launcher.list() == []


def test_accounts_are_found(accounted: Slurm, local: Local) -> None:
    found = info(local, accounted.settings())
    assert found.accounting and not found.accounts_problem
    assert [a.account for a in found.accounts] == ["bcde", "root"]
    assert "no account 'nobody'" in misfits(found, accounted.settings(account="nobody"))[0]


def test_sacct_explains_what_the_controller_has_forgotten(accounted: Slurm, local: Local) -> None:
    launcher = SlurmLauncher(local, accounted.settings(account="bcde", ask_s=300.0))
    launcher.start(sh("echo up; exec sleep 60", "gone"))
    job = local.workdir / "jobs" / "gone"
    until(lambda: (job / "output.log").exists() and (job / "output.log").read_text() == "up\n")
    until(lambda: "pid" in json.loads((job / "state.json").read_text()))
    state = json.loads((job / "state.json").read_text())
    number = json.loads((job / "slurm.json").read_text())["job"]
    for pid in (state["runner_pid"], state["pid"]):
        os.kill(pid, signal.SIGKILL)
    accounted.wait(lambda: forgotten(accounted, number), 90)
    note = json.loads((job / "slurm.json").read_text())
    note["where"]["ask_s"] = 0.3
    (job / "slurm.json").write_text(json.dumps(note))
    until(lambda: not launcher.state("gone").active)
    ended = launcher.state("gone")
    assert ended.status == "lost" and "FAILED" in ended.reason and "signal 9" in ended.reason

    slurm = agent_slurm.Slurm(accounted.settings().where)
    row = slurm.detail(number)
    assert row and (row["state"], row["signal"], row["name"]) == ("FAILED", 9, "gone")
    assert slurm.named("gone", None, note["submitted_at"]) == number
    assert slurm.named("gone", None, note["submitted_at"] + 3600) is None
