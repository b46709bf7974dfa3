"""What a loaded model is held in: every large parameter counted, another dtype than asked for refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import EnvironmentProblem
from core.training import attach, weights
from core.training import recipe as recipes


def loaded(base: Path, *overrides: str) -> Any:
    recipe = recipes.load_recipe("tiny", overrides)
    return attach.load_model(base, recipe, "eager").requires_grad_(False)


def test_every_large_parameter_is_counted_once(family_model: Any) -> None:
    for family in ("mistral", "llama", "mixtral"):
        model = loaded(family_model(family))
        found = weights.large(model)
        matrices = [p for p in model.parameters() if p.dim() > 1 and p.numel() > 200]
        assert sum(g.count for g in found) == len(matrices)
        assert sum(g.bytes for g in found) == sum(p.numel() * 2 for p in matrices)
        assert {g.dtype for g in found} == {"bfloat16"}
    assert {g.name: g.shape for g in found}["experts.gate_up_proj"] == (4, 192, 64)


def test_a_model_in_another_dtype_is_refused(models: Path) -> None:
    recipe = recipes.load_recipe("tiny")
    found = weights.large(loaded(models / "tiny", "model.dtype=float32"))
    with pytest.raises(EnvironmentProblem, match="loaded as float32, not as bfloat16") as e:
        weights.check(found, recipe)
    assert "--set model.dtype=float32" in e.value.try_next


def test_four_bit_that_did_not_happen_is_refused(models: Path) -> None:
    found = weights.large(loaded(models / "tiny"))
    with pytest.raises(EnvironmentProblem, match="no parameter is in 4 bit"):
        weights.check(found, recipes.load_recipe("tiny", ["model.quantise=nf4"]))


def test_experts_that_stay_in_bf16_beside_4_bit_are_told() -> None:
    recipe = recipes.load_recipe("tiny", ["model.quantise=nf4"])
    packed = weights.Large("self_attn.q_proj", (8192, 1), "nf4", "cuda", 32, 1 << 28)
    whole = weights.Large("experts.down_proj", (8, 64, 64), "bfloat16", "cuda", 32, 80 << 30)
    notes = weights.check([packed, whole], recipe)
    assert any("bitsandbytes leaves in bfloat16: 80.0 GiB" in n for n in notes)
    assert not any("leaves" in n for n in weights.check([packed], recipe))


def test_a_packed_parameter_stands_for_twice_its_bytes() -> None:
    import torch

    class Packed(torch.nn.Parameter):
        quant_state = object()

    layer = torch.nn.Module()
    layer.weight = Packed(torch.zeros(600_000, 1, dtype=torch.uint8), requires_grad=False)
    layer.bias = torch.nn.Parameter(torch.zeros(1000), requires_grad=False)
    (found,) = weights.large(layer)
    assert (found.dtype, found.bytes, found.count) == ("nf4", 600_000, 1)
