"""Which attention implementation a training uses, and why. What the recipe wishes for may not be there."""

from __future__ import annotations

import importlib

from core.errors import MissingComponent
from core.training.environment import device
from core.training.recipe import Recipe

SHORT = 512  # tokens up to which plain attention beats the blocked kernels on a CPU
HOPPER = (9, 0)  # compute capability that flash-attn 3 is written for
PACKAGES = {"flash_attention_3": "flash_attn_interface", "flash_attention_2": "flash_attn"}


def attention(recipe: Recipe, longest: int) -> tuple[str, str]:
    """The attention implementation to use, and a note on why. longest: tokens of a row.

    Raises MissingComponent where flash-attn is installed and cannot be imported: that is a broken
    build, which would otherwise look like a slow model.
    """
    wanted, gpu = recipe.model.attention, device() == "cuda"
    if wanted in ("eager", "sdpa"):
        return wanted, f"attention: {wanted} (recipe)"
    if not gpu:
        because = " (no accelerator here)" if wanted == "flash" else ""
        if longest <= SHORT:
            return "eager", f"attention: eager, fastest on a CPU up to {SHORT} tokens{because}"
        return "sdpa", f"attention: sdpa{because}"
    if recipe.model.dtype != "bfloat16":
        return "sdpa", f"attention: sdpa (flash-attn reads no {recipe.model.dtype})"
    for name, package in PACKAGES.items():
        if name == "flash_attention_3" and _capability() < HOPPER:
            continue
        if _importable(package, named=wanted == "flash"):
            return name, f"attention: {name.replace('_', ' ')}"
    return "sdpa", "attention: sdpa" + (
        " (flash-attn is not installed)" if wanted == "flash" else ""
    )


def _importable(package: str, *, named: bool) -> bool:
    """named: the recipe asks for it, so a broken one is an error."""
    try:
        importlib.import_module(package)
        return True
    except ModuleNotFoundError as e:
        if e.name == package:
            return False
        error: ImportError = e
    except ImportError as e:  # built for another torch or CUDA: undefined symbol, missing library
        error = e
    if not named:
        return False
    raise MissingComponent(
        f"{package} is installed here and cannot be imported",
        why=str(error).splitlines()[0][:300],
        try_next="build it against this torch and CUDA, or --set model.attention=sdpa",
    ) from error


def _capability() -> tuple[int, int]:
    import torch

    major, minor = torch.cuda.get_device_capability()
    return major, minor
