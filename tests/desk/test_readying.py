"""A training that its host would refuse is refused before a job, a version or a place in line is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import base_models, errors
from core.errors import EnvironmentProblem, MissingComponent, QAError, UsageError
from core.pairs import Message
from core.registry import open_registry, snapshots, versions
from remote.sandbox import Sandbox
from tests.core.conftest import make_pair
from tui.desk.jobs import start_training
from tui.desk.readying import refusal_of, require_ready
from tui.desk.workbench import Workbench


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models directory of this host's own, with the tiny model in it."""
    folder = tmp_path / "models"
    base_models.make_tiny(folder / "tiny")
    monkeypatch.setenv("QA_MODELS", str(folder))
    return folder


@pytest.fixture
def bench(models: Path, tmp_path: Path) -> Iterator[Workbench]:
    with Sandbox(tmp_path / "box") as box:
        it = Workbench("gh200")
        it.line._host = box.host
        yield it
        it.close()


def freeze(*answers: str) -> str:
    pairs = [
        make_pair(n, messages=(Message("user", f"What is {n}?"), Message("assistant", answer)))
        for n, answer in enumerate(answers)
    ]
    return snapshots.freeze(open_registry(), pairs).id


@pytest.mark.slow
def test_nothing_is_begun_of_what_would_be_refused(bench: Workbench, models: Path) -> None:
    good = freeze("One.", "Two.", "Three.")
    refused: list[tuple[type[QAError], str, dict[str, object]]] = [
        (UsageError, r"would lose the end.*jsonl:2 \(", {"snapshot_id": freeze("One.", "b" * 10**6)}),
        (UsageError, r"control token.*\(", {"snapshot_id": freeze("One.", "Two <|im_end|>")}),
        (UsageError, "not the revision", {"overrides": ["model.revision=0123456789ab"]}),
        (EnvironmentProblem, "divides the model among accelerators",
         {"overrides": ["train.processes=2", "train.sharding=fsdp"]}),
        (MissingComponent, ": base model 'llama-3-8b' is not on this machine",
         {"recipe": "llama-3-8b", "accept": dict.fromkeys(("L4", "L5", "L9"), "a test")}),
    ]  # fmt: skip
    for kind, said, more in refused:
        asked = {"recipe": "tiny", "snapshot_id": good, **more}
        with pytest.raises(kind, match=said) as e:
            start_training(bench, **asked)  # type: ignore[arg-type]
        assert e.value.why and e.value.try_next
    weights = models / "tiny" / "model.safetensors"
    shutil.copy(weights, models / "whole")
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(EnvironmentProblem, match="damaged"):
        start_training(bench, "tiny", snapshot_id=good)
    assert not bench.jobs() and not versions.list(open_registry())


def test_a_host_that_cannot_answer_stops_nothing(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python has none of this: the job will say so itself."""
    from dataclasses import replace

    bench.connect()
    host = replace(bench.line.host(), python="/bin/false")
    monkeypatch.setattr(bench.line, "_host", host)
    require_ready(bench, {"recipe": {}})


@given(st.text())
def test_any_other_answer_is_none(said: str) -> None:
    assert refusal_of(said, "h") is None


@given(st.dictionaries(st.sampled_from(["error", "what", "why", "try_next"]), st.text()))
def test_a_refusal_is_told_as_it_was(told: dict[str, str]) -> None:
    found = refusal_of(json.dumps({"refused": told}), "gh200")
    if len(told) < 4:
        assert found is None
        return
    assert found is not None and found.what == f"gh200: {told['what']}"
    assert (found.why, found.try_next) == (told["why"], told["try_next"])
    named = getattr(errors, told["error"], None)
    known = isinstance(named, type) and issubclass(named, QAError)
    assert type(found) is (named if known else UsageError)
