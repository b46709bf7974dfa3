"""What a training leaves: the adapter in safetensors, with its recipe, its template and its card.

adapter/
  adapter_config.json  adapter_model.safetensors     what PEFT and vLLM load
  chat_template.jinja                                what the server must render with
  recipe.yaml                                        every value of the training
  about.json                                         base, rank, hashes, what it is a sum of
  README.md
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import base_manifest
from core.jobdir import write_atomic
from core.training.adapter_files import ABOUT, ADDITION, CONFIG, TEMPLATE, WEIGHTS
from core.training.recipe import Recipe


def save(
    folder: Path,
    model: Any,
    recipe: Recipe,
    *,
    tokenizer: Any = None,
    earlier: Path | None = None,
) -> str:
    """Write `folder` whole or not at all; sha256 of the weights.

    The adapter names its base by the recipe's name, not by a path of this host, and no hub is
    asked whether the base's vocabulary grew (`save_embedding_layers` would).

    earlier: the adapter that was summed into the base before `model` was attached. The folder then
    gets the sum of both, for the base as it is, and ADDITION beside it what was trained now.
    """
    temp = _fresh(folder.with_name(f".{folder.name}.tmp"))
    parts: list[Path] = []
    if earlier is None:
        _save_plain(temp, model, recipe)
    else:
        from core.training import lowrank

        addition = _fresh(folder.with_name(ADDITION))
        _save_plain(addition, model, recipe)
        parts = [earlier, addition]
        experts = getattr(model.config, "num_local_experts", None)
        lowrank.write_sum(parts, temp, experts=experts)
    write_atomic(temp / "recipe.yaml", recipe.to_yaml().encode())
    if tokenizer is not None and tokenizer.chat_template:
        write_atomic(temp / TEMPLATE, str(tokenizer.chat_template).encode())
    describe(temp, parts=parts)
    shutil.rmtree(folder, ignore_errors=True)
    temp.rename(folder)
    return base_manifest.sha256(folder / WEIGHTS)


def describe(folder: Path, *, parts: Sequence[Path] = ()) -> None:
    """Write about.json and README.md of a saved adapter. parts: the adapters it is the sum of."""
    from core.training.adapter_card import card
    from core.training.adapter_files import read

    files = read(folder)
    template = folder / TEMPLATE
    about = {
        "base_model": files.base,
        "rank": files.rank,
        "chat_template_sha256": base_manifest.sha256(template) if template.is_file() else None,
        "sum_of": [{"adapter": p.name, "sha256": base_manifest.sha256(p / WEIGHTS)} for p in parts],
        "files": {
            name: base_manifest.sha256(folder / name)
            for name in (WEIGHTS, CONFIG, TEMPLATE, "recipe.yaml")
            if (folder / name).is_file()
        },
    }
    write_atomic(folder / ABOUT, json.dumps(about, indent=1, ensure_ascii=False).encode())
    write_atomic(folder / "README.md", card(files, about).encode())


def _save_plain(folder: Path, model: Any, recipe: Recipe) -> None:
    for config in model.peft_config.values():
        config.base_model_name_or_path = recipe.model.name
    model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # an empty form to fill in


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
