"""Recipes: what to train and how, as typed YAML with profiles and overrides. Light: no torch.

A recipe file holds the sections `model`, `lora`, `train` and, if wanted, `profiles`: named sets of
values laid over the sections. `profile` names the one in force. Later wins: section, profile,
`--set`.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from core import locations
from core.errors import SettingsError
from core.settings import Loc, Settings, read_yaml, validate

Targets = Literal["all-linear"] | list[str]


class ModelPart(Settings):
    """name: under the models directory, or a path.  attention: auto picks by device and length."""

    name: str
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    attention: Literal["auto", "eager", "sdpa", "flash"] = "auto"


class LoraPart(Settings):
    """Low-rank adaptation: W + (alpha / r) B A on each target. targets: module name endings."""

    r: int = Field(64, ge=1, le=1024)
    alpha: float = Field(128, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Targets = Field(default=["q_proj", "k_proj", "v_proj", "o_proj"])

    @field_validator("targets")
    @classmethod
    def _some(cls, v: Targets) -> Targets:
        if not v:
            raise ValueError("name at least one module, or all-linear")
        return v


class TrainPart(Settings):
    """One optimisation run.

    batch_size: rows per device and step.  warmup: share of all steps.  max_length: tokens a row may
    have (a longer one is refused, never cut).  rewordings: mechanical variants of each question
    that are trained beside it.  checkpoint_every: optimizer steps; 0 = each epoch.
    threads: CPU threads; 0 = all this process may use.
    """

    epochs: float = Field(3, gt=0)
    batch_size: int = Field(4, ge=1)
    accumulate: int = Field(1, ge=1)
    lr: float = Field(2e-5, gt=0, lt=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    optimizer: Literal["adamw_torch_fused", "adamw_torch"] = "adamw_torch_fused"
    max_length: int = Field(1024, ge=16)
    gradient_checkpointing: bool = False
    group_by_length: bool = False
    rewordings: int = Field(0, ge=0, le=3)
    light_loss: bool = True
    low_rank_in_model_dtype: bool = True
    checkpoint_every: int = Field(0, ge=0)
    keep_checkpoints: int = Field(2, ge=1)
    log_every: int = Field(1, ge=1)
    seed: int = Field(0, ge=0)
    threads: int = Field(0, ge=0)


class Recipe(Settings):
    name: str
    about: str = ""
    profile: str = ""
    model: ModelPart
    lora: LoraPart = LoraPart()  # type: ignore[call-arg]
    train: TrainPart = TrainPart()  # type: ignore[call-arg]

    def resolved(self) -> dict[str, Any]:
        """Plain data with every value spelled out, as stored with a run."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.resolved(), sort_keys=False, allow_unicode=True)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A recipe and where each value came from: "FILE:LINE", "--set" or "default"."""

    recipe: Recipe
    origins: dict[str, str]


def recipes_dir() -> Path:
    return locations.configs() / "recipes"


def names() -> list[str]:
    return sorted(p.stem for p in recipes_dir().glob("*.yaml"))


def load_recipe(
    name_or_path: str | Path, overrides: Iterable[str] = (), *, profile: str | None = None
) -> Recipe:
    """A recipe by name (`configs/recipes/NAME.yaml`) or path; `overrides`: ["lora.r=32", …].

    Raises SettingsError naming file, line, key and the nearest valid key.
    """
    return load_with_origins(name_or_path, overrides, profile=profile).recipe


def load_with_origins(
    name_or_path: str | Path, overrides: Iterable[str] = (), *, profile: str | None = None
) -> Loaded:
    path = _find(name_or_path)
    data, lines = read_yaml(path)
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: not a recipe", why="it holds no `key: value` lines")
    changes = [_parse_override(text) for text in overrides]
    chosen = profile or next((str(v) for k, v in changes if k == ("profile",)), None)
    body, body_lines = _lay_profile(path, data, lines, chosen)
    recipe = validate(body, Recipe, origin=str(path), lines=body_lines)
    for loc, value in changes:  # one by one, so that the error names the override at fault
        _assign(body, loc, value)
        recipe = validate(body, Recipe, origin=f"--set {'.'.join(loc)}")
    origins = {
        ".".join(loc): f"{path.name}:{body_lines[loc]}" if loc in body_lines else "default"
        for loc in _leaves(recipe.resolved())
    }
    origins |= {".".join(loc): "--set" for loc, _ in changes}
    return Loaded(recipe, origins)


def from_settings(data: Any, *, origin: str = "spec.json: recipe") -> Recipe:
    """The resolved recipe of a job specification, checked again."""
    return validate(data, Recipe, origin=origin)


def smoke(recipe: Recipe) -> Recipe:
    """One epoch: does the whole path work, before the hours are spent?"""
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": 1.0})})


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    found = recipes_dir() / f"{name_or_path}.yaml"
    if not found.is_file():
        near = difflib.get_close_matches(str(name_or_path), names(), 1)
        raise SettingsError(
            f"no recipe {str(name_or_path)!r} in {recipes_dir()}",
            try_next=f"did you mean {near[0]}?" if near else f"one of: {', '.join(names())}",
        )
    return found


def _lay_profile(
    path: Path, data: dict[str, Any], lines: dict[Loc, int], chosen: str | None
) -> tuple[dict[str, Any], dict[Loc, int]]:
    """Sections with the chosen profile laid over them; every other profile is checked as well."""
    profiles = data.get("profiles") or {}
    if not isinstance(profiles, dict):
        raise SettingsError(f"{path}:{lines[('profiles',)]}: 'profiles' must hold named sections")
    chosen = chosen or str(data.get("profile") or "")
    if chosen and chosen not in profiles:
        near = difflib.get_close_matches(chosen, list(profiles), 1)
        raise SettingsError(
            f"{path}: no profile {chosen!r}",
            try_next=f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(profiles)}",
        )
    plain = {k: v for k, v in data.items() if k != "profiles"}
    laid: dict[str, tuple[dict[str, Any], dict[Loc, int]]] = {}
    for name, values in profiles.items():
        body, where = copy.deepcopy(plain), dict(lines)
        for loc, value in _entries(values or {}):
            _assign(body, loc, value)
            where[loc] = lines[("profiles", str(name), *loc)]
        body["profile"] = str(name)
        validate(body, Recipe, origin=str(path), lines=where)
        laid[str(name)] = (body, where)
    return laid[chosen] if chosen else (plain, dict(lines))


def _entries(values: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(values, dict):
        for k, v in values.items():
            yield from _entries(v, (*at, str(k)))
    else:
        yield at, values


def _leaves(values: Any) -> Iterator[tuple[str, ...]]:
    return (loc for loc, _ in _entries(values))


def _assign(body: dict[str, Any], loc: tuple[str, ...], value: Any) -> None:
    here = body
    for key in loc[:-1]:
        inner = here.get(key)
        if not isinstance(inner, dict):
            inner = here[key] = {}
        here = inner
    if loc:
        here[loc[-1]] = value


def _parse_override(text: str) -> tuple[tuple[str, ...], Any]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise SettingsError(
            f"--set {text!r}: not of the form key=value", try_next="for example --set lora.r=32"
        )
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as e:
        raise SettingsError(f"--set {text!r}: the value is not YAML", why=str(e)) from e
    return tuple(key.strip().split(".")), parsed
