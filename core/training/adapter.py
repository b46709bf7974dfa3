"""What a training leaves: the adapter in safetensors with its recipe, and the summary."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from core import base_models
from core.jobdir import write_atomic
from core.training.recipe import Recipe

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def save(folder: Path, model: Any, recipe: Recipe) -> str:
    """Write `folder` whole or not at all; sha256 of the weights.

    The adapter names its base by the recipe's name, not by a path of this host, and no hub is
    asked whether the base's vocabulary grew (`save_embedding_layers` would).
    """
    temp = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temp, ignore_errors=True)
    temp.mkdir(parents=True)
    for config in model.peft_config.values():
        config.base_model_name_or_path = recipe.model.name
    model.save_pretrained(str(temp), safe_serialization=True, save_embedding_layers=False)
    (temp / "README.md").unlink(missing_ok=True)  # an empty form to fill in
    write_atomic(temp / "recipe.yaml", recipe.to_yaml().encode())
    shutil.rmtree(folder, ignore_errors=True)
    temp.rename(folder)
    return base_models.sha256(folder / WEIGHTS)


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
