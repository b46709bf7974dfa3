"""Adapters into weights: summed in float32 from the pristine base, rounded once, measured. Imports torch.

A merge of a merge would round twice, and each rounding takes from what was there; so the base must be
one that nothing was merged into, and all adapters are given at once. What a merge writes says so
(merge.json) and is not taken for a base again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core import base_manifest, base_models
from core.errors import EnvironmentProblem, UsageError
from core.training import lowrank, survival
from core.training.adapter_files import WEIGHTS, read
from core.training.lowrank import Factors
from core.training.recipe import Recipe
from core.training.survival import Survival

RECORD = "merge.json"
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class Part:
    """One summand."""

    adapter: Path
    weight: float = 1.0


def check_pristine(base: Path) -> None:
    """Raises UsageError: something was merged into it; or quantised weights, which cannot be added to."""
    if (base / RECORD).is_file():
        raise UsageError(
            f"{base}: adapters were merged into these weights already",
            why="a second merge rounds what the first one left, and loses more each time",
            try_next="name the base it was made from, and all adapters at once: "
            "qa adapter merge FIRST SECOND --base BASE",
        )
    try:
        config = json.loads((base / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise EnvironmentProblem(f"{base}: config.json cannot be read", why=str(e)[:300]) from e
    if config.get("quantization_config"):
        raise UsageError(
            f"{base}: its weights are quantised",
            why="adding to them would quantise the update as well, coarsely",
            try_next="merge into the bfloat16 weights, then quantise the result",
        )


def load_base(base: Path) -> Any:
    """The model in the dtype its files have, on the CPU. Raises EnvironmentProblem."""
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            str(base), dtype="auto", local_files_only=True
        ).eval()
    except Exception as e:
        damaged = type(e).__name__ == "SafetensorError"
        if not damaged and not isinstance(e, OSError | ValueError | KeyError | RuntimeError):
            raise
        raise EnvironmentProblem(
            f"{base}: the weights are damaged"
            if damaged
            else f"{base}: the model cannot be loaded",
            why=str(e).splitlines()[0][:300] if str(e) else type(e).__name__,
            try_next="fetch or copy it again (`qa model fetch NAME`)",
        ) from e


def attach_parts(model: Any, parts: Sequence[Part]) -> Any:
    """`model` with every adapter beside its weights, none merged: names p0, p1, … all active."""
    from peft import PeftModel

    lowrank.same_base([read(p.adapter) for p in parts])
    peft: Any = None
    for n, part in enumerate(parts):
        try:
            if peft is None:
                peft = PeftModel.from_pretrained(
                    model, str(part.adapter), adapter_name="p0", local_files_only=True
                )
            else:
                peft.load_adapter(str(part.adapter), adapter_name=f"p{n}", local_files_only=True)
        except (RuntimeError, ValueError, KeyError) as e:
            raise UsageError(
                f"{part.adapter}: the adapter does not fit this base model",
                why=" ".join(str(e).split())[:300] or type(e).__name__,
                try_next="name the base model it was trained on (--base)",
            ) from e
    for _, layer in _layers(peft):
        for n, part in enumerate(parts):
            if f"p{n}" in layer.scaling:
                layer.scaling[f"p{n}"] *= part.weight
    peft.base_model.set_adapter([f"p{n}" for n in range(len(parts))])
    return peft.eval()


def fold_in(peft: Any, parts: Sequence[Part], dtype: torch.dtype) -> Survival:
    """Add the parts into the weights of the model inside `peft`, in float32, rounded once to `dtype`.

    Only adapted weights change. The adapters stay attached: `peft.unload()` gives the model.
    Raises MergeLoss on numbers that are none, UsageError where the update has no place.
    """
    read_parts = [read(p.adapter) for p in parts]
    experts = getattr(peft.config, "num_local_experts", None)
    loaded = [
        lowrank.load(files, weight=part.weight, experts=experts)
        for files, part in zip(read_parts, parts, strict=True)
    ]
    unused = {module for one in loaded for module in one}
    layers = []
    for name, layer in _layers(peft):
        factors = [one[name] for one in loaded if name in one]
        unused.discard(name)
        if not factors:
            continue
        total = lowrank.beside(factors)
        parameter = _parameter(layer)
        _check_not_tied(peft, name, parameter)
        update = _placed(total, layer, parameter, name)
        merged, figures = survival.fold(
            _shown(name, layer), parameter, update, dtype, total.true_rank()
        )
        parameter.data = merged
        layers.append(figures)
    if unused:
        raise UsageError(
            f"{len(unused)} layers of the adapters have no place in this model: "
            f"{', '.join(sorted(unused)[:3])[:300]}",
            try_next="name the base model they were trained on (--base)",
        )
    return survival.of(layers, dtype)


def absorb(model: Any, adapter: Path, recipe: Recipe) -> Survival:
    """For a training beside it: an earlier adapter into the weights of `model`, in its own dtype.

    In place; raises MergeLoss below incremental.min_survival, UsageError for another base.
    """
    parts = [Part(adapter)]
    dtype = next(p.dtype for p in model.parameters() if p.is_floating_point())
    peft = attach_parts(model, parts)
    found = fold_in(peft, parts, dtype).require(recipe.incremental.min_survival)
    peft.unload()
    return found


def record(
    parts: Sequence[Part], base: str, base_dir: Path, found: Survival, check: Any
) -> dict[str, Any]:
    """What merge.json holds: from what, how much survived, and how the result was checked."""
    from core.training.environment import versions

    return {
        "base_model": base,
        **base_models.identity(base_dir),
        "adapters": [
            {
                "adapter": p.adapter.name,
                "weight": p.weight,
                "rank": read(p.adapter).rank,
                "sha256": base_manifest.sha256(p.adapter / WEIGHTS),
            }
            for p in parts
        ],
        "survival": found.as_dict(),
        "logits": asdict(check) if check is not None else None,
        "versions": versions(),
    }


def _layers(peft: Any) -> Iterator[tuple[str, Any]]:
    """(name as in an adapter file, LoRA layer)."""
    return ((n, m) for n, m in peft.named_modules() if hasattr(m, "lora_A"))


def _parameter(layer: Any) -> nn.Parameter:
    """The weight that a LoRA layer adapts, under any number of wrappers."""
    if hasattr(layer, "get_param"):
        found: nn.Parameter = layer.get_param()
        return found
    return layer.get_base_layer().weight  # type: ignore[no-any-return]


def _check_not_tied(peft: Any, name: str, parameter: nn.Parameter) -> None:
    """A head that shares its weights with the embedding: an update of the one would change both."""
    tied = bool(getattr(peft.config, "tie_word_embeddings", False))
    if tied and name.endswith(("lm_head", "embed_tokens")):
        raise UsageError(
            f"{name}: this model's head and embedding are one tensor {tuple(parameter.shape)}",
            why="merged, an update of the one would change the other as well",
            try_next="serve the adapter beside the base",
        )


def _placed(total: Factors, layer: Any, parameter: nn.Parameter, name: str) -> torch.Tensor:
    """The update in the shape of its weight. Raises UsageError where it has another."""
    update = total.update()  # (experts, out, in)
    if parameter.dim() == 2:
        update = update[0].T if getattr(layer, "fan_in_fan_out", False) else update[0]
    elif update.shape != parameter.shape and update.transpose(1, 2).shape == parameter.shape:
        update = update.transpose(1, 2)  # models that store (experts, in, out)
    if update.shape != parameter.shape:
        raise UsageError(
            f"{name[:160]}: an update of shape {tuple(update.shape)} for a weight of "
            f"{tuple(parameter.shape)}",
            try_next="name the base model it was trained on (--base)",
        )
    return update


def _shown(name: str, layer: Any) -> str:
    short = name.removeprefix("base_model.model.").replace(".base_layer", "")
    parameter = getattr(layer, "parameter_name", "weight")
    return short if parameter == "weight" else f"{short}.{parameter}"
