"""What cannot work at all, found before anything is sent or loaded: no reason makes it run. Light."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import base_models
from core.errors import MissingComponent, PairsError, UsageError
from core.training import distributed
from core.training.cost import steps_of
from core.training.data import Conversation
from core.training.preflight_report import RowLink
from core.training.recipe import Recipe

if TYPE_CHECKING:
    from core.training.preflight import Finding, PreflightReport

NAMED = 5  # rows that an error names; the report has more


class PreflightRefused(UsageError):
    """Rows, tokenizer or template would teach something wrong. check: which part of the preflight."""

    check = ""


def refuse(report: PreflightReport) -> None:
    """Raises PreflightRefused for the first error of a report, with links to its rows."""
    if report.ok:
        return
    first, *others = report.errors
    why = [first.why] if first.why else []
    why += [f"also: {f.text}" for f in others]
    error = PreflightRefused(
        first.text + (f": {_links(first)}" if first.rows else ""),
        why="; ".join(why),
        try_next=first.try_next,
    )
    error.check = first.check
    raise error


def _links(finding: Finding) -> str:
    shown = ", ".join(str(link) for link in finding.rows[:NAMED])
    more = finding.count - NAMED
    return shown + (f" and {more} more" if more > 0 else "")


def check_rows(rows: Sequence[Conversation], file: Path) -> None:
    """Raises PairsError for a single row. That there is one at all is seen where they are read."""
    if len(rows) == 1:
        raise PairsError(
            f"one pair is no training set: {RowLink(str(file), rows[0].line, rows[0].id)}",
            why="its words would be learned, and nothing else",
            try_next="freeze a snapshot that has more (`qa snapshots freeze`)",
        )


def check_steps(recipe: Recipe, rows: int) -> None:
    """Raises UsageError for a run that is nothing but the first step of its warm-up, which has rate 0.

    rows: to be trained, rewordings included.
    """
    if recipe.train.warmup and steps_of(recipe, rows) == 1:
        raise UsageError(
            "the run is a single optimizer step, and that is its warm-up: the rate is 0, nothing is learned",
            why=f"{rows} rows make one step of {recipe.train.batch_size * recipe.train.accumulate} rows "
            f"in {recipe.train.epochs:g} epochs, and train.warmup is {recipe.train.warmup:g}",
            try_next="--set train.warmup=0, a smaller train.batch_size, or more epochs",
        )


def check_started(recipe: Recipe) -> None:
    """Raises UsageError where fewer processes were started than the recipe asks for."""
    wanted, started = recipe.train.processes, distributed.world_size()
    if wanted > started:
        raise UsageError(
            f"the recipe asks for {wanted} processes, {started} "
            f"{'was' if started == 1 else 'were'} started",
            why="each takes a part of every step"
            + ("; sharded over fewer, the model does not fit" if _shards(recipe) else ""),
            try_next=f"torchrun --nproc-per-node={wanted} -m core.training …, or "
            f"--set train.processes={started} --set train.sharding=none",
        )


def _shards(recipe: Recipe) -> bool:
    return recipe.train.sharding != "none"


def check_devices(recipe: Recipe, devices: int | None, host: str) -> None:
    """Raises UsageError for a recipe of more accelerators than the host has. None: not known."""
    wanted = recipe.train.processes
    if devices is not None and wanted > max(devices, 1):
        have = f"{devices} accelerator{'' if devices == 1 else 's'}" if devices else "none"
        raise UsageError(
            f"the recipe asks for {wanted} accelerators, {host} has {have}",
            try_next=f"--set train.processes={max(devices, 1)} --set train.sharding=none, or a host "
            "that has them (launcher: slurm)",
        )


def check_adapter(config: Mapping[str, Any], recipe: Recipe, where: str) -> None:
    """An adapter to go on from: of this base and of this shape. config: its adapter_config.json.

    Raises UsageError.
    """
    base = str(config.get("base_model_name_or_path") or "")
    if base and base not in (recipe.model.name, base_models.REPOSITORIES.get(recipe.model.name)):
        raise UsageError(
            f"{where}: an adapter for the base model {base[:200]}, the recipe says {recipe.model.name}",
            why="the low-rank factors fit no other weights",
            try_next="name an adapter of this base, or train a new one",
        )
    for key, has, wants in (
        ("lora.r", config.get("r"), recipe.lora.r),
        ("lora.alpha", config.get("lora_alpha"), recipe.lora.alpha),
    ):
        if has is not None and has != wants:
            raise UsageError(
                f"{where}: trained with {key} = {has}, the recipe says {wants}",
                why="an adapter cannot change its shape while it is trained on",
                try_next=f"--set {key}={has}, or train a new adapter",
            )


def check_adapter_directory(folder: Path, recipe: Recipe) -> None:
    """Raises MissingComponent (no adapter there), UsageError."""
    file = folder / "adapter_config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise MissingComponent(
            f"{folder}: no adapter there",
            why=f"{file.name} is missing",
            try_next="name the artifacts/adapter directory of a finished training",
        ) from None
    except (OSError, ValueError) as e:
        raise UsageError(f"{file}: cannot be read", why=str(e)) from e
    if not isinstance(config, dict):
        raise UsageError(f"{file}: not an object")
    check_adapter(config, recipe, str(folder))


def check_same_base(earlier: Mapping[str, Any], recipe: Recipe, where: str) -> None:
    """The same by the resolved recipe of the earlier job, where its adapter is not on this machine."""
    model, lora = earlier.get("model") or {}, earlier.get("lora") or {}
    config = {
        "base_model_name_or_path": model.get("name"),
        "r": lora.get("r"),
        "lora_alpha": lora.get("alpha"),
    }
    check_adapter(config, recipe, where)
