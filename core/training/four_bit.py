"""Loading a base model in 4 bit: NF4 with double quantisation, as QLoRA trains on. Needs bitsandbytes."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from core.errors import EnvironmentProblem, MissingComponent
from core.training.recipe import Recipe

PACKAGE = "bitsandbytes"


def wanted(recipe: Recipe) -> bool:
    return recipe.model.quantise == "nf4"


def require(recipe: Recipe, *, gpu: bool) -> None:
    """Raises MissingComponent or EnvironmentProblem where 4 bit is asked for and cannot be had."""
    if not wanted(recipe):
        return
    ways_out = "--set model.quantise=none if the model fits in bf16 (`qa recipe check` says)"
    if not gpu:
        raise EnvironmentProblem(
            "the recipe loads the model in 4 bit, and there is no accelerator here",
            why=f"{PACKAGE} packs and unpacks the weights on a GPU",
            try_next=f"run it on a host with one, or {ways_out}",
        )
    if find_spec(PACKAGE) is None:
        raise MissingComponent(
            f"the recipe loads the model in 4 bit, and {PACKAGE} is not installed on this host",
            why="it holds the weights in 4 bit and multiplies by them",
            try_next=f"pip install -c constraints.txt -e '.[four-bit]', or {ways_out}",
        )


def loading(recipe: Recipe) -> dict[str, Any]:
    """What `from_pretrained` is told; {} for a model that is not quantised.

    The adapter is not touched by it. Packed weights that are to be divided among processes are stored
    in the recipe's dtype, four to two bytes: what is sharded must all be of one dtype.
    """
    if not wanted(recipe):
        return {}
    from transformers import BitsAndBytesConfig

    from core.training.environment import dtype

    compute = dtype(recipe.model.dtype)
    storage = {"bnb_4bit_quant_storage": compute} if recipe.train.sharding == "fsdp" else {}
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
            **storage,
        ),
        "device_map": {"": int(os.environ.get("LOCAL_RANK", "0"))},
    }


def keep_adapter_float32(model: Any, recipe: Recipe) -> None:
    """After the trainer is built, which casts the adapter of a 4-bit model to bf16.

    In bf16 an Adam step smaller than 1/256 of a weight rounds away: at QLoRA's rates that is many of
    them. The optimizer is made later, so it sees float32.
    """
    if wanted(recipe):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
