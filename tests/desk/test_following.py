"""What the desk says of a job, from its mirror alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from core.errors import NotFound, UsageError
from core.jobdir import EventWriter, JobDir, JobSpec, JobState, write_atomic
from remote.segments import CLOCK, remember
from tui.desk.api import JobRow
from tui.desk.following import Following, Progress, clock, last_lines, waiting_words
from tui.desk.job_list import find


class NoLine:
    """The rows come from disk: no line is ever asked."""

    host_name = "gh200"


@pytest.fixture
def following() -> Following:
    return Following(NoLine())  # type: ignore[arg-type]


def make(following: Following, job_id: str, **state: object) -> JobDir:
    job = following.dir(job_id)
    job.create(JobSpec(job_id, "train", ["true"], host="gh200", note="a note"))
    write_atomic(job.state_path, json.dumps(state).encode())
    return job


def test_rows_come_from_the_mirror_newest_first(following: Following) -> None:
    make(following, "train-1", status="succeeded", submitted_at=1.0, exit_code=0)
    running = make(following, "train-2", status="running", submitted_at=2.0)
    events = EventWriter(running.events)
    events.metric(30, max_steps=120, loss=0.5, eta_s=90.0)
    events.warning("memory is short")
    new, old = following.rows()
    assert (new.id, new.status, new.progress, new.eta_s) == ("train-2", "running", 0.25, 90.0)
    assert (old.id, old.exit_code, old.progress, old.note) == ("train-1", 0, None, "a note")


def test_an_ended_job_is_read_once_and_a_running_one_again(following: Following) -> None:
    ended = make(following, "train-1", status="failed", submitted_at=1.0)
    running = make(following, "train-2", status="running", submitted_at=2.0)
    following.rows()
    write_atomic(running.state_path, b'{"status": "succeeded", "submitted_at": 2.0}')
    ended.state_path.unlink()
    assert [r.status for r in following.rows()] == ["succeeded", "failed"]


def test_a_row_knows_its_age_and_counts_by_the_hosts_clock(following: Following) -> None:
    """The host's clock is an hour ahead; it was last heard ten minutes ago."""
    now = time.time()
    running = make(following, "train-1", status="running", started_at=now + 3600 - 1200)
    remember(running.path, CLOCK, 3600.0)
    os.utime(running.state_path, (now - 600, now - 600))
    make(following, "train-2", status="failed", started_at=100.0, ended_at=160.0)
    queued = make(following, "train-3", status="queued", waiting_for="train-1", position=2)
    assert following.row(queued).position == 2
    rows = {row.id: row for row in following.rows()}
    age, elapsed = rows["train-1"].age_s, rows["train-1"].elapsed_s
    assert age is not None and 599 < age < 660
    assert elapsed is not None and 598 < elapsed < 602  # up to what is known, not to now
    assert (rows["train-2"].age_s, rows["train-2"].elapsed_s) == (None, 60.0)
    assert (rows["train-3"].waiting_for, rows["train-3"].elapsed_s) == ("train-1", None)
    assert "number 2 in line" in waiting_words(queued.state() or JobState())


def test_a_job_is_in_the_rows_before_the_host_has_heard_of_it(following: Following) -> None:
    spec = JobSpec("train-9", "train", ["true"], host="gh200", note="about to start")
    following.expect(spec)
    following.expect(spec)
    (row,) = following.rows()
    assert (row.status, row.note) == ("starting", "about to start")
    following.forget("train-9")
    assert following.rows() == [] and not following.dir("train-9").path.exists()


def test_names_of_jobs() -> None:
    rows = [JobRow(i, "train", "h", "running") for i in ("train-1-aa", "train-1-ab", "eval-1-aa")]
    assert find(rows, "train-1-aa") == "train-1-aa"
    assert find(rows, "eval") == "eval-1-aa" and find(rows, "ab") == "train-1-ab"
    for name, error in (("train", UsageError), ("aa", UsageError), ("", NotFound), ("x", NotFound)):
        with pytest.raises(error):
            find(rows, name)


@pytest.mark.parametrize("job_id", ["", "../x", "a/b", ".hidden"])
def test_an_id_cannot_leave_the_mirror(following: Following, job_id: str) -> None:
    with pytest.raises(NotFound):
        following.dir(job_id)


def test_a_job_is_told_in_a_line_a_tenth() -> None:
    told = Progress()
    lines = [
        told.line({"kind": "metric", "step": n, "max_steps": 200, "loss": 1 / n, "eta_s": 200 - n})
        for n in range(1, 201)
    ]
    said = [line for line in lines if line]
    assert len(said) == 11 and said[-1].startswith("step 200/200")
    assert told.line({"kind": "progress", "what": "base", "done": 0, "total": 10}) is None
    assert told.line({"kind": "phase", "name": "load"}) == "· load"
    assert told.line({"kind": "metric", "step": "x", "max_steps": None}) is None


def test_clock() -> None:
    assert [clock(s) for s in (0, 65, 3661, None, float("nan"), -1)] == [
        "0:00", "1:05", "1:01:01", "–", "–", "–"]  # fmt: skip


def test_last_lines_of_a_log_and_of_none(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(10_000)) + b"torn \xff")
    assert last_lines(log, 2) == ["line 9999", "torn �"]
    assert last_lines(tmp_path / "none", 2) == []
