"""Starting a training and an evaluation from the command line, on a real host over SSH."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import base_models, locations
from core.corpus import pair_files, pilot_selection
from core.pairs import read_pairs
from core.registry import open_registry, snapshots, versions
from tests.remote.conftest import end_jobs
from tui.cli.root import run


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QA_STATE", str(tmp_path / "state"))
    if not (locations.models_dir() / "tiny").exists():
        base_models.make_tiny(locations.models_dir() / "tiny")
    yield tmp_path
    end_jobs(tmp_path / "state" / "sandbox" / "host" / "work")


@pytest.mark.slow
def test_a_training_from_the_command_line_makes_a_version(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert os.environ["QA_REGISTRY"].startswith(str(places.parent.parent))
    pairs = pilot_selection(read_pairs(pair_files()).pairs).train[:40]
    with open_registry() as reg:
        frozen = snapshots.freeze(reg, pairs)
    argv = ["jobs", "train", "tiny", "--set", "train.epochs=1", "--wait", "--json"]
    assert run(argv) == 0
    job = json.loads(capsys.readouterr().out)["job_id"]
    with open_registry() as reg:
        (made,) = versions.list(reg)
        assert (made.train_job, made.status) == (job, "candidate")
        assert made.dataset_version == frozen.id


def test_without_a_snapshot_it_says_what_to_do(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", "train", "tiny"]) == 2
    assert "no snapshot" in capsys.readouterr().err
