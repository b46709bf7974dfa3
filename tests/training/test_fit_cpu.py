"""Memory on a CPU: what the small model was measured to take, and that the prediction knows the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.evaluation import packing
from core.training import fit, fit_cpu
from core.training import recipe as recipes
from core.training.architectures import KNOWN
from core.training.fit import Load
from tests.training.test_layer import by_hand
from tests.training.test_loss import build

MIB = 1 << 20
SMALL = KNOWN["smollm2-135m"]
LIBRARY = "train.low_rank_in_model_dtype=false"
CHECKPOINTED, DROPOUT = "train.gradient_checkpointing=true", "lora.dropout=0.05"
EIGHT, ONE = "train.batch_size=8", "train.batch_size=1"
# overrides of the recipe, longest row, steps, highest resident set of the process in MiB
MEASURED: list[tuple[tuple[str, ...], int, int, int]] = [
    ((ONE,), 131, 150, 1304),
    ((), 131, 40, 1520),
    ((EIGHT,), 131, 12, 1597),
    ((), 410, 10, 2531),
    (("model.attention=sdpa",), 410, 6, 2684),
    ((LIBRARY,), 131, 8, 1628),
    ((EIGHT, LIBRARY), 131, 8, 2352),
    ((LIBRARY,), 410, 6, 4215),
    (("probe.every=50",), 131, 60, 1736),
    (("train.batch_size=8", LIBRARY, CHECKPOINTED), 196, 3, 2074),
    (("train.batch_size=2", LIBRARY, CHECKPOINTED), 296, 4, 1347),
]
# the same for settings that no constant was set on
HELD_OUT: list[tuple[tuple[str, ...], int, int, int]] = [
    (("train.batch_size=2",), 246, 5, 1360),
    (("lora.r=128", "lora.alpha=256"), 296, 4, 2351),
    (("lora.r=32", "lora.alpha=64", "train.batch_size=6", LIBRARY), 197, 4, 2847),
    (("train.batch_size=2", "model.dtype=float32"), 196, 4, 1588),
    ((CHECKPOINTED,), 296, 4, 1195),
    (("lora.r=32", "lora.alpha=64", "train.batch_size=8", CHECKPOINTED), 396, 3, 1362),
    (("lora.r=32", "lora.alpha=64", "train.batch_size=3", DROPOUT, CHECKPOINTED), 246, 4, 1679),
]


@pytest.mark.parametrize(("overrides", "longest", "steps", "mib"), [*MEASURED, *HELD_OUT])
def test_within_15_per_cent_of_what_was_measured(
    overrides: tuple[str, ...], longest: int, steps: int, mib: int
) -> None:
    recipe = recipes.load_recipe("smollm2-135m", ["probe.every=0", *overrides])
    load = fit.load_of(recipe, longest, steps, kind="cpu")
    assert fit.peak(recipe, SMALL, load, kind="cpu").total / MIB == pytest.approx(mib, rel=0.15)


def test_it_says_what_the_trainer_has() -> None:
    """Torch comes with those, so the prediction has figures of its own."""
    from core.training import attention, fast, layer, probe

    assert fit_cpu.LENGTH_STEP == fast.CPU_LENGTH
    assert fit_cpu.BY_HAND == layer.FAMILIES
    assert fit_cpu.SHORT == attention.SHORT
    assert fit_cpu.PROBED_AT_ONCE == probe.BATCH
    assert fit_cpu.MOST_PACKED == packing.MAX_BYTES


@pytest.mark.parametrize(
    "overrides",
    [(), (LIBRARY,), ("lora.dropout=0.05",)],
    ids=["by-hand", "library", "dropout"],
)
def test_layers_by_hand_are_predicted_where_they_are(
    models: Path, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    trainer = build(models, tmp_path, *overrides)
    recipe = recipes.load_recipe("tiny", overrides)
    assert fit_cpu.by_hand(recipe, KNOWN["tiny"], 100) == (by_hand(trainer) == 2)
    assert by_hand(trainer) == trainer.layers_by_hand


@pytest.mark.parametrize("wanted", ["auto", "flash", "sdpa", "eager"])
@pytest.mark.parametrize("longest", [100, 512, 513])
def test_attention_is_predicted_as_it_is_chosen(wanted: str, longest: int) -> None:
    from core.training.attention import attention

    recipe = recipes.load_recipe("tiny", [f"model.attention={wanted}"])
    assert fit_cpu.eager(recipe, longest) == (attention(recipe, longest)[0] == "eager")


def test_rows_are_as_long_as_they_are_padded_to(models: Path, tmp_path: Path) -> None:
    """On a CPU, where the trainer pads to a multiple; an accelerator's rows stay as long as they are."""
    recipe = recipes.load_recipe("tiny", ["train.max_length=300"])
    assert fit.load_of(recipe, 131, kind="cpu").longest == 136
    assert fit.load_of(recipe, 5000, kind="cpu").longest == 304
    assert fit.load_of(recipe, 131).longest == 131
    found = fit.fit(recipe, KNOWN["tiny"], fit.Memory(1 << 34, 1 << 34, "cpu"), longest=131)
    assert found.load.longest == 136
    trainer = build(models, tmp_path)
    row = trainer.train_dataset[0]
    batch = trainer.data_collator([row])
    assert batch["input_ids"].shape[1] == fit_cpu.padded(len(row["input_ids"]))


def test_what_makes_it_larger() -> None:
    recipe = recipes.load_recipe("smollm2-135m", ["probe.every=0"])

    def total(load: Load, **train: Any) -> int:
        other = fit.changed(recipe, train=train) if train else recipe
        return fit.peak(other, SMALL, load, kind="cpu").total

    base = total(Load(4, 131))
    assert total(Load(8, 131)) > base > total(Load(4, 131, steps=5))
    assert total(Load(4, 131), low_rank_in_model_dtype=False) > base
    assert total(Load(4, 131), gradient_checkpointing=True) < base
    probed = fit.changed(recipe, probe={"every": 200})
    assert fit.peak(probed, SMALL, Load(4, 131), kind="cpu").total > base
    assert (
        fit.peak(recipe, SMALL, Load(4, 131)).overhead > fit.CONTEXT
    )  # an accelerator has its own
