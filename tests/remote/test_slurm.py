"""Jobs through a real Slurm: what becomes of them, and what is said of it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import JobActive, JobError, SchedulerDown, SchedulerRefused
from core.jobdir import JobDir, JobState
from remote.agent import slurm as agent_slurm
from remote.launchers import launcher_for
from remote.mirror import Mirror
from remote.route import Route
from remote.slurm import info
from remote.slurm.launcher import SlurmLauncher
from remote.slurm.survey import misfits
from tests.remote.local import Local, sh, until
from tests.slurm import Slurm

# Two clusters at once on one machine would want the same rendezvous ports.
pytestmark = pytest.mark.xdist_group("slurm")

TRAP = "trap 'echo saved; exit 75' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with Local(tmp_path / "work dir") as it:
        yield it


@pytest.fixture
def launcher(slurm: Slurm, local: Local) -> SlurmLauncher:
    return SlurmLauncher(local, slurm.settings())


def job(local: Local, job_id: str = "job-1") -> JobDir:
    return JobDir(local.workdir / "jobs" / job_id)


def wait(launcher: SlurmLauncher, job_id: str = "job-1") -> JobState:
    until(lambda: not launcher.state(job_id).active, 40)
    return launcher.state(job_id)


def says(local: Local, text: str, job_id: str = "job-1") -> None:
    until(lambda: text in text_of(job(local, job_id).output))


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def number(local: Local, job_id: str = "job-1") -> str:
    return str(json.loads((job(local, job_id).path / "slurm.json").read_text())["job"])


def test_queued_with_a_reason_then_running_then_succeeded(
    slurm: Slurm,
    local: Local,
    tmp_path: Path,
) -> None:
    """The mirror goes along from the queue to the last line."""
    launcher = SlurmLauncher(local, slurm.settings(gpus_per_node="gh200:2", partition="one"))
    launcher.start(sh("while :; do sleep 0.05; [ -e ../../go ] && exit 0; done", "first"))
    until(lambda: launcher.state("first").status == "running")
    state = launcher.start(
        sh("echo gpus $CUDA_VISIBLE_DEVICES; echo '{}' >> events.jsonl", "job-2")
    )
    assert state.status == "queued" and state.active
    mirror = Mirror(lambda: local, "job-2", tmp_path / "mirror").start()
    seen = lambda: mirror.state() or JobState()  # noqa: E731
    until(lambda: "Resources" in seen().reason)
    assert seen().reason == "Resources: waits for nodes or GPUs to come free"
    assert seen().status == "queued" and seen().scheduler_id == number(local, "job-2")
    until(lambda: (seen().expected_start or 0) > 0)
    (local.workdir / "go").touch()
    assert mirror.done.wait(30) and mirror.error is None
    assert (seen().status, seen().exit_code) == ("succeeded", 0)
    assert (tmp_path / "mirror" / "output.log").read_text() == "gpus 0,1\n"
    assert (tmp_path / "mirror" / "events.jsonl").read_text() == "{}\n"
    assert dict(launcher.list())["first"].status == "succeeded"


def test_exit_code_is_the_jobs_own_in_both_books(
    slurm: Slurm,
    local: Local,
    launcher: SlurmLauncher,
) -> None:
    launcher.start(sh("echo out $COLOUR; echo err >&2; exit 3", env={"COLOUR": "blue"}))
    state = wait(launcher)
    assert (state.status, state.exit_code, state.reason) == ("failed", 3, "exit code 3")
    assert job(local).output.read_text() == "out blue\nerr\n"
    slurm.wait(
        lambda: " ExitCode=3:0 " in slurm.run("scontrol", "show", "job", "-o", number(local))
    )


def test_submitted_once(slurm: Slurm, local: Local, launcher: SlurmLauncher) -> None:
    spec = sh("echo once", "once-1")
    launcher.start(spec)
    launcher.start(spec)
    wait(launcher, "once-1")
    assert launcher.start(spec).status == "succeeded"
    with pytest.raises(JobError, match="another specification"):
        launcher.start(sh("echo twice", "once-1"))
    names = slurm.run("squeue", "-h", "-t", "all", "-n", "once-1", "-o", "%i").split()
    assert names == [number(local, "once-1")]
    assert job(local, "once-1").output.read_text() == "once\n"


def test_a_submission_cut_before_its_answer_is_found_by_name(
    slurm: Slurm,
    local: Local,
    launcher: SlurmLauncher,
) -> None:
    """The link went after sbatch had been called and before the id was written down."""
    slurm.node_state("n1", "DRAIN")
    slurm.node_state("n2", "DRAIN")
    launcher.start(sh("echo once", "once-2"))
    path = job(local, "once-2").path / "slurm.json"
    first = number(local, "once-2")
    note = json.loads(path.read_text())
    del note["job"]
    path.write_text(json.dumps(note))
    local.cut()
    state = launcher.start(sh("echo once", "once-2"))
    assert state.status == "queued" and state.scheduler_id == first == number(local, "once-2")
    note["submitted_at"] -= 3600
    path.write_text(json.dumps(note))  # nobody asked again: the list finds it all the same
    assert dict(launcher.list())["once-2"].scheduler_id == first
    assert len(slurm.run("squeue", "-h", "-n", "once-2").splitlines()) == 1


def test_stop_gives_time_for_a_checkpoint(local: Local, launcher: SlurmLauncher) -> None:
    launcher.start(sh(TRAP))
    says(local, "up")
    launcher.stop("job-1")
    state = wait(launcher)
    assert (state.status, state.exit_code) == ("stopped", 75)
    assert state.reason == "stopped with exit code 75"
    assert text_of(job(local).output).endswith("saved\n")


def test_kill_ends_what_ignores_the_stop(local: Local, launcher: SlurmLauncher) -> None:
    launcher.start(sh("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    says(local, "up")
    launcher.stop("job-1", kill=True)
    state = wait(launcher)
    assert (state.status, state.signal) == ("stopped", 9)


def test_stop_takes_a_waiting_job_out_of_the_queue(
    slurm: Slurm,
    local: Local,
    launcher: SlurmLauncher,
) -> None:
    slurm.node_state("n1", "DRAIN")
    slurm.node_state("n2", "DRAIN")
    assert launcher.start(sh("echo never")).status == "queued"
    with pytest.raises(JobActive):
        launcher.remove("job-1")
    launcher.stop("job-1")
    state = wait(launcher)
    assert state.status == "stopped" and "cancelled before it began" in state.reason
    assert not job(local).output.exists()
    launcher.remove("job-1")
    assert launcher.list() == []


def test_cancelled_behind_our_back(
    slurm: Slurm,
    local: Local,
    launcher: SlurmLauncher,
) -> None:
    launcher.start(sh(TRAP))
    says(local, "up")
    slurm.run("scancel", number(local))
    state = wait(launcher)
    assert (state.status, state.exit_code) == ("stopped", 75)
    assert state.reason.startswith("Slurm ended it")
    assert text_of(job(local).output).endswith("saved\n")


@pytest.mark.slow
def test_the_time_limit_leads_to_a_checkpoint_and_requeue_goes_on_from_there(
    slurm: Slurm,
    local: Local,
    tmp_path: Path,
) -> None:
    """Slurm looks every 30 s, and 30 s ahead: the signal comes after 10 to 40 s, in each run."""
    launcher = SlurmLauncher(local, slurm.settings(time="00:02:00", signal_s=80, requeue=True))
    script = "[ -e ../../once ] && { echo resumed; exit 0; }; touch ../../once; " + TRAP
    launcher.start(sh(script))
    mirror = Mirror(lambda: local, "job-1", tmp_path / "mirror").start()
    until(lambda: "saved" in text_of(job(local).output), 90)
    until(lambda: launcher.state("job-1").status == "queued")
    first = json.loads((job(local).path / "state.json").read_text())
    assert (first["status"], first["exit_code"]) == ("stopped", 75)
    assert first["reason"].startswith("Slurm asked it to end before its time limit")
    # Not at once: a slurmd takes a job that comes back within a second for the one it just ended.
    slurm.run("scontrol", "update", f"JobId={number(local)}", "StartTime=now+3")
    assert mirror.done.wait(40) and mirror.error is None
    state = launcher.state("job-1")
    assert (state.status, state.exit_code) == ("succeeded", 0)
    lines = [line for line in text_of(job(local).output).split() if line != "Terminated"]
    assert lines == ["up", "saved", "resumed"]
    assert text_of(tmp_path / "mirror" / "output.log") == text_of(job(local).output)


def test_node_down(slurm: Slurm, local: Local, launcher: SlurmLauncher) -> None:
    launcher.start(sh("echo up; exec sleep 60"))
    says(local, "up")
    runner, pid = launcher.state("job-1").runner_pid, launcher.state("job-1").pid
    assert runner and pid
    node = slurm.run("squeue", "-h", "-j", number(local), "-o", "%N").strip()
    slurm.node_down(node)
    slurm.node_state(node, "DOWN", "it burns")  # before the runner is gone: nobody hears of its end
    for number_ in (runner, pid):
        os.kill(number_, signal.SIGKILL)
    state = wait(launcher)
    assert state.status == "lost"
    assert "node failed" in state.reason and "NODE_FAIL" in state.reason and node in state.reason
    assert launcher.state("job-1") == state


def test_controller_restarted_in_mid_job(
    slurm: Slurm,
    local: Local,
    launcher: SlurmLauncher,
    tmp_path: Path,
) -> None:
    launcher.start(sh("i=0; while [ ! -e ../../go ]; do i=$((i+1)); echo $i; sleep 0.02; done"))
    mirror = Mirror(lambda: local, "job-1", tmp_path / "mirror").start()
    says(local, "5\n")
    slurm.controller_down()
    before = job(local).output.stat().st_size
    until(lambda: (tmp_path / "mirror/output.log").stat().st_size > before)
    slurm.controller_up()
    until(lambda: launcher.state("job-1").status == "running")
    (local.workdir / "go").touch()
    assert mirror.done.wait(30) and mirror.error is None
    assert wait(launcher).status == "succeeded"
    lines = (tmp_path / "mirror/output.log").read_text().split()
    assert lines == [str(n + 1) for n in range(len(lines))] == job(local).output.read_text().split()


@pytest.mark.parametrize(
    ("more", "said", "hint"),
    [
        ({"partition": "gpux"}, "invalid partition", "`partition`"),
        ({"gpus_per_node": "8"}, "node configuration", "`gpus_per_node`"),
        ({"reservation": "weekend"}, "reservation", "`reservation`"),
        ({"constraint": "scratch"}, "feature", "`constraint`"),
        ({"extra": ("--no-such-thing=1",)}, "unrecognized option", "`extra`"),
    ],
)
def test_refused_in_slurms_words(
    slurm: Slurm,
    local: Local,
    more: dict[str, object],
    said: str,
    hint: str,
) -> None:
    launcher = SlurmLauncher(local, slurm.settings(**more))
    with pytest.raises(SchedulerRefused) as e:
        launcher.start(sh("true"))
    assert said in e.value.what.lower() and hint in e.value.try_next
    assert launcher.list() == []


def test_no_munge_is_an_error_and_no_hang(
    slurm: Slurm,
    local: Local,
    launcher: SlurmLauncher,
) -> None:
    launcher.start(sh("while [ ! -e ../../go ]; do sleep 0.05; done"))
    until(lambda: launcher.state("job-1").status == "running")
    slurm.munge_down()
    try:
        with pytest.raises(SchedulerDown) as e:
            launcher.start(sh("true", "job-2"))
        assert "Munge" in e.value.why
        state = launcher.state("job-1")
        assert state.status == "running" and "Munge" in state.reason
        (local.workdir / "go").touch()
        until(lambda: launcher.state("job-1").status == "succeeded")
    finally:
        slurm.munge_up()
    assert [name for name, _ in launcher.list()] == ["job-1"]


def test_array_of_three(slurm: Slurm, local: Local, launcher: SlurmLauncher) -> None:
    specs = [sh(f"echo task $SLURM_ARRAY_TASK_ID; exit {n}", f"job-{n}") for n in range(3)]
    states = launcher.start_array(specs, at_once=2)
    again = launcher.start_array(specs, at_once=2)
    ids = [s.scheduler_id for s in states]
    assert [s.scheduler_id for s in again] == ids
    assert [i.split("_")[1] for i in ids] == ["0", "1", "2"] and len(
        {i.split("_")[0] for i in ids}
    ) == 1
    for n in range(3):
        state = wait(launcher, f"job-{n}")
        assert (state.exit_code, state.status) == (n, "failed" if n else "succeeded")
        assert job(local, f"job-{n}").output.read_text() == f"task {n}\n"
    assert [name for name, _ in launcher.list()] == ["job-0", "job-1", "job-2"]


def test_a_batch_script_that_fails_before_the_runner(
    slurm: Slurm,
    local: Local,
) -> None:
    launcher = SlurmLauncher(local, slurm.settings(setup=("no_such_module load x; exit 9",)))
    launcher.start(sh("true"))
    state = wait(launcher)
    assert (state.status, state.exit_code) == ("failed", 9)
    assert "before the job began" in state.reason and "no_such_module" in state.reason


def test_two_laptops_list_the_same_jobs(
    slurm: Slurm,
    local: Local,
    launcher: SlurmLauncher,
) -> None:
    launcher.start(sh("while [ ! -e ../../go ]; do sleep 0.05; done"))
    until(lambda: launcher.state("job-1").status == "running")
    with Local(local.workdir) as other:
        theirs = SlurmLauncher(other, slurm.settings())
        assert theirs.list() == launcher.list()
        theirs.stop("job-1")
        assert wait(launcher).status == "stopped"
    assert any(row["name"] == "job-1" for row in launcher.queue())


def test_what_there_is(slurm: Slurm, local: Local) -> None:
    found = info(local, slurm.settings())
    assert found.cluster == "lab" and found.default_partition == "ghx4"
    assert [(p.name, p.nodes_total, p.gres) for p in found.partitions] == [
        ("ghx4", 2, "gpu:gh200:2"),
        ("one", 1, "gpu:gh200:2"),
    ]
    assert found.partition("ghx4")[0].time_limit == "2:00:00"
    assert not found.accounting and "accounting storage is disabled" in found.accounting_problem
    assert misfits(found, slurm.settings(time="3:00:00"))[0].startswith("`time` 3:00:00 is over")


def test_through_the_jump_host_with_a_cut_on_the_way(
    slurm: Slurm, pair: Any, tmp_path: Path
) -> None:
    host = replace(pair.host, launcher="slurm", slurm=slurm.settings(partition="one"))
    with Route(host) as route:
        launcher = launcher_for(route)
        assert isinstance(launcher, SlurmLauncher)
        count = "i=0; while [ ! -e ../../go ]; do i=$((i+1)); echo $i; sleep 0.01; done"
        assert launcher.start(sh(count, f"cut-{tmp_path.name[:40]}")).status in (
            "queued",
            "starting",
        )
        (name, _), *more = launcher.list()
        assert not more
        mirror = Mirror(route.ensure, name, tmp_path / "mirror").start()
        output = tmp_path / "mirror" / "output.log"
        until(lambda: "20\n" in text_of(output))
        pair.cut()
        seen = len(text_of(output))
        until(lambda: len(text_of(output)) > seen)
        (Path(host.workdir) / "go").touch()
        assert mirror.done.wait(30) and mirror.error is None
        assert mirror.cuts >= 1
        lines = text_of(output).split()
        assert lines == [str(n + 1) for n in range(len(lines))]
        state = launcher.state(name)
        assert state.status == "succeeded" and state.scheduler_id


def test_a_hanging_slurm_does_not_hold_up_the_log(
    slurm: Slurm, local: Local, tmp_path: Path
) -> None:
    fakes = tmp_path / "bin"
    fakes.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "scancel", "sacct"):
        (fakes / name).write_text(
            f'#!/bin/sh\n[ -e {fakes}/hang ] && exec sleep 60\nexec {name} "$@"\n'
        )
        (fakes / name).chmod(0o755)
    launcher = SlurmLauncher(local, slurm.settings(bin=str(fakes)))
    launcher.start(sh("i=0; while [ ! -e ../../go ]; do i=$((i+1)); echo $i; sleep 0.02; done"))
    says(local, "5\n")
    (fakes / "hang").touch()
    mirror = Mirror(lambda: local, "job-1", tmp_path / "mirror").start()
    output = tmp_path / "mirror" / "output.log"
    began = time.monotonic()
    until(lambda: len(text_of(output).split()) > 50)
    (local.workdir / "go").touch()
    assert mirror.done.wait(30) and mirror.error is None
    assert time.monotonic() - began < agent_slurm.CALL_S  # no call can have ended meanwhile
    assert text_of(output) == text_of(job(local).output)
