"""Removing a job's directory: what is refused, what is never touched; and other small questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import JobActive, NotFound, QAError, UsageError
from remote.agent import checkpoints, removal
from remote.launch import DirectLauncher, checkpoints_of, spec_from, specs_of
from tests.remote.local import Local, sh, until


def ended_job(local: Local, job_id: str = "job-1") -> Path:
    DirectLauncher(local).start(sh("echo x", job_id))
    until(lambda: not DirectLauncher(local).state(job_id).active)
    return local.workdir / "jobs" / job_id


def test_an_ended_job_is_removed_and_links_in_it_are_not_followed(
    local: Local, tmp_path: Path
) -> None:
    job = ended_job(local)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "model").write_text("keep")
    (job / "artifacts" / "link").symlink_to(precious)
    (job / "artifacts" / "file").symlink_to(precious / "model")
    DirectLauncher(local).remove("job-1")
    assert not job.exists() and list((local.workdir / "jobs").iterdir()) == []
    assert (precious / "model").read_text() == "keep"
    with pytest.raises(NotFound):
        DirectLauncher(local).remove("job-1")
    assert DirectLauncher(local).list() == []


def test_an_active_job_is_not_removed(local: Local) -> None:
    launcher = DirectLauncher(local)
    launcher.start(sh("exec sleep 60", accelerator="gpu0"))
    launcher.start(sh("true", "job-2", accelerator="gpu0"), queue=True)
    for job_id in ("job-1", "job-2"):
        with pytest.raises(JobActive) as e:
            launcher.remove(job_id)
        assert "stop it first" in e.value.try_next
    assert (local.workdir / "jobs" / "job-1" / "spec.json").exists()


def test_a_link_in_place_of_a_job_is_refused(local: Local, tmp_path: Path) -> None:
    (local.workdir / "jobs").mkdir(parents=True)
    target = tmp_path / "target"
    target.mkdir()
    (target / "state.json").write_text('{"status": "succeeded"}')
    (local.workdir / "jobs" / "job-1").symlink_to(target)
    with pytest.raises(UsageError):
        DirectLauncher(local).remove("job-1")
    assert (target / "state.json").exists()


@pytest.mark.parametrize("name", ["../x", "..", "", "a/b", ".removed-x", "a\0b"])
def test_names_that_leave_the_folder_are_refused(local: Local, name: str) -> None:
    with pytest.raises(UsageError):
        DirectLauncher(local).remove(name)


def test_a_removal_that_was_cut_short_is_finished_by_the_next(local: Local) -> None:
    top = ended_job(local).parent
    left = top / f"{removal.TRASH}job-0.77"
    (left / "artifacts").mkdir(parents=True)
    assert [name for name, _ in DirectLauncher(local).list()] == ["job-1"]
    DirectLauncher(local).remove("job-1")
    assert list(top.iterdir()) == []


def test_specifications_come_in_one_answer(local: Local) -> None:
    ended_job(local)
    found = specs_of(local, ["job-1", "job-9"])
    assert list(found) == ["job-1"] and found["job-1"].routine == "test"
    assert specs_of(local, []) == {}
    with pytest.raises(QAError):
        specs_of(local, ["../x"])


@pytest.mark.parametrize(
    "data", [None, 3, [], {}, {"id": "a"}, {"id": 3, "routine": "x", "command": []},
             {"id": "a", "routine": "x", "command": "rm"},
             {"id": "a", "routine": "x", "command": [], "settings": [1]}]
)  # fmt: skip
def test_an_odd_specification_is_none(data: object) -> None:
    assert spec_from(data) is None


def test_only_whole_checkpoints_count(local: Local, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for step, size in ((10, 4), (20, 4), (30, 5), (40, None)):
        path = folder / f"checkpoint-{step}"
        path.mkdir(parents=True)
        (path / "weights").write_text("1234")
        if size:
            seal = {"run": "r", "files": {"weights": size}}
            (path / checkpoints.SEAL).write_text(json.dumps(seal))
    (folder / "checkpoint-50").mkdir()
    (folder / "checkpoint-50" / checkpoints.SEAL).write_text('{"files": [1]}')
    (folder / "other").mkdir()
    assert checkpoints_of(local, str(folder)) == ["checkpoint-20", "checkpoint-10"]
    assert checkpoints_of(local, "no/such/folder") == []
