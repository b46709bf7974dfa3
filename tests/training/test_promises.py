"""A setting that the trainer does not carry out is refused or said, never ignored."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import UsageError
from core.jobdir import read_events
from core.training import run
from core.training.promises import refuse_unkept, unkept
from core.training.recipe import load_recipe


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.quantise=nf4"],
        ["train.packing=true"],
        ["train.sharding=fsdp", "train.processes=2"],
    ],
)
def test_what_would_be_another_run_is_refused(overrides: list[str]) -> None:
    with pytest.raises(UsageError) as e:
        refuse_unkept(load_recipe("tiny", overrides))
    name = overrides[0].partition("=")[0]
    assert name in e.value.what and f"--set {name}=" in e.value.try_next


def test_what_only_watches_is_said_in_the_events(request_for: Any) -> None:
    request = request_for("watched", "train.epochs=1", "probe.every=epoch", "stop.rule=recall")
    assert len(unkept(request.recipe)) == 2
    assert run.train(request) == 0
    events, _ = read_events(request.events, 0)
    said = [e["text"] for e in events if e["kind"] == "warning"]
    assert sum("not carried out yet" in text for text in said) == 2
