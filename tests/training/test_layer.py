"""Decoder layers by hand are the library's: loss and gradients, padded and packed, and whatever is
not fit for it stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.test_loss import build, loss_and_gradients

FLOAT = "model.dtype=float32"


def by_hand(trainer: Any) -> int:
    layers = trainer.model.get_base_model().model.layers
    return sum("forward" in vars(layer) for layer in layers)


def both_ways(models: Path, tmp_path: Path, *overrides: str) -> tuple[Any, Any]:
    """(loss, gradients) of the library's way and of ours, on one batch of rows of several lengths."""
    found = []
    for mine in ("false", "true"):
        trainer = build(
            models,
            tmp_path,
            f"train.low_rank_in_model_dtype={mine}",
            "model.attention=eager",
            *overrides,
        )
        assert by_hand(trainer) == (2 if mine == "true" else 0)
        batch = trainer.data_collator([trainer.train_dataset[n] for n in range(6)])
        found.append(loss_and_gradients(trainer, trainer.compute_loss, dict(batch), None))
    return found[0], found[1]


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("lora.targets=[q_proj, v_proj]",),
        ("lora.targets=[up_proj, down_proj]",),
        ("lora.rslora=true", "lora.alpha=5"),
    ],
    ids=["all", "attention", "mlp", "rslora"],
)
def test_loss_and_gradients_are_the_librarys(
    models: Path, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    (a, theirs), (b, ours) = both_ways(models, tmp_path, FLOAT, *overrides)
    import torch

    assert a == pytest.approx(b, rel=1e-6)
    assert len(theirs) == len(ours) > 0
    for x, y in zip(theirs, ours, strict=True):
        assert x.abs().max() > 0
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-7)


def test_checkpointing_keeps_a_layers_input_and_computes_the_rest_again(
    models: Path, tmp_path: Path
) -> None:
    """Far less is kept for the backward pass, and what comes of it is the same to the bit."""
    import torch

    trainer = build(models, tmp_path, FLOAT, "train.gradient_checkpointing=true")
    assert by_hand(trainer) == 2
    rows = [trainer.train_dataset[n] for n in range(6)]
    kept, found = [], []
    for checkpointing in (False, True):
        if checkpointing:  # as the training loop does it
            how = trainer.args.gradient_checkpointing_kwargs
            trainer.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
        layers = trainer.model.get_base_model().model.layers
        assert all(layer.gradient_checkpointing == checkpointing for layer in layers)
        sizes: dict[int, int] = {}

        def keep(x: Any, sizes: dict[int, int] = sizes) -> Any:
            sizes[x.data_ptr()] = x.numel() * x.element_size()
            return x

        batch = trainer.data_collator(rows)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            found.append(loss_and_gradients(trainer, trainer.compute_loss, dict(batch), None))
        kept.append(sum(sizes.values()))
    assert kept[1] < kept[0] / 2
    (a, plain), (b, again) = found
    assert a == b and len(plain) == len(again) > 0
    assert all(torch.equal(x, y) for x, y in zip(plain, again, strict=True))


def test_in_bf16_it_is_as_near_to_float32_as_the_librarys(models: Path, tmp_path: Path) -> None:
    _, (_, exact) = both_ways(models, tmp_path, FLOAT)
    (_, theirs), (_, ours) = both_ways(models, tmp_path, "model.dtype=bfloat16")

    def away(gradients: list[Any]) -> float:
        shares = [((g - e).norm() / e.norm()).item() for g, e in zip(gradients, exact, strict=True)]
        return sum(shares) / len(shares)

    assert 0 < away(ours) < 1.2 * away(theirs)


def test_packed_rows_do_not_see_each_other(models: Path, tmp_path: Path) -> None:
    """Other tokens in the first row change nothing in the gradients of the second's loss."""
    import torch

    from core.training.data import IGNORED
    from core.training.packing import end_to_end

    trainer = build(models, tmp_path, FLOAT)
    assert by_hand(trainer) == 2
    rows = [trainer.train_dataset[n] for n in range(2)]
    rows[0]["labels"] = [IGNORED] * len(rows[0]["labels"])
    found = []
    for shift in (0, 1):
        first = {**rows[0], "input_ids": [1 + (i + shift) % 50 for i in rows[0]["input_ids"]]}
        batch = end_to_end([first, rows[1]])
        found.append(loss_and_gradients(trainer, trainer.compute_loss, batch, None))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for x, y in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-7)


def test_answering_goes_the_librarys_way(models: Path, tmp_path: Path) -> None:
    """With a cache and in evaluation the layers are stock, so answers do not change."""
    import torch

    trainer = build(models, tmp_path, FLOAT)
    model = trainer.model
    model.config.use_cache = True
    ids = torch.tensor([trainer.train_dataset[0]["input_ids"][:12]])
    model.eval()
    answer = model.generate(input_ids=ids, max_new_tokens=5, do_sample=False)
    for layer in model.get_base_model().model.layers:
        del layer.forward
    assert (
        answer.tolist() == model.generate(input_ids=ids, max_new_tokens=5, do_sample=False).tolist()
    )


@pytest.mark.parametrize("override", ["lora.dropout=0.1", "train.low_rank_in_model_dtype=false"])
def test_what_is_not_plain_stays_as_it_was(models: Path, tmp_path: Path, override: str) -> None:
    assert by_hand(build(models, tmp_path, override)) == 0


def test_other_attention_and_other_families_stay(models: Path, tmp_path: Path) -> None:
    from core.training.layer import use_layers

    trainer = build(models, tmp_path, "train.low_rank_in_model_dtype=false")
    config = trainer.model.get_base_model().config
    kept = config._attn_implementation
    config._attn_implementation = "sdpa"
    assert use_layers(trainer.model) == 0
    config._attn_implementation = kept
    config.model_type = "gemma2"
    assert use_layers(trainer.model) == 0
    config.model_type = "mistral"
    assert use_layers(trainer.model) == 2
