"""Waiting for the accelerator: in order, over cuts, stoppable, never two at once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from core.errors import AcceleratorBusy
from core.jobdir import JobSpec, JobState
from remote.agent import locks, waiting
from remote.launch import DirectLauncher
from tests.remote.local import Local, sh, until


def gpu(job_id: str, script: str = "") -> JobSpec:
    """Notes its turn in `order`, and runs until its gate is there."""
    wait = f"while [ ! -e ../../gate-{job_id} ]; do sleep 0.02; done"
    return sh(f"echo {job_id} >> ../../order; {script or wait}", job_id, accelerator="gpu0")


def let_go(local: Local, job_id: str) -> None:
    (local.workdir / f"gate-{job_id}").touch()


def is_(local: Local, job_id: str, status: str) -> None:
    until(lambda: DirectLauncher(local).state(job_id).status == status)


def order(local: Local) -> list[str]:
    return (local.workdir / "order").read_text().split()


def test_jobs_run_one_after_the_other_in_the_order_of_their_submission(local: Local) -> None:
    launcher = DirectLauncher(local)
    assert launcher.start(gpu("job-z"), queue=True).status == "running"  # free: it does not wait
    states = [launcher.start(gpu(name), queue=True) for name in ("job-y", "job-a", "job-m")]
    assert [(s.status, s.waiting_for, s.position) for s in states] == [
        ("queued", "job-z", 1),
        ("queued", "job-z", 2),
        ("queued", "job-z", 3),
    ]
    assert all(s.active and s.queued_at and s.started_at is None for s in states)
    local.cut()  # nobody needs to be there for the next to start
    for running, then in [("job-z", "job-y"), ("job-y", "job-a"), ("job-a", "job-m")]:
        let_go(local, running)
        is_(local, then, "running")
        assert DirectLauncher(local).state(running).status == "succeeded"
    let_go(local, "job-m")
    is_(local, "job-m", "succeeded")
    assert order(local) == ["job-z", "job-y", "job-a", "job-m"]


def test_position_and_holder_follow_what_happens(local: Local) -> None:
    launcher = DirectLauncher(local)
    for name in ("job-1", "job-2", "job-3"):
        launcher.start(gpu(name), queue=True)
    let_go(local, "job-1")
    is_(local, "job-2", "running")
    third = launcher.state("job-3")
    assert (third.status, third.position, third.waiting_for) == ("queued", 1, "job-2")
    assert dict(launcher.list())["job-3"] == third


def test_who_does_not_wait_does_not_jump_the_line(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(gpu("job-1"))
    launcher.start(gpu("job-2"), queue=True)
    with pytest.raises(AcceleratorBusy) as busy:
        launcher.start(gpu("job-3"))
    assert busy.value.holder == "job-1"
    assert [name for name, _ in launcher.list()] == ["job-1", "job-2"]


@pytest.mark.parametrize("kill", [False, True])
def test_a_waiting_job_can_be_stopped(local: Local, kill: bool) -> None:
    launcher = DirectLauncher(local)
    for name in ("job-1", "job-2", "job-3"):
        launcher.start(gpu(name), queue=True)
    launcher.stop("job-2", kill=kill)
    is_(local, "job-2", "stopped")
    state = launcher.state("job-2")
    assert "did not run" in state.reason and state.started_at is None and state.exit_code is None
    assert launcher.state("job-3").position == 1
    let_go(local, "job-1")
    is_(local, "job-3", "running")
    assert order(local) == ["job-1", "job-3"]


def test_a_killed_waiting_runner_gives_up_its_place(local: Local) -> None:
    launcher = DirectLauncher(local)
    for name in ("job-1", "job-2", "job-3"):
        launcher.start(gpu(name), queue=True)
    pid = launcher.state("job-2").runner_pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    is_(local, "job-2", "lost")
    assert "did not run" in launcher.state("job-2").reason
    let_go(local, "job-1")
    is_(local, "job-3", "running")


def test_an_orphan_keeps_the_line_waiting(local: Local) -> None:
    launcher = DirectLauncher(local)
    first = launcher.start(gpu("job-1"))
    launcher.start(gpu("job-2"), queue=True)
    assert first.runner_pid
    os.kill(first.runner_pid, signal.SIGKILL)
    is_(local, "job-1", "orphan")
    assert launcher.state("job-2").waiting_for == "job-1"
    let_go(local, "job-1")
    is_(local, "job-2", "running")
    assert launcher.state("job-1").status == "lost"


def test_start_again_says_how_the_waiting_job_stands(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(gpu("job-1"))
    first = launcher.start(gpu("job-2"), queue=True)
    assert isinstance(first, JobState) and launcher.start(gpu("job-2"), queue=True) == first
    let_go(local, "job-1")
    let_go(local, "job-2")
    is_(local, "job-2", "succeeded")
    assert order(local) == ["job-1", "job-2"]


def test_a_command_that_cannot_start_lets_the_next_one_in(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(gpu("job-1"))
    spec = JobSpec("job-2", "test", ["/no/such/python"], accelerator="gpu0")
    assert launcher.start(spec, queue=True).status == "queued"
    launcher.start(gpu("job-3"), queue=True)
    let_go(local, "job-1")
    is_(local, "job-3", "running")
    assert "cannot start" in launcher.state("job-2").reason


def test_places_of_the_dead_are_passed_over_and_tidied(tmp_path: Path) -> None:
    folder = str(tmp_path)
    pid = os.fork()
    if pid == 0:
        waiting.join(folder, "gpu0", "dead")
        os._exit(0)
    os.waitpid(pid, 0)
    first, second = (waiting.join(folder, "gpu0", name) for name in ("a", "b"))
    assert waiting.line(folder, "gpu0") == ["a", "b"]
    assert first.is_first() and not second.is_first()
    assert not any("dead" in p.name for p in (tmp_path / "gpu0.queue").iterdir())
    first.leave()
    assert second.is_first() and waiting.line(folder, "gpu0") == ["b"]
    assert waiting.line(folder, "gpu1") == [] and locks.holder(folder, "gpu0") == ""
