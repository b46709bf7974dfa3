"""The agent's runner and helper on this machine, without SSH: what happens to a job, and what is said."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import AcceleratorBusy, JobError, MissingComponent, NotFound, UsageError
from core.jobdir import JobDir, JobState
from remote.agent import procs
from remote.launch import DirectLauncher
from tests.remote.local import Local, py, sh, until


def wait(launcher: DirectLauncher, job_id: str = "job-1") -> JobState:
    until(lambda: not launcher.state(job_id).active, 40)
    return launcher.state(job_id)


def job(local: Local, job_id: str = "job-1") -> JobDir:
    return JobDir(local.workdir / "jobs" / job_id)


def test_output_exit_code_and_times_are_recorded(local: Local) -> None:
    launcher = DirectLauncher(local, env={"COLOUR": "blue", "SHAPE": "disc"})
    spec = sh("echo out $COLOUR $SHAPE; echo err >&2; exit 5", env={"SHAPE": "ring"})
    assert launcher.start(spec).status in ("running", "failed")
    state = wait(launcher)
    assert (state.status, state.exit_code, state.signal) == ("failed", 5, None)
    assert state.reason == "exit code 5"
    assert job(local).output.read_text() == "out blue ring\nerr\n"
    assert state.log_bytes == job(local).output.stat().st_size
    assert state.submitted_at and state.started_at and state.ended_at
    assert state.submitted_at <= state.started_at <= state.ended_at
    assert job(local).spec().env == {"COLOUR": "blue", "SHAPE": "ring"}


def test_the_job_outlives_its_helper_and_its_login(local: Local) -> None:
    launcher = DirectLauncher(local)
    state = launcher.start(sh("sleep 1; echo after; trap '' HUP; exit 0"))
    assert state.pid and os.getsid(state.pid) == state.pid
    local.cut()
    state = wait(DirectLauncher(local))
    assert (state.status, state.exit_code) == ("succeeded", 0)
    assert job(local).output.read_text() == "after\n"


def test_killed_job_records_the_signal(local: Local) -> None:
    launcher = DirectLauncher(local)
    pid = launcher.start(sh("sleep 60")).pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    state = wait(launcher)
    assert (state.status, state.exit_code, state.signal) == ("failed", None, 9)
    assert "SIGKILL" in state.reason


def test_killed_runner_leaves_an_orphan_then_a_lost_job(local: Local) -> None:
    launcher = DirectLauncher(local)
    first = launcher.start(sh("exec sleep 60", accelerator="gpu0"))
    assert first.runner_pid and first.pid
    os.kill(first.runner_pid, signal.SIGKILL)
    until(lambda: launcher.state("job-1").status == "orphan")
    state = launcher.state("job-1")
    assert state.active and "runner is gone" in state.reason
    with pytest.raises(AcceleratorBusy) as busy:  # the job itself holds the lock
        launcher.start(sh("true", "job-2", accelerator="gpu0"))
    assert busy.value.holder == "job-1"
    os.kill(first.pid, signal.SIGKILL)
    state = wait(launcher)
    assert (state.status, state.exit_code) == ("lost", None)
    assert "exit code unknown" in state.reason
    launcher.start(sh("true", "job-2", accelerator="gpu0"))


def test_what_is_left_of_a_job_makes_it_an_orphan_that_can_be_stopped(local: Local) -> None:
    """Its first process is gone too, but a child still holds the accelerator."""
    launcher = DirectLauncher(local)
    first = launcher.start(sh("sleep 60; exit 1", accelerator="gpu0"))
    assert first.runner_pid and first.pid
    until(lambda: len(procs.descendants(first.runner_pid)) == 3)  # sh, sleep, and the scribe
    os.kill(first.runner_pid, signal.SIGKILL)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: procs.start_mark(first.pid) is None)
    until(lambda: launcher.state("job-1").status == "orphan")
    launcher.stop("job-1")
    assert wait(launcher).status == "lost"
    launcher.start(sh("true", "job-2", accelerator="gpu0"))


def test_an_orphan_can_be_stopped(local: Local) -> None:
    launcher = DirectLauncher(local)
    first = launcher.start(sh("trap '' TERM; while :; do sleep 0.1; done", grace_s=0.3))
    assert first.runner_pid
    os.kill(first.runner_pid, signal.SIGKILL)
    until(lambda: launcher.state("job-1").status == "orphan")
    launcher.stop("job-1")
    assert wait(launcher).status == "lost"
    assert procs.start_mark(first.pid) != first.pid_start


def test_second_job_on_a_busy_accelerator_is_refused_and_leaves_no_trace(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(sh("sleep 60", accelerator="gpu0"))
    with pytest.raises(AcceleratorBusy) as busy:
        launcher.start(sh("true", "job-2", accelerator="gpu0"))
    assert busy.value.holder == "job-1"
    assert "job-1" in str(busy.value) and "gpu0" in busy.value.what
    assert [name for name, _ in launcher.list()] == ["job-1"]
    launcher.start(sh("true", "job-3", accelerator="gpu1"))
    assert wait(launcher, "job-3").status == "succeeded"


def test_stop_ends_at_a_checkpoint(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(sh("trap 'echo saved; exit 75' TERM; echo up; while :; do sleep 0.05; done"))
    until(lambda: job(local).output.exists() and job(local).output.read_text() == "up\n")
    launcher.stop("job-1")
    state = wait(launcher)
    assert (state.status, state.exit_code) == ("stopped", 75)
    assert job(local).output.read_text().splitlines()[-1] == "saved"


def test_stop_kills_the_whole_group_after_the_grace(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(
        sh("trap '' TERM; (trap '' TERM; echo $$; exec sleep 61) & while :; do sleep 0.1; done",
           grace_s=0.4)
    )  # fmt: skip
    until(lambda: job(local).output.exists() and job(local).output.read_text().strip())
    group = launcher.state("job-1").pid
    assert group
    launcher.stop("job-1")
    state = wait(launcher)
    assert (state.status, state.signal) == ("stopped", 9)
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_children_that_left_the_group_end_with_the_job(local: Local) -> None:
    launcher = DirectLauncher(local)
    script = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "time.sleep(0.5)\n"
    )
    launcher.start(py(script))
    state = wait(launcher)
    assert state.status == "succeeded"
    escaped = int(job(local).output.read_text())
    assert procs.start_mark(escaped) is None


@pytest.mark.parametrize("command", [["/no/such/python", "-m", "x"], ["./spec.json"], []])
def test_a_command_that_cannot_start_is_failed_with_a_reason(
    local: Local, command: list[str]
) -> None:
    launcher = DirectLauncher(local)
    state = launcher.start(replace(sh(""), command=command))
    assert state.status == "failed"
    assert "cannot start" in state.reason
    assert launcher.state("job-1") == state


def test_start_twice_runs_once(local: Local) -> None:
    launcher = DirectLauncher(local)
    first = launcher.start(sh("echo once; sleep 1", accelerator="gpu0"))
    assert launcher.start(sh("echo once; sleep 1", accelerator="gpu0")) == first
    wait(launcher)
    assert launcher.start(sh("echo once; sleep 1", accelerator="gpu0")).status == "succeeded"
    assert job(local).output.read_text() == "once\n"
    with pytest.raises(JobError, match="another specification"):
        launcher.start(sh("echo twice"))


def test_state_is_not_trusted_by_pid_alone(local: Local) -> None:
    """A living process with the right pid but another start, or of another boot, is not the job."""
    me = os.getpid()
    mine = procs.start_mark(me)
    for n, (mark, boot, expected) in enumerate(
        [
            (mine, procs.boot_id(), "running"),
            (mine - 1 if mine else 0, procs.boot_id(), "lost"),
            (mine, "another-boot", "lost"),
        ]
    ):
        folder = local.workdir / "jobs" / f"job-{n}"
        folder.mkdir(parents=True)
        state = {"status": "running", "runner_pid": me, "runner_pid_start": mark, "boot_id": boot}
        (folder / "state.json").write_text(json.dumps(state))
        assert DirectLauncher(local).state(f"job-{n}").status == expected
        (folder / "state.json").write_text('{"status": "succeeded"}')


def test_a_zombie_is_not_alive() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    until(lambda: Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z"))
    assert procs.start_mark(pid) is None
    os.waitpid(pid, 0)


def test_a_directory_that_was_never_started_is_lost_after_a_while(local: Local) -> None:
    folder = local.workdir / "jobs" / "job-x"
    folder.mkdir(parents=True)
    launcher = DirectLauncher(local)
    assert launcher.state("job-x").status == "starting"
    os.utime(folder, (time.time() - 3600, time.time() - 3600))
    assert launcher.state("job-x").status == "lost"


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x" * 200, "a b", "a\nb"])
def test_names_that_are_no_names_are_refused(local: Local, name: str) -> None:
    with pytest.raises(UsageError):
        DirectLauncher(local).start(sh("true", name))
    with pytest.raises(UsageError):
        DirectLauncher(local).state(name)


def test_unknown_job(local: Local) -> None:
    with pytest.raises(NotFound):
        DirectLauncher(local).state("job-9")


def test_the_agent_is_sent_once_and_again_when_damaged(tmp_path: Path) -> None:
    with Local(tmp_path, noise="Welcome to gh1! \x1b[2J\nREADY") as local:
        assert local.helper().call("hello")["workdir"] == str(tmp_path)
    (zipped,) = (tmp_path / "agent").glob("*.pyz")
    (unpacked,) = (p for p in (tmp_path / "agent").iterdir() if p.is_dir())
    assert unpacked.name == zipped.stem
    good = zipped.read_bytes()
    zipped.write_bytes(good[:-7] + b"damaged")
    with Local(tmp_path) as local:
        local.helper().call("ping")
    assert zipped.read_bytes() == good


def test_no_python_on_the_host(tmp_path: Path) -> None:
    with Local(tmp_path, python="/opt/no/python3") as local, pytest.raises(MissingComponent) as e:
        local.helper()
    assert "hosts.yaml" in e.value.try_next


def test_slow_questions_do_not_hold_up_a_ping(local: Local, tmp_path: Path) -> None:
    fifo = tmp_path / "never"
    os.mkfifo(fifo)  # hashing it waits for a writer
    helper = local.helper()
    import threading

    waiting = threading.Thread(
        target=lambda: helper.call("sha256", paths=[str(fifo)], timeout=30), daemon=True
    )
    waiting.start()
    assert helper.call("ping", timeout=10)["now"] > 0
    assert waiting.is_alive()
    fifo.write_bytes(b"")  # let it go
    waiting.join(10)
    assert not waiting.is_alive()


def test_odd_questions_do_not_end_the_helper(local: Local) -> None:
    helper = local.helper()
    with pytest.raises(JobError):
        helper.call("no_such_op")
    with pytest.raises(JobError):
        helper.call("stat", colour=3)
    assert helper.call("stat", path="/no/such") is None
    assert helper.call("ping")


def test_what_the_agent_needs_is_the_standard_library() -> None:
    """Also: every file is Python 3.8 syntax."""
    import ast

    import remote.agent

    for path in sorted(Path(remote.agent.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                own = name.startswith("remote.agent")
                assert own or name.split(".")[0] in sys.stdlib_module_names, (path, name)
