"""What happens to jobs when the host misbehaves: full disk, restart, kills, pids that come back."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import DiskFull
from core.jobdir import JobDir, JobState
from remote.agent import jobs, locks, mounts, procs
from remote.agent.scribe import Log
from remote.launch import DirectLauncher
from tests.conftest import require
from tests.remote.conftest import end_jobs
from tests.remote.local import Local, py, sh, until

# -- a full disk ------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """The agent with a work folder on a file system of 1 MiB."""
    monkeypatch.setenv("QA_LOCKS", str(tmp_path / "locks"))
    workdir = tmp_path / "small"
    workdir.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(workdir)]
    done = subprocess.run(argv, capture_output=True) if os.geteuid() == 0 else None
    require(done and done.returncode == 0, "root and tmpfs")
    try:
        with Local(workdir) as it:
            it.helper()
            yield it
        end_jobs(workdir)
    finally:
        subprocess.run(["umount", "-l", str(workdir)], check=True)


def fill(workdir: Path) -> Path:
    path = workdir / "filler"
    with open(path, "ab", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
    return path


def wait(local: Local, job_id: str = "job-1") -> JobState:
    until(lambda: not DirectLauncher(local).state(job_id).active, 40)
    return DirectLauncher(local).state(job_id)


PRINTS = """
import sys, time, os
sys.stdout.reconfigure(line_buffering=True)
print("begin")
while not os.path.exists("/proc/self/fd/0"): pass
while not os.access(GATE + "1", os.F_OK): time.sleep(0.02)
for n in range(2000):
    print("line %06d" % n)
open(GATE + "2", "w").close()
while not os.access(GATE + "3", os.F_OK): time.sleep(0.02)
print("end")
"""


def test_output_outlives_a_full_disk_without_a_gap(small: Local, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    launcher = DirectLauncher(small)
    launcher.start(py(f"GATE = {gate!r}\n{PRINTS}"))
    log = small.workdir / "jobs" / "job-1" / "output.log"
    until(lambda: log.exists() and log.read_text() == "begin\n")
    filler = fill(small.workdir)
    Path(gate + "1").touch()
    until(Path(gate + "2").exists)  # it printed all of it: a full disk did not stop it
    state = launcher.state("job-1")
    assert state.status == "running" and "disk is full" in state.reason
    filler.unlink()
    Path(gate + "3").touch()
    state = wait(small)
    assert (state.status, state.reason) == ("succeeded", "")
    assert log.read_text().splitlines() == [
        "begin", *(f"line {n:06d}" for n in range(2000)), "end"]  # fmt: skip
    assert state.log_bytes == log.stat().st_size


def test_the_end_is_recorded_on_a_full_disk(small: Local, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    launcher = DirectLauncher(small)
    launcher.start(sh(f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 7"))
    fill(small.workdir)
    gate.touch()
    state = wait(small)
    assert (state.status, state.exit_code) == ("failed", 7)


def test_stop_and_end_are_both_recorded_on_a_full_disk(small: Local) -> None:
    launcher = DirectLauncher(small)
    launcher.start(sh("trap 'sleep 0.5; exit 75' TERM; while :; do sleep 0.05; done"))
    fill(small.workdir)
    launcher.stop("job-1")
    until(lambda: launcher.state("job-1").status == "stopping")
    state = wait(small)
    assert (state.status, state.exit_code) == ("stopped", 75)


def test_a_launch_on_a_full_disk_is_refused_and_leaves_nothing(small: Local) -> None:
    filler = fill(small.workdir)
    with pytest.raises(DiskFull) as e:
        DirectLauncher(small).start(sh("true"))
    assert "free space" in e.value.try_next
    filler.unlink()
    assert DirectLauncher(small).list() == []
    DirectLauncher(small).start(sh("true"))
    assert wait(small).status == "succeeded"


def test_a_job_that_prints_without_end_on_a_full_disk_can_be_stopped(
    small: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its output is counted, slowly: it neither ends nor keeps a core busy."""
    launcher = DirectLauncher(small)
    state = launcher.start(sh("cat /dev/zero", grace_s=1))
    until(lambda: "disk is full" in launcher.state("job-1").reason)
    pid = scribe_of(state)

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(1.0)  # until memory is full too
    before, start = used(), time.monotonic()
    time.sleep(1.5)
    assert used() - before < 0.2 * (time.monotonic() - start)
    assert resident(pid) < 64 << 20
    launcher.stop("job-1")
    ended = wait(small)
    assert ended.status == "stopped" and "output is missing" in ended.reason


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Full:
    """A file of limited room, behind a pipe that cannot be read back: writes are recorded here."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self.data = b""
        monkeypatch.setattr("remote.agent.scribe.os.write", self.write)

    def write(self, fd: int, data: Any) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        part = bytes(data)[: min(self.room, 7)]  # short writes, as near the end of a disk
        self.room -= len(part)
        self.data += part
        return len(part)


def test_what_does_not_fit_in_memory_is_a_gap_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Full(tmp_path, monkeypatch, room=15)
    log = Log(lambda: 3, held_bytes=20)
    for n in range(10):
        log.write(b"line %d\n" % n)  # 7 bytes each
    assert disk.data == b"line 0\nline 1\nl" and log.waits
    log.flush()
    assert log.waits
    disk.room = 1000
    log.flush()
    log.write(b"last\n")
    assert not log.waits
    text = disk.data.decode()
    assert text.startswith("line 0\nline 1\nline 2\nline 3\n")
    kept = text.split("\n[")[0].encode()
    missing = int(text.split("[")[1].split()[0])
    assert len(kept) + missing == 70  # every byte is there or counted
    assert "disk was full" in text and text.endswith("]\nlast\n")


# -- kills ------------------------------------------------------------------------------------------


def scribe_of(state: JobState) -> int:
    """The child of the runner that does not carry the job's mark."""
    assert state.runner_pid and state.pid
    until(lambda: len(procs.descendants(state.runner_pid)) >= 2)
    own = [p for p in procs.descendants(state.runner_pid) if os.getsid(p) == p != state.pid]
    return own[0]


