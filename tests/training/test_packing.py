"""Packed rows give the loss of unpacked ones, or they are not packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.training import data, packing
from core.training import recipe as recipes
from tests.training.conftest import some_pairs, write_pairs

PACKED = ("model.dtype=float32", "train.packing=when-equal")


def loaded(base: Path, tmp_path: Path, attention: str, *overrides: str) -> tuple[Any, Any, Any]:
    """(recipe, attached model, rows)"""
    import torch

    from core.training import attach

    recipe = recipes.load_recipe("tiny", [*PACKED, *overrides])
    tokenizer, eos = attach.load_tokenizer(base)
    pairs = data.read_conversations(write_pairs(tmp_path / "p.jsonl", some_pairs(8)))
    rows = data.encode(pairs, tokenizer, eos_ids=eos, max_length=512)
    torch.manual_seed(0)
    model = attach.load_model(base, recipe, attention)
    return recipe, attach.attach(model, tokenizer, recipe, ()).model, rows


@pytest.mark.parametrize("family", ["mistral", "llama", "mixtral"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_rows_are_kept_apart(
    family: str, attention: str, family_model: Any, tmp_path: Path
) -> None:
    recipe, model, rows = loaded(family_model(family), tmp_path, attention)
    layout = packing.settle(recipe, rows, model)
    assert layout.packed and layout.collator is packing.end_to_end
    assert layout.equality and layout.equality.difference < 1e-5 and layout.equality.leak < 1e-5
    assert layout.as_dict()["rows"] == 4


def test_a_model_that_reads_across_rows_is_not_packed(models: Path, tmp_path: Path) -> None:
    """Positions that do not start anew, as with a model that makes its own."""
    recipe, model, rows = loaded(models / "tiny", tmp_path, "eager")
    inner = model.get_base_model().model
    forward = inner.forward

    def across(*args: Any, position_ids: Any = None, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    inner.forward = across
    layout = packing.settle(recipe, rows, model)
    assert not layout.packed and layout.collator is None
    assert layout.text.startswith("packing off:")
    assert layout.equality and layout.equality.leak > packing.LEAK["float32"]


def test_a_model_that_fails_on_packed_rows_is_not_packed(models: Path, tmp_path: Path) -> None:
    recipe, model, rows = loaded(models / "tiny", tmp_path, "eager")

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("no kernel for this")

    model.get_base_model().model.forward = fails
    layout = packing.settle(recipe, rows, model)
    assert not layout.packed and "no kernel for this" in layout.text


def test_it_is_off_unless_asked_for(models: Path, tmp_path: Path) -> None:
    recipe, model, rows = loaded(models / "tiny", tmp_path, "eager", "train.packing=off")
    assert not packing.settle(recipe, rows, model).packed


def test_no_label_at_a_border() -> None:
    batch = packing.end_to_end(
        [{"input_ids": [1, 2, 3], "labels": [7, 2, 3]}, {"input_ids": [4, 5], "labels": [4, 5]}]
    )
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5]]
    assert batch["labels"].tolist() == [[data.IGNORED, 2, 3, data.IGNORED, 5]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert packing.tokens_in(batch) == 5


@pytest.mark.parametrize(
    "more", [(), ("train.light_loss=false",), ("train.gradient_checkpointing=true",)]
)
def test_a_packed_run_is_the_unpacked_run(request_for: Any, more: tuple[str, ...]) -> None:
    """Every step's loss, through the whole routine: gradients too, or later steps would drift apart."""
    from core import jobdir
    from core.training import run

    curves = []
    for name, how in (("padded", "off"), ("packed", "when-equal")):
        request = request_for(name, *PACKED, f"train.packing={how}", "train.lr=0.01", *more)
        assert run.train(request) == 0
        events = jobdir.read_events(request.events)[0]
        curves.append([e["loss"] for e in events if e["kind"] == "metric"])
        tokens = next(e for e in events if e["kind"] == "result")["tokens"]
        assert tokens > 0
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)
    assert [e["packed"] for e in events if e["kind"] == "packing"] == [True]
