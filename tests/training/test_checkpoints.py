"""A checkpoint is whole or it is not used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import UsageError
from core.training import checkpoints
from core.training.checkpoints import SEAL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (10, 20):
        path = tmp_path / f"checkpoint-{step}"
        (path / "shards").mkdir(parents=True)
        (path / "optimizer.pt").write_bytes(bytes(range(200)))
        (path / "shards" / "0.bin").write_bytes(b"weights")
        checkpoints.seal(path, "run")
    return tmp_path


def test_the_newest_whole_one_is_taken(folder: Path) -> None:
    (folder / "best").symlink_to("checkpoint-10")
    assert checkpoints.latest(folder, "run") == (folder / "checkpoint-20", [])
    assert [step for step, _ in checkpoints.steps(folder)] == [20, 10]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: (p / SEAL).unlink(), "not finished"),
        (lambda p: (p / SEAL).write_bytes((p / SEAL).read_bytes()[:40]), "cannot be read"),
        (lambda p: (p / SEAL).write_text("[1]"), "cannot be read"),
        (lambda p: (p / "optimizer.pt").unlink(), "optimizer.pt is missing"),
        (lambda p: (p / "optimizer.pt").write_bytes(b"x"), "optimizer.pt is missing or cut short"),
        # as long as it should be, with pages that never reached the disk
        (lambda p: (p / "optimizer.pt").write_bytes(bytes(200)), "not what was written"),
        (lambda p: (p / "shards" / "0.bin").write_bytes(b"weighty"), "shards/0.bin is not what"),
    ],
)
def test_a_torn_one_is_refused_with_the_reason(folder: Path, harm: object, said: str) -> None:
    harm(folder / "checkpoint-20")  # type: ignore[operator]
    path, notes = checkpoints.latest(folder, "run")
    assert path == folder / "checkpoint-10"
    assert len(notes) == 1 and "checkpoint-20 is not used" in notes[0] and said in notes[0]


def test_where_all_are_torn_there_is_none(folder: Path) -> None:
    for path in folder.glob("checkpoint-*"):
        (path / SEAL).unlink()
    assert checkpoints.latest(folder, "run") == (None, checkpoints.latest(folder, "run")[1])
    assert len(checkpoints.latest(folder, "run")[1]) == 2


def test_one_of_another_run_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="belongs to another run"):
        checkpoints.latest(folder, "other")


def test_a_seal_without_hashes_is_checked_by_size(folder: Path) -> None:
    seal = folder / "checkpoint-20" / SEAL
    made = json.loads(seal.read_text())
    del made["sha256"]
    seal.write_text(json.dumps(made))
    assert checkpoints.fault(seal.parent) == ""
    (seal.parent / "optimizer.pt").write_bytes(b"")
    assert "cut short" in checkpoints.fault(seal.parent)
