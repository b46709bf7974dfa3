"""What a training would be refused for, asked before it is started: the same words as the run's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import errors
from core.jobdir import JobDir
from core.training import readiness, run
from core.training import recipe as recipes
from core.training.readiness import look
from core.training.request import of_settings
from tests.training.conftest import some_pairs, write_pairs


@pytest.fixture
def settings(models: Path, pairs_file: Path) -> dict[str, Any]:
    recipe = recipes.load_recipe("tiny", ["train.epochs=1"]).resolved()
    return {"recipe": recipe, "data": str(pairs_file), "seed": 0}


def with_recipe(settings: dict[str, Any], *overrides: str) -> dict[str, Any]:
    return {**settings, "recipe": recipes.load_recipe("tiny", overrides).resolved()}


def test_a_sound_one_is_looked_at_whole(settings: dict[str, Any], tmp_path: Path) -> None:
    assert look(settings) == {"rows": 40, "rendered": True, "revision": ""}
    assert look(settings, here=False)["rendered"] is False
    assert look({**settings, "smoke": True})["rows"] == 20
    assert not Path("not-yet").exists()


def test_more_rows_than_are_worth_the_wait(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "ROWS_MOST", 39)
    assert look(settings)["rendered"] is False


def bad_rows(tmp_path: Path) -> Path:
    rows = some_pairs(20)
    rows[1]["messages"][1]["content"] = "a" * 1_000_000
    return write_pairs(tmp_path / "bad.jsonl", rows)


def test_it_refuses_what_the_run_refuses_in_the_same_words(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    cases: dict[str, dict[str, Any]] = {
        "a megabyte": {**settings, "data": str(bad_rows(tmp_path))},
        "one row": {**settings, "data": str(write_pairs(tmp_path / "one.jsonl", some_pairs(1)))},
        "no rows": {**settings, "data": str(write_pairs(tmp_path / "none.jsonl", []))},
        "no model": with_recipe(settings, "model.name=no-such-model"),
        "revision": with_recipe(settings, "model.revision=0123456789ab"),
        "sharded": with_recipe(settings, "train.processes=4", "train.sharding=fsdp"),
        "adapter": {**settings, "init_adapter": str(tmp_path / "nowhere")},
        "one step": {**settings, "data": str(write_pairs(tmp_path / "few.jsonl", some_pairs(2)))},
    }
    for name, case in cases.items():
        with pytest.raises(errors.QAError) as before:
            look(case)
        (tmp_path / name).mkdir()
        request = of_settings(case, JobDir(tmp_path / name))
        if name == "sharded":  # the run looks at its processes first
            assert "there is none here" in before.value.what
            continue
        with pytest.raises(errors.QAError) as after:
            run.train(replace(request, out=tmp_path / name))
        assert before.value.lines() == after.value.lines(), name
        assert before.value.try_next


def test_a_single_step_is_told_as_what_it_is(settings: dict[str, Any], tmp_path: Path) -> None:
    """Its rate is 0 in the warm-up: no module could change, and none of them is at fault."""
    few = {**settings, "data": str(write_pairs(tmp_path / "few.jsonl", some_pairs(2)))}
    with pytest.raises(
        errors.UsageError, match="single optimizer step, and that is its warm-up"
    ) as e:
        look(few)
    assert "train.warmup=0" in e.value.try_next
    free = recipes.load_recipe("tiny", ["train.epochs=1", "train.warmup=0"]).resolved()
    (tmp_path / "one").mkdir()
    request = of_settings({**few, "recipe": free}, JobDir(tmp_path / "one"))
    assert run.train(replace(request, out=tmp_path / "one")) == 0
    assert look({**few, "census_only": True})["rows"] == 2


def ask(settings: dict[str, Any], where: str = "here") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "core.probes", "training", where],
        input=json.dumps(settings), capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_asked_as_a_process(settings: dict[str, Any], tmp_path: Path) -> None:
    assert ask(settings) == {"refused": None, "rows": 40, "rendered": True, "revision": ""}
    told = ask({**settings, "data": str(bad_rows(tmp_path))})["refused"]
    assert told["error"] == "PreflightRefused" and "bad.jsonl:2 (pair_1)" in told["what"]


def test_a_login_node_needs_no_torch(settings: dict[str, Any]) -> None:
    code = (
        "import json, sys; from core.training.readiness import look;"
        "look(json.load(sys.stdin), here=False);"
        "bad = {'torch', 'transformers'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(settings), text=True, check=True,
        env=dict(os.environ),
    )  # fmt: skip
