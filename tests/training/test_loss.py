"""The light loss is TRL's loss and the plain trainer's loss, value and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.training import data
from core.training import recipe as recipes
from tests.training.conftest import some_pairs, write_pairs


@pytest.fixture
def trainer(models: Path, tmp_path: Path) -> Any:
    return build(models, tmp_path)


def build(models: Path, tmp_path: Path, *overrides: str) -> Any:
    import torch

    from core.training import attach
    from core.training import trainer as trainers

    torch.manual_seed(0)
    recipe = recipes.load_recipe("tiny", ["model.dtype=float32", "train.batch_size=6", *overrides])
    tokenizer, eos = attach.load_tokenizer(models / "tiny")
    conversations = data.read_conversations(write_pairs(tmp_path / "p.jsonl", some_pairs(12)))
    rows = data.encode(conversations, tokenizer, eos_ids=eos, max_length=512)
    model = attach.load_model(models / "tiny", recipe, "eager")
    attached = attach.attach(model, tokenizer, recipe, ())
    with torch.no_grad():  # B is zero at first: give every parameter a gradient to compare
        for p in attached.model.parameters():
            if p.requires_grad:
                p.add_(0.02 * torch.randn_like(p))
    built = trainers.build(attached, rows, recipe, tmp_path / "ck", [])
    built.model.train()
    return built


def loss_and_gradients(
    trainer: Any, compute: Any, batch: dict[str, Any], items: int | None
) -> tuple[float, list[Any]]:
    trainer.model.zero_grad()
    loss = compute(trainer.model, dict(batch), num_items_in_batch=items)
    loss.backward()
    gradients = [p.grad.clone() for p in trainer.model.parameters() if p.requires_grad]
    return loss.item(), gradients


@pytest.mark.parametrize("items", [None, 700])
def test_light_loss_equals_the_stock_losses(trainer: Any, items: int | None) -> None:
    import torch
    from transformers import Trainer
    from trl import SFTTrainer

    assert trainer.light
    batch = dict(next(iter(trainer.get_train_dataloader())))
    light, ours = loss_and_gradients(trainer, trainer.compute_loss, batch, items)
    for stock in (SFTTrainer.compute_loss, Trainer.compute_loss):
        theirs, gradients = loss_and_gradients(trainer, stock.__get__(trainer), batch, items)
        assert light == pytest.approx(theirs, rel=1e-6)
        for a, b in zip(ours, gradients, strict=True):
            assert b.abs().max() > 0
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_head_loss_is_cross_entropy_over_chunks_of_any_size() -> None:
    """More positions than one chunk, logits far from zero, and a loss that is scaled afterwards."""
    import torch
    from torch.nn import functional

    from core.training.fast import CHUNK, HeadLoss

    torch.manual_seed(0)
    hidden = (10 * torch.randn(2 * CHUNK + 3, 16)).requires_grad_()
    weight, targets = torch.randn(50, 16), torch.randint(0, 50, (2 * CHUNK + 3,))
    stock = functional.cross_entropy(hidden @ weight.t(), targets, reduction="sum")
    (wanted,) = torch.autograd.grad(stock / 7, hidden)
    ours = HeadLoss.apply(hidden, weight, targets)
    (got,) = torch.autograd.grad(ours / 7, hidden)
    torch.testing.assert_close(ours, stock)
    torch.testing.assert_close(got, wanted)


def test_a_batch_without_labels_is_no_loss() -> None:
    import torch

    from core.training.trainer import summed_nll

    hidden = torch.randn(2, 5, 8, requires_grad=True)
    labels = torch.full((2, 5), data.IGNORED)
    loss = summed_nll(hidden, labels, torch.nn.Linear(8, 20, bias=False))
    loss.backward()
    assert loss.item() == 0 and hidden.grad is not None and not hidden.grad.any()


@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_the_low_rank_product_is_pefts(models: Path, tmp_path: Path, checkpointing: str) -> None:
    """In float32, where dtype makes no difference: same output and gradients of every factor."""
    import torch

    results = []
    for mine in ("false", "true"):
        built = build(
            models,
            tmp_path,
            f"train.low_rank_in_model_dtype={mine}",
            f"train.gradient_checkpointing={checkpointing}",
        )
        forwards = [
            m for m in built.model.modules() if "forward" in vars(m) and hasattr(m, "lora_A")
        ]
        assert len(forwards) == (14 if mine == "true" else 0)
        batch = built.data_collator([built.train_dataset[n] for n in range(6)])
        results.append(loss_and_gradients(built, built.compute_loss, dict(batch), None))
    (a, theirs), (b, ours) = results
    assert a == pytest.approx(b, rel=1e-6)
    for x, y in zip(theirs, ours, strict=True):
        assert x.abs().max() > 0
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-7)


def test_dropout_keeps_pefts_own_product(models: Path, tmp_path: Path) -> None:
    built = build(models, tmp_path, "lora.dropout=0.1")
    assert not [m for m in built.model.modules() if "forward" in vars(m) and hasattr(m, "lora_A")]


def test_an_unknown_family_keeps_the_stock_loss(trainer: Any) -> None:
    from core.training import trainer as trainers

    causal = trainer.model.get_base_model()
    causal.config.model_type = "gemma2"  # soft-caps its logits
    trainer.light = False
    assert not trainers.use_light_loss(trainer, trainer.model)
    assert not trainer.light


def test_the_loop_gets_other_batches_each_epoch(trainer: Any) -> None:
    """The sampler's epoch is set through the library's loader."""
    loader = trainer.get_train_dataloader()
    seen = []
    for epoch in (0, 1, 0):
        loader.set_epoch(epoch)
        seen.append([batch["input_ids"].tolist() for batch in loader])
    assert seen[0] == seen[2] != seen[1]


def test_shapes_on_a_cpu_are_few(trainer: Any) -> None:
    """Each new one costs a program of the matrix units, in time and in memory that stays."""
    from core.training.fast import CPU_LENGTH, CPU_ROWS, _whole

    rows = trainer.train_dataset
    widths = {
        trainer.data_collator([rows[n], rows[n + 1]])["input_ids"].shape[1] for n in range(11)
    }
    assert not any(width % CPU_LENGTH for width in widths)
    assert any(len(row["input_ids"]) % CPU_LENGTH for row in rows)  # so something was padded
    import torch

    assert {_whole(torch.ones(n, 4)).shape[0] for n in range(1, 65)} == {16, 32, 48, 64}
    assert CPU_ROWS == 16
