"""The host fails under a running job: its disk, its power, its clock, its process ids."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import DiskFull, QAError
from core.jobdir import JobDir
from remote.agent import procs
from remote.launch import DirectLauncher
from remote.preflight import preflight
from remote.route import Route
from remote.sandbox import Sandbox
from remote.sync import push
from tests.conftest import require
from tests.faults.scene import (
    COUNTER,
    JOB,
    LINES,
    Counting,
    Laptop,
    Stranger,
    all_lines,
    end_job,
    told,
)
from tests.netns import NetnsBed
from tests.remote.local import ended, py, sh, until

MB = 1 << 20


def root_on_linux() -> bool:
    return procs.LINUX and os.geteuid() == 0


def test_the_disk_is_full_for_a_while(sandbox_with: Callable[..., Sandbox], tmp_path: Path) -> None:
    """New work is refused with a reason, the running job and the link live on, no line is lost."""
    require(root_on_linux(), "root (to mount a small disk)")
    sandbox = sandbox_with(disk_bytes=16 * MB)
    job, big = Counting(sandbox.host), tmp_path / "big"
    big.write_bytes(os.urandom(2 * MB))
    with Laptop(sandbox.host, tmp_path / "mirror").begin() as laptop:
        job.open(0)
        laptop.has(0)
        sandbox.disk_full()
        told(lambda: laptop.launcher.start(sh("true", "job-2")), DiskFull)
        told(lambda: push(laptop.route, [(big, "up/big")]), DiskFull)
        assert laptop.route.alive
        assert laptop.launcher.state(JOB).active
        sandbox.disk_free()
        job.open()
        laptop.whole(job)
        assert laptop.mirror.cuts == 0
        push(laptop.route, [(big, "up/big")])
        assert (Path(sandbox.host.workdir) / "up/big").read_bytes() == big.read_bytes()
        laptop.launcher.start(sh("true", "job-2"))
        until(lambda: ended(laptop.launcher.state("job-2")))
        assert laptop.launcher.state("job-2").status == "succeeded"


def test_a_job_that_ends_on_a_full_disk(
    sandbox_with: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """How it ended is on record, at the host and here, though there was no room to write it."""
    require(root_on_linux(), "root (to mount a small disk)")
    sandbox = sandbox_with(disk_bytes=16 * MB)
    work = Path(sandbox.host.workdir)
    script = "echo begun; until [ -e go ]; do sleep 0.05; done; exit 5"
    with Laptop(sandbox.host, tmp_path / "mirror") as laptop:
        laptop.launcher.start(sh(script))
        laptop.watch()
        job = work / "jobs" / JOB
        until(lambda: (tmp_path / "mirror" / "output.log").exists())
        (job / "go").symlink_to("/")  # needs no block
        (job / "go").unlink()
        sandbox.disk_full()
        (job / "go").symlink_to("/")
        until(lambda: ended(laptop.launcher.state(JOB)), 30)
        state = laptop.launcher.state(JOB)
        assert (state.status, state.exit_code) == ("failed", 5)
        assert laptop.mirror.done.wait(60) and laptop.mirror.error is None
        assert (tmp_path / "mirror" / "output.log").read_text() == "begun\n"
        assert laptop.mirror.state() == state


def test_the_host_is_rebooted(sandbox: Sandbox, tmp_path: Path) -> None:
    """Told as such, with what it had printed; the accelerator is free for the next."""
    require(procs.LINUX, "/proc of Linux")
    job, into = Counting(sandbox.host), tmp_path / "mirror"
    with Laptop(sandbox.host, into) as laptop:
        laptop.launcher.start(replace(py(COUNTER), accelerator="gpu0"))
        laptop.watch()
        job.open(0)
        laptop.has(0)
        sandbox.reboot(down_s=0.3)
        assert laptop.mirror.done.wait(60) and laptop.mirror.error is None
        state = laptop.mirror.state()
        assert state is not None and state.status == "lost"
        assert "reboot" in state.reason or "restart" in state.reason, state.reason
        lines = (into / "output.log").read_text().splitlines()
        assert lines == [f"line {n:06d} ü" for n in range(LINES // 4)]
        laptop.route.ensure()
        laptop.launcher.start(replace(sh("true", "job-2"), accelerator="gpu0"))
        until(lambda: ended(laptop.launcher.state("job-2")))
        assert laptop.launcher.state("job-2").status == "succeeded"


def test_a_process_id_that_came_back_is_a_stranger(bed: NetnsBed, tmp_path: Path) -> None:
    """Really under the number of the dead runner: never taken for it, never signalled."""
    require(root_on_linux(), "root (to choose a process id)")
    job, into = Counting(bed.host), tmp_path / "mirror"
    with Stranger() as stranger, Laptop(bed.host, into).begin() as laptop:
        job.open(0)
        laptop.has(0)
        state = JobDir(job.path).state()
        assert state is not None and state.runner_pid
        end_job(job.path, state)
        until(lambda: procs.start_mark(state.runner_pid) is None)
        require(stranger.move_in(state.runner_pid), "a process id of choice (clone3)")
        until(lambda: laptop.launcher.state(JOB).status == "lost")
        with suppress(QAError):  # there is nothing to stop, and it may say so
            laptop.launcher.stop(JOB)
            laptop.launcher.stop(JOB, kill=True)
        assert laptop.mirror.done.wait(60) and laptop.mirror.error is None
        assert stranger.lives
        lines = (into / "output.log").read_text().splitlines()
        assert lines == [f"line {n:06d} ü" for n in range(LINES // 4)]


def test_two_laptops_and_one_job(bed: NetnsBed, tmp_path: Path) -> None:
    """One loses its link, the other stops the job: both have the same lines and the same end."""
    job = Counting(bed.host)
    one, two = (Laptop(bed.host, tmp_path / name) for name in ("one", "two"))
    with one.begin(), two:
        two.watch()
        job.open(0)
        one.has(0)
        two.has(0)
        bed.cut("jump")
        job.open(1)
        one.has(1)
        two.has(1)
        two.launcher.stop(JOB)
        for laptop in (one, two):
            assert laptop.mirror.done.wait(60) and laptop.mirror.error is None
            lines = (laptop.into / "output.log").read_text().splitlines()
            assert lines == [f"line {n:06d} ü" for n in range(len(lines))]
            assert len(lines) == LINES // 2
        assert one.mirror.state() == two.mirror.state()
        state = one.mirror.state()
        assert state is not None and state.status == "stopped"


def test_two_laptops_start_the_same_job_at_the_same_moment(bed: NetnsBed) -> None:
    started: list[str] = []
    with Route(bed.host) as one, Route(bed.host) as two:
        launchers = [DirectLauncher(one), DirectLauncher(two)]
        for launcher in launchers:
            launcher.list()
        spec = py("open('started', 'a').write('x'); import time; time.sleep(600)")
        threads = [
            threading.Thread(target=lambda it=it: started.append(it.start(spec).status))  # type: ignore[misc]
            for it in launchers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        mark = Counting(bed.host).path / "started"
        until(mark.exists)
        assert len(started) == 2
        assert mark.read_text() == "x"
        launchers[0].stop(JOB, kill=True)
        until(lambda: ended(launchers[1].state(JOB)))


@pytest.mark.parametrize("skew", [-3 * 3600.0, 3 * 3600.0])
def test_the_hosts_clock_is_hours_off(
    sandbox_with: Callable[..., Sandbox], tmp_path: Path, skew: float
) -> None:
    """Said before the work begins; durations and the job's fate do not depend on it."""
    sandbox = sandbox_with(clock_skew_s=skew)
    job = Counting(sandbox.host)
    with Laptop(sandbox.host, tmp_path / "mirror").begin() as laptop:
        found = {f.id: f for f in preflight(laptop.route)}
        clock = found["clock"]
        assert clock.outcome in ("warn", "fail") and clock.try_next, clock
        assert laptop.launcher.state(JOB).status == "running"
        job.open()
        laptop.whole(job)
        state = laptop.mirror.state()
        assert state is not None and state.started_at and state.ended_at
        assert abs(state.started_at - time.time() - skew) < 600  # the host's clock, as it says
        assert 0 <= state.ended_at - state.started_at < 600
    all_lines(tmp_path / "mirror", job.path)
