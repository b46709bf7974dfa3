"""A new job that goes on from the checkpoints of an ended one gives the same bits."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import UsageError
from core.jobdir import EXIT_PREEMPTED
from core.training import run
from tests.training.test_run import (
    LONG,
    adapter_sha256,
    as_command,
    events_of,
    start,
    straight,  # noqa: F401  fixture
    wait_for_step,
)


@pytest.mark.slow
def test_another_job_goes_on_from_an_ended_one(
    request_for: Any,
    straight: str,  # noqa: F811
) -> None:
    old = request_for("old", *LONG)
    process = start(as_command(old))
    wait_for_step(process, old.events, 30)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == EXIT_PREEMPTED
    stopped_at = events_of(old.events, "checkpoint")[-1]["step"]

    new = replace(request_for("new", *LONG), resume=True, resume_from=old.checkpoints)
    assert run.train(new) == 0
    steps = [e["step"] for e in events_of(new.events, "metric")]
    assert steps == list(range(stopped_at + 1, 201))
    assert adapter_sha256(new) == straight
    assert list(old.checkpoints.glob("checkpoint-*"))  # the old job's stay until it is removed


def test_nothing_to_go_on_from_is_said_before_torch_is_imported(
    request_for: Any, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    torn = empty / "checkpoint-5"
    torn.mkdir(parents=True)
    request = replace(request_for("one", *LONG), resume=True, resume_from=empty)
    with pytest.raises(UsageError, match="no whole checkpoint") as e:
        run.train(request)
    assert "checkpoint-5 is not used" in e.value.why
    shutil.rmtree(empty)
