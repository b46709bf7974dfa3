"""An adapter directory as it lies on disk: its configuration, its tensors' names and shapes. Light.

Only safetensors is read. A pickle can run code when it is opened, so a directory that has nothing else
is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import base_manifest
from core.errors import EnvironmentProblem, MissingComponent, UsageError
from core.registry.precheck import header_fault, read_header

# the files of an adapter's folder
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
ABOUT = "about.json"
TEMPLATE = "chat_template.jinja"
ADDITION = "addition"  # what was trained beside an earlier adapter, alone

PICKLES = ("adapter_model.bin", "adapter_model.pt", "adapter_model.pth", "adapter_model.pkl")


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """config: adapter_config.json.  shapes: tensor name → shape.  about: what the training wrote
    beside it (about.json), {} where it did not.
    """

    folder: Path
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    about: Mapping[str, Any]

    @property
    def base(self) -> str:
        """The base model's name or path as the configuration has it; "" if it has none."""
        return str(self.config.get("base_model_name_or_path") or "")

    @property
    def rank(self) -> int:
        """The largest rank of a layer, by the configuration."""
        pattern = self.config.get("rank_pattern")
        ranks = [self.config.get("r"), *(pattern.values() if isinstance(pattern, dict) else ())]
        return max((r for r in ranks if isinstance(r, int)), default=0)


def pickles(folder: Path) -> list[str]:
    """Names of pickled weights in an adapter directory."""
    return [name for name in PICKLES if (folder / name).is_file()]


def read(folder: Path) -> AdapterFiles:
    """Configuration and header of the weights; no tensor is loaded.

    Raises MissingComponent (no adapter), UsageError (a pickle, not LoRA), EnvironmentProblem (damaged).
    """
    config = _config(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        found = pickles(folder)
        if found:
            raise UsageError(
                f"{folder}: {found[0]} is a pickle, which can run code when it is opened",
                why=f"there is no {WEIGHTS}",
                try_next="save the adapter again with safe_serialization=True, where it came from",
            )
        raise MissingComponent(
            f"{folder}: no adapter there",
            why=f"{WEIGHTS} is missing",
            try_next="name the artifacts/adapter directory of a finished training",
        )
    if str(config.get("peft_type") or "").upper() != "LORA" or not isinstance(config.get("r"), int):
        raise UsageError(
            f"{folder}: not a LoRA adapter",
            why=f"{CONFIG} says peft_type {str(config.get('peft_type'))[:40]!r} "
            f"and r {str(config.get('r'))[:20]}",
        )
    header, body = read_header(weights)
    fault = "it has no safetensors header" if header is None else header_fault(header, config, body)
    if header is None or fault:
        raise EnvironmentProblem(
            f"{weights}: the weights are damaged",
            why=str(fault),
            try_next="copy the adapter again from where it was trained",
        )
    shapes = {name: tuple(t["shape"]) for name, t in header.items() if name != "__metadata__"}
    return AdapterFiles(folder, config, shapes, _about(folder))


def check_hashes(files: AdapterFiles) -> list[str]:
    """Files that are not what the training wrote, by its about.json; [] also where it has none."""
    known = files.about.get("files")
    wrong = []
    for name, digest in known.items() if isinstance(known, dict) else ():
        path = files.folder / Path(str(name)).name  # a name, never a path out of the folder
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif base_manifest.sha256(path) != digest:
            wrong.append(f"{name} was changed since it was written")
    return wrong


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise MissingComponent(
            f"{folder}: no adapter there",
            why=f"{CONFIG} is missing",
            try_next="name the artifacts/adapter directory of a finished training",
        ) from None
    except (OSError, ValueError, RecursionError) as e:
        raise UsageError(f"{path}: cannot be read", why=str(e)[:300]) from e
    if not isinstance(config, dict):
        raise UsageError(f"{path}: not an object")
    return config


def _about(folder: Path) -> Mapping[str, Any]:
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}
