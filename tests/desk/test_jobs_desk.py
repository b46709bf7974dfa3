"""Jobs as the desk sees them, over a real route to the embedded host: started, lost and found again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import AcceleratorBusy, JobActive, LinkLost, NotFound, Refused, UsageError
from core.jobdir import JobSpec, JobState, new_job_id
from core.registry import jobs as recorded
from remote.launch import DirectLauncher
from remote.sandbox import Sandbox
from tests.remote.conftest import end_jobs
from tests.remote.local import until
from tui.desk import again, job_list, launching, outcomes, removing, watching
from tui.desk.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    # What a training runs, without one: waits until it is told to end.
    monkeypatch.setitem(launching.ROUTINES, "train", "this")
    with Sandbox(tmp_path / "box") as box:
        it = Workbench("gh200")
        it.line._host = box.host
        yield it
        it.close()
        end_jobs(Path(box.host.workdir))


def shell(bench: Workbench, script: str, routine: str = "test", **more: Any) -> JobSpec:
    command = ["/bin/sh", "-c", script]
    return JobSpec(new_job_id(routine), routine, command, host=bench.host_name, **more)


def submit(bench: Workbench, script: str, **more: Any) -> str:
    return bench.launching.submit(shell(bench, script, **more))


def workdir(bench: Workbench) -> Path:
    return Path(bench.line.host().workdir)


def ended(bench: Workbench, job_id: str) -> JobState:
    return bench.following.wait(job_id, lambda text: None)


def test_the_list_is_what_the_host_says_beside_what_is_mirrored(bench: Workbench) -> None:
    mine = submit(bench, "exit 3", note="mine")
    ended(bench, mine)
    theirs = shell(bench, "sleep 60", note="theirs")
    DirectLauncher(bench.line.route()).start(theirs)
    rows = {row.id: row for row in job_list.asked(bench)}
    assert (rows[mine].status, rows[mine].exit_code, rows[mine].age_s) == ("failed", 3, None)
    assert (rows[theirs.id].status, rows[theirs.id].note) == ("running", "theirs")
    age, elapsed = rows[theirs.id].age_s, rows[theirs.id].elapsed_s
    assert age is not None and age < 5 and elapsed is not None and 0 <= elapsed < 60
    assert not bench.following.dir(theirs.id).path.exists()  # a question, not a mirror
    assert job_list.find(list(rows.values()), mine[-4:]) == mine


def test_a_job_that_the_host_does_not_know_any_more_is_lost(bench: Workbench) -> None:
    job_id = submit(bench, "sleep 60")
    bench.following.close()
    state = bench.following.dir(job_id).state_path
    end_jobs(workdir(bench))
    until(lambda: not DirectLauncher(bench.line.route()).state(job_id).active)
    DirectLauncher(bench.line.route()).remove(job_id)
    (row,) = job_list.asked(bench)
    assert row.status in ("running", "starting")  # it may only just be starting
    os.utime(state, (time.time() - 1000,) * 2)
    (row,) = job_list.asked(bench)
    assert (row.status, row.reason) == ("lost", "the host does not know it any more")


def test_a_refused_start_leaves_no_row(bench: Workbench) -> None:
    first = submit(bench, "sleep 60", accelerator="gpu0")
    with pytest.raises(AcceleratorBusy):
        submit(bench, "true", accelerator="gpu0")
    assert [row.id for row in bench.jobs()] == [first]
    newest = recorded.list(bench.registry())[0]
    assert newest.status == "failed" and "not started" in newest.state.reason


class Cut:
    """A launcher whose link is cut before or after the host has started the job."""

    def __init__(self, real: DirectLauncher, when: list[str]) -> None:
        self.real, self.when = real, when
        self.list = real.list

    def start(self, spec: JobSpec, *, queue: bool = False) -> JobState:
        when = self.when.pop(0) if self.when else ""
        if when != "before":
            state = self.real.start(spec, queue=queue)
        if when:
            raise LinkLost("cut")
        return state


def cut_launcher(bench: Workbench, monkeypatch: pytest.MonkeyPatch, *when: str) -> None:
    real = DirectLauncher(bench.line.route())
    cut = Cut(real, list(when))
    monkeypatch.setattr(bench.line, "launcher", lambda: cut)


def test_a_start_is_repeated_over_cuts_and_happens_once(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_launcher(bench, monkeypatch, "before", "after")
    job_id = submit(bench, "echo once")
    assert ended(bench, job_id).status == "succeeded"
    assert bench.job_dir(job_id).output.read_text() == "once\n"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_start_that_was_cut_for_good_is_found_out_at_the_next_connect(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    cut_launcher(bench, monkeypatch, when, when, when)
    with pytest.raises(LinkLost):
        submit(bench, "echo hi")
    (row,) = bench.jobs()
    assert row.status == "starting"  # the row is there, whatever became of it
    monkeypatch.setattr(outcomes, "STARTING_S", -1.0)
    outcomes.reattach(bench)
    until(lambda: bench.jobs()[0].status in ("succeeded", "lost"))
    assert bench.jobs()[0].status == ("lost" if when == "before" else "succeeded")
    record = lambda: recorded.get(bench.registry(), row.id)  # noqa: E731
    until(lambda: record().status == bench.jobs()[0].status)


def test_a_new_desk_takes_up_what_runs_and_catches_up_with_what_ended(bench: Workbench) -> None:
    launcher = DirectLauncher(bench.line.route())
    specs = [shell(bench, f"echo {n}") for n in range(4)]
    for spec in specs:
        launcher.start(spec)
    running = shell(bench, "sleep 60")
    launcher.start(running)
    until(lambda: all(not launcher.state(s.id).active for s in specs))
    bench.connect()
    until(lambda: len(bench.jobs()) == 5)
    until(lambda: all(bench.job_dir(s.id).output.exists() for s in specs))
    ids = {s.id: n for n, s in enumerate(specs)}
    until(lambda: all(bench.job_dir(i).output.read_text() == f"{n}\n" for i, n in ids.items()))
    assert [row.status for row in bench.jobs() if row.id == running.id] == ["running"]
    until(lambda: sum(not m.done.is_set() for m in bench.following._mirrors.values()) == 1)


def test_rerun_waits_in_line_and_runs_the_same_again(bench: Workbench) -> None:
    gate = workdir(bench) / "gate"
    script = f"echo run; while [ ! -e {gate} ]; do sleep 0.05; done"
    first = submit(bench, script, accelerator="gpu0", note="the note")
    with pytest.raises(AcceleratorBusy):
        again.rerun(bench, first)
    second = again.rerun(bench, first, queue=True)
    row = next(r for r in bench.jobs() if r.id == second)
    assert (row.status, row.position, row.waiting_for) == ("queued", 1, first)
    assert recorded.get(bench.registry(), second).status == "queued"
    with pytest.raises(UsageError, match="still active"):
        again.resume(bench, first)
    gate.touch()
    assert ended(bench, second).status == "succeeded"
    assert bench.job_dir(second).output.read_text() == "run\n"
    assert bench.job_dir(second).spec().settings[again.AGAIN_OF] == first
    with pytest.raises(UsageError, match="nothing to go on with"):
        again.resume(bench, first)


def checkpoint(job: Path, step: int) -> None:
    path = job / "checkpoints" / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "weights").write_text("w")
    (path / "complete.json").write_text(json.dumps({"run": "r", "files": {"weights": 1}}))


def failed_training(bench: Workbench, settings: dict[str, Any]) -> tuple[str, Path]:
    spec = shell(bench, "exit 1", routine="train", settings=settings)
    job_id = bench.launching.submit(spec)
    assert ended(bench, job_id).status == "failed"
    return job_id, workdir(bench) / "jobs" / job_id


def test_a_training_goes_on_from_its_last_whole_checkpoint(bench: Workbench) -> None:
    first, job = failed_training(bench, {"recipe": {"a": 1}, "smoke": True})
    with pytest.raises(NotFound, match="no whole checkpoint"):
        again.resume(bench, first)
    checkpoint(job, 20)
    second = again.resume(bench, first)
    spec = bench.job_dir(second).spec()
    assert spec.settings["resume_from"] == f"{job}/checkpoints"
    assert spec.settings["recipe"] == {"a": 1}
    assert spec.command[1:] == ["-m", "this", "--job", "."] and spec.env["PYTHONPATH"]
    ended(bench, second)
    # Killed before it saved one of its own: the next goes on from the first's.
    third, _ = failed_training(bench, {"resume_from": f"{job}/checkpoints"})
    fourth = again.resume(bench, third)
    assert bench.job_dir(fourth).spec().settings["resume_from"] == f"{job}/checkpoints"


def test_an_input_that_changed_on_the_host_is_noticed(bench: Workbench) -> None:
    bench.line.route()
    path = workdir(bench) / "pairs.jsonl"
    path.write_text("a\n")
    entry = {"name": "pairs", "path": str(path), "sha256": launching.sha256_file(path)}
    job_id = submit(bench, "true", inputs=[entry])
    ended(bench, job_id)
    assert ended(bench, again.rerun(bench, job_id)).status == "succeeded"
    path.write_text("b\n")
    with pytest.raises(NotFound, match="has changed on the host"):
        again.rerun(bench, job_id)
    path.unlink()
    with pytest.raises(NotFound, match="is not on the host any more"):
        again.rerun(bench, job_id)


def test_removing_keeps_the_log_here_unless_that_goes_too(bench: Workbench) -> None:
    one, two = (shell(bench, f"echo {n}") for n in (1, 2))
    for spec in (one, two):
        DirectLauncher(bench.line.route()).start(spec)
        until(lambda spec=spec: not bench.line.launcher().state(spec.id).active)
    assert "its mirror stays" in removing.remove(bench, one.id)[1]
    assert bench.job_dir(one.id).output.read_text() == "1\n"
    removing.remove(bench, two.id, here=True)
    assert not bench.job_dir(two.id).path.exists()
    assert list((workdir(bench) / "jobs").iterdir()) == []
    with pytest.raises(NotFound):
        removing.remove(bench, one.id)
    assert "not on gh200 any more" in removing.remove(bench, one.id, here=True)[0]
    assert bench.jobs() == []


def test_what_is_active_or_needed_is_not_removed(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, job = failed_training(bench, {})
    checkpoint(job, 1)
    user = submit(bench, "sleep 60", settings={"resume_from": f"{job}/checkpoints"})
    with pytest.raises(JobActive):
        removing.remove(bench, user)
    with pytest.raises(Refused, match="reads from"):
        removing.remove(bench, first)
    bench.line.launcher().stop(user, kill=True)
    ended(bench, user)

    class Version:
        train_job, adapter_path, model_version = first, "", "access-qa-v1.0.0"

    monkeypatch.setattr("core.registry.versions.list", lambda reg: (Version(),))
    with pytest.raises(Refused, match=r"access-qa-v1\.0\.0"):
        removing.remove(bench, first, here=True)
    assert job.is_dir() and bench.job_dir(first).path.is_dir()


def test_watching_tells_states_and_progress_to_the_end(bench: Workbench) -> None:
    event = '{"kind": "phase", "name": "load"}'
    gate = workdir(bench) / "gate"
    bench.line.route()
    script = f"echo '{event}' >> events.jsonl; while [ ! -e {gate} ]; do sleep 0.05; done; exit 3"
    first = submit(bench, script, accelerator="gpu0")
    second = bench.launching.submit(shell(bench, "true", accelerator="gpu0"), queue=True)
    seen: list[dict[str, Any]] = []
    for record in watching.watch(bench):
        seen.append(record)
        if record["kind"] == "progress":
            gate.touch()
    states = [(r["job"], r["status"]) for r in seen if r["kind"] == "state"]
    assert states[-1][1] in ("failed", "succeeded")
    assert (first, "failed") in states and (second, "queued") in states
    assert (second, "succeeded") in states
    assert [r["text"] for r in seen if r["kind"] == "progress"] == ["· load"]
    assert json.dumps(seen)


def test_a_job_of_another_laptop_is_taken_up_while_this_one_is_open(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.desk.looking.LOOK_S", 0.1)
    bench.connect()
    assert not bench.jobs()
    theirs = shell(bench, "echo hello; sleep 60", note="theirs")
    DirectLauncher(bench.line.route()).start(theirs)
    output = bench.job_dir(theirs.id).output
    until(lambda: output.exists() and output.read_text() == "hello\n")
    until(lambda: [(row.id, row.status) for row in bench.jobs()] == [(theirs.id, "running")])
    assert bench.jobs()[0].note == "theirs"


def test_a_job_the_host_forgot_keeps_its_times(bench: Workbench) -> None:
    job_id = submit(bench, "sleep 60")
    until(lambda: (s := bench.job_dir(job_id).state()) is not None and s.started_at is not None)
    began = bench.following.row(bench.job_dir(job_id)).started_at
    bench.following.close()
    end_jobs(workdir(bench))
    shutil.rmtree(workdir(bench) / "jobs" / job_id)
    reg = bench.registry()
    reg.execute("UPDATE jobs SET recorded_at = '2026-01-01T00:00:00Z'")
    outcomes.reattach(bench)
    row = bench.following.row(bench.job_dir(job_id))
    assert (row.status, row.started_at) == ("lost", began) and "does not know it" in row.reason
