"""A setting that cannot be carried out is refused or said, never ignored."""

from __future__ import annotations

import pytest

from core.errors import EnvironmentProblem
from core.training.promises import refuse_unkept, unkept
from core.training.recipe import load_recipe


@pytest.mark.parametrize(
    ("overrides", "reset"),
    [
        (["model.quantise=nf4"], "--set model.quantise=none"),
        (["train.sharding=fsdp", "train.processes=2"], "--set train.sharding=none"),
    ],
)
def test_what_would_be_another_run_is_refused(overrides: list[str], reset: str) -> None:
    with pytest.raises(EnvironmentProblem) as e:
        refuse_unkept(load_recipe("tiny", overrides))
    assert reset in e.value.try_next


def test_what_only_watches_is_said_where_it_cannot_be_done() -> None:
    watched = ["probe.every=epoch", "stop.rule=recall", "census.before_training=true"]
    assert unkept(load_recipe("tiny", watched)) == []
    divided = ["train.sharding=fsdp", "train.processes=2"]
    said = unkept(load_recipe("tiny", [*watched, *divided]))
    assert [text.partition(":")[0] for text in said] == [
        "probe.every",
        "stop.rule",
        "census.before_training",
    ]
    assert unkept(load_recipe("tiny", divided)) == []