def test_a_killed_scribe_is_replaced(local: Local, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    launcher = DirectLauncher(local)
    state = launcher.start(
        sh(f"echo one; while [ ! -e {gate} ]; do sleep 0.02; done; echo two; exit 3")
    )
    log = local.workdir / "jobs" / "job-1" / "output.log"
    until(lambda: log.exists() and log.read_text() == "one\n")
    os.kill(scribe_of(state), signal.SIGKILL)
    gate.touch()
    ended = wait(local)
    assert (ended.status, ended.exit_code) == ("failed", 3)
    assert log.read_text() == "one\ntwo\n"


def test_output_goes_on_when_the_runner_is_killed(local: Local, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    state = DirectLauncher(local).start(
        sh(f"echo one; while [ ! -e {gate} ]; do sleep 0.02; done; seq 100000")
    )
    assert state.runner_pid
    os.kill(state.runner_pid, signal.SIGKILL)
    until(lambda: DirectLauncher(local).state("job-1").status == "orphan")
    gate.touch()
    assert wait(local).status == "lost"
    log = local.workdir / "jobs" / "job-1" / "output.log"
    lines = ["one", *map(str, range(1, 100_001))]
    until(lambda: log.read_text().splitlines() == lines)


def test_kill_9_of_the_runner_at_any_moment_leaves_a_state_that_is_true(local: Local) -> None:
    """Never two runs of a job, never a job that holds the accelerator and is not seen."""
    launcher = DirectLauncher(local)
    rng = random.Random(5)
    for n in range(12):
        job_id = f"job-{n}"
        state = launcher.start(
            sh("echo once; sleep 0.15; echo done", job_id, accelerator="gpu0"), queue=True
        )
        time.sleep(rng.uniform(0, 0.3))  # the moment is what is tried
        about = (state.runner_pid, state.runner_pid_start, state.boot_id)
        if procs.same(*about):
            os.kill(state.runner_pid or 0, signal.SIGKILL)
            until(lambda about=about: not procs.same(*about))
        seen = launcher.state(job_id)
        assert seen.status in ("orphan", "lost", "succeeded", "starting")
        if seen.status == "orphan":
            held = DirectLauncher(local).start(
                sh("true", f"{job_id}-next", accelerator="gpu0"), queue=True
            )
            assert held.status in ("queued", "running", "succeeded")
        wait(local, job_id)
        output = JobDir(local.workdir / "jobs" / job_id).output
        until(lambda output=output: not output.exists() or "once\n" * 2 not in output.read_text())
    for name, _ in launcher.list():
        wait(local, name)
    assert launcher.start(sh("true", "last", accelerator="gpu0")).status in ("running", "succeeded")


def test_children_with_sessions_of_their_own_end_with_a_stop(local: Local, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = (
        f"(setsid sh -c 'trap \"\" TERM; echo $$ >> {pids}; while :; do sleep 0.1; done' &) ; "
        f"setsid sh -c 'echo $$ >> {pids}; exec sleep 60' & wait"
    )
    DirectLauncher(local).start(sh(script, grace_s=0.3))
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    DirectLauncher(local).stop("job-1")
    assert wait(local).status == "stopped"
    for pid in pids.read_text().split():
        assert procs.start_mark(int(pid)) is None, pid


# -- restarts and pids ------------------------------------------------------------------------------


def edit_state(local: Local, **changes: Any) -> Path:
    path = local.workdir / "jobs" / "job-1" / "state.json"
    state = json.loads(path.read_text())
    state.update(changes)
    path.write_text(json.dumps(state))
    return path


def test_a_restarted_host_is_recognised_with_the_time_of_the_last_sign(local: Local) -> None:
    first = DirectLauncher(local).start(sh("exec sleep 60"))
    path = edit_state(local, boot_id="the-boot-before")
    at = 1_790_000_400.0  # 2026-09-21 14:20 UTC
    for name in ("state.json", "output.log", "events.jsonl"):
        if (path.parent / name).exists():
            os.utime(path.parent / name, (at - 60 * (name != "state.json"),) * 2)
    state = DirectLauncher(local).state("job-1")
    when = time.strftime("%H:%M UTC on %Y-%m-%d", time.gmtime(at))
    assert state.status == "lost" and state.ended_at == at
    assert state.reason.startswith(f"lost at {when}, host rebooted")
    DirectLauncher(local).stop("job-1")  # of another boot: nobody is signalled
    assert procs.same(first.pid, first.pid_start, first.boot_id)
    assert first.pid and first.runner_pid
    os.kill(first.runner_pid, signal.SIGKILL)
    os.kill(first.pid, signal.SIGKILL)


def test_the_runner_gives_signs_of_life(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    DirectLauncher(local).start(sh("exec sleep 60"))
    path = local.workdir / "jobs" / "job-1" / "state.json"
    os.utime(path, (1, 1))
    until(lambda: path.stat().st_mtime > 1, 15)


def test_a_pid_that_came_back_is_not_the_job_and_is_not_signalled(local: Local) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        mark = procs.start_mark(other.pid)
        assert mark
        folder = local.workdir / "jobs" / "job-1"
        folder.mkdir(parents=True)
        state = {"status": "running", "boot_id": procs.boot_id()}
        state |= {"runner_pid": other.pid, "runner_pid_start": mark - 1}
        state |= {"pid": other.pid, "pid_start": mark - 1}
        (folder / "state.json").write_text(json.dumps(state))
        launcher = DirectLauncher(local)
        assert launcher.state("job-1").status == "lost"
        for kill in (False, True):
            launcher.stop("job-1", kill=kill)
        assert jobs.living(str(folder), state) == []
        assert other.poll() is None
        other.kill()


def test_a_job_of_another_node_is_not_declared_lost_while_it_gives_signs(local: Local) -> None:
    """One work folder on a network file system, two login nodes."""
    folder = local.workdir / "jobs" / "job-1"
    folder.mkdir(parents=True)
    state = {"status": "running", "boot_id": "theirs", "node": "login2", "runner_pid": 1}
    (folder / "state.json").write_text(json.dumps(state))
    found = DirectLauncher(local).state("job-1")
    assert found.status == "running" and "login2" in found.reason
    os.utime(folder / "state.json", (time.time() - 3600,) * 2)
    found = DirectLauncher(local).state("job-1")
    assert found.status == "lost" and "no sign of life from login2" in found.reason


# -- where locks are --------------------------------------------------------------------------------

MOUNTS = r"""
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
srv:/home /home nfs4 rw,vers=4.2 0 0
scratch /scratch\040space lustre rw 0 0
tmpfs /home/me/local tmpfs rw 0 0
sshfs /mnt/s fuse.sshfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    "path, kind, network",
    [
        ("/srv/x", "ext4", False),
        ("/home/you/jobs", "nfs4", True),
        ("/homes", "ext4", False),
        ("/home/me/local/jobs", "tmpfs", False),
        ("/scratch space/me", "lustre", True),
        ("/mnt/s/x", "fuse.sshfs", True),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str, network: bool) -> None:
    assert mounts.kind(path, MOUNTS) == kind
    assert mounts.is_network(path, MOUNTS) is network
    assert mounts.kind("/proc") == "proc" and mounts.kind(path, "") == ""


def test_locks_are_on_the_node_where_the_work_folder_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QA_LOCKS", raising=False)
    assert locks.locks_dir(str(tmp_path)) == str(tmp_path / "locks")
    monkeypatch.setattr(mounts, "is_network", lambda path: path.startswith(str(tmp_path)))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(locks, "ON_NODE", (str(tmp_path), "/var/tmp"))
    found = Path(locks.locks_dir(str(tmp_path)))
    assert found.is_relative_to("/var/tmp") and found.stat().st_mode & 0o777 == 0o700
    assert locks.locks_dir(str(tmp_path)) == str(found)
    assert locks.locks_dir(str(tmp_path / "other")) != str(found)
    found.rmdir()
