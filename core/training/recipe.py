"""Recipes: what to train and how, as typed YAML with profiles and overrides. Light: no torch.

A recipe file holds the sections `model`, `lora`, `train` and, if wanted, `profiles`: named sets of
values laid over the sections. `profile` names the one in force. Later wins: section, profile,
`--set`.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationInfo, field_validator

from core import locations
from core.errors import SettingsError
from core.settings import Loc, Settings, read_yaml, refuse_twice, validate

Targets = Literal["all-linear"] | list[str]


RULES = tuple(f"L{n}" for n in range(1, 11))  # what core.training.lint looks at
SMOKE_PROBE = 4  # questions of each kind in the probe of a smoke run


class Part(Settings):
    """A section. YAML's `yes` and `true` are no numbers here, though Python takes them for 1."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, v: Any, info: ValidationInfo) -> Any:
        wanted = cls.model_fields[info.field_name or ""].annotation
        if isinstance(v, bool) and wanted in (int, float):
            raise ValueError(f"a number is wanted, not {str(v).lower()}")
        return v


class ModelPart(Part):
    """name: under the models directory, or a path.  attention: auto picks by device and length.

    architecture: the shape it has, for predictions where the model itself is not at hand ("" = by
    the name).  quantise: nf4 loads the linear layers in 4 bit with double quantisation.  revision:
    the commit that the directory must hold, or its first letters ("" = whatever is there).
    """

    name: str
    revision: str = Field("", pattern=r"^([0-9a-f]{7,64})?$")
    architecture: str = ""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    attention: Literal["auto", "eager", "sdpa", "flash"] = "auto"
    quantise: Literal["none", "nf4"] = "none"


class LoraPart(Part):
    """Low-rank adaptation: W + (alpha / r) B A on each target. targets: module name endings.

    target_parameters: bare parameters (fused experts) by name ending, beside `targets`.
    rslora: scale by alpha / sqrt(r) instead of alpha / r.
    """

    r: int = Field(64, ge=1, le=1024)
    alpha: float = Field(128, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Targets = Field(default=["q_proj", "k_proj", "v_proj", "o_proj"])
    target_parameters: list[str] = Field(default_factory=list)
    rslora: bool = False

    @field_validator("targets", mode="before")
    @classmethod
    def _some(cls, v: Any) -> Any:
        named = isinstance(v, list) and v and all(isinstance(t, str) for t in v)
        if v == "all-linear" or named:
            return v
        raise ValueError("all-linear, or a list of at least one module name")


class TrainPart(Part):
    """One optimisation run.

    batch_size: rows per device and step.  warmup: share of all steps.  max_length: tokens a row may
    have (a longer one is refused, never cut).  rewordings: mechanical variants of each question
    that are trained beside it.  checkpoint_every: optimizer steps; 0 = each epoch.
    threads: CPU threads; 0 = all this process may use.  packing: when-equal lays the rows of a batch
    end to end in one sequence, if the loss is then proved the same; the steps stay what they are.
    processes: one accelerator each.  sharding: fsdp divides weights, gradients and optimizer among
    them; none keeps all on each.  export: where steps are written besides the
    run's own events.
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
    packing: Literal["off", "when-equal"] = "off"
    processes: int = Field(1, ge=1, le=1024)
    sharding: Literal["none", "fsdp"] = "none"
    export: list[Literal["wandb", "tensorboard"]] = Field(default_factory=list)

    @field_validator("packing", mode="before")
    @classmethod
    def _yaml_reads_off_as_false(cls, v: Any) -> Any:
        return {False: "off", True: "when-equal"}.get(v, v) if isinstance(v, bool) else v


class FsdpPart(Part):
    """How `train.sharding: fsdp` divides the model among the processes (FSDP2).

    reshard: give a layer's weights back after its forward pass and gather them again for the
    backward one; false keeps them, for memory.  cpu_offload: shards wait in the host's memory.
    load_once: the first process reads the weights and sends each other one its part.
    state: how a checkpoint is written, in one piece or each process its own.
    """

    reshard: bool = True
    cpu_offload: bool = False
    load_once: bool = True
    state: Literal["full", "sharded"] = "sharded"


class ProbePart(Part):
    """Recall while training: answers to held-out wordings, deferrals, invented names.

    every: "epoch", "N epochs", a number of optimizer steps, or 0 = not.  facts, deferrals, canaries:
    questions of each kind asked at most in one probe.  max_new_tokens: of an answer.
    """

    every: str | int = 0
    facts: int = Field(100, ge=1)
    deferrals: int = Field(20, ge=0)
    canaries: int = Field(20, ge=0)
    max_new_tokens: int = Field(64, ge=4, le=1024)

    @field_validator("every", mode="before")
    @classmethod
    def _epochs_or_steps(cls, v: Any) -> Any:
        if isinstance(v, str) and re.fullmatch(r"epoch|[1-9]\d{0,3} epochs", v):
            return v
        if type(v) is int and v >= 0:
            return v
        raise ValueError(
            f"epoch, a number of epochs (2 epochs), a number of steps, or 0 for never; not {v!r}"
        )


class CensusPart(Part):
    """What the base knows before training, by the classes of Gekhman et al. 2024.

    before_training: take it in every run, before the first step.  Each fact is asked with `prompts`
    sets of `shots` examples, once greedily and `samples` times at `temperature`.  facts, prompts,
    samples: 0 = by device, few on a CPU (core.training.census).
    """

    before_training: bool = False
    facts: int = Field(0, ge=0)
    prompts: int = Field(0, ge=0, le=64)
    shots: int = Field(4, ge=1, le=32)
    samples: int = Field(0, ge=0, le=256)
    temperature: float = Field(0.5, gt=0, le=2)
    max_new_tokens: int = Field(48, ge=4, le=1024)


class StopPart(Part):
    """When to end before the last epoch.

    rule: recall = when held-out recall minus the fabricated share, by the probe, has not risen by
    `min_gain` for `patience` probes.
    """

    rule: Literal["none", "recall"] = "none"
    patience: int = Field(2, ge=1)
    min_gain: float = Field(0.01, ge=0, lt=1)


class IncrementalPart(Part):
    """How this training builds on an earlier version (docs/adapters.md).

    strategy: retrain = from the base on every pair; merge = the earlier adapter summed into the base
    and a new adapter beside it; continue = the earlier adapter trained on.  replay: share of the rows
    that are old pairs, with merge and continue.  min_survival: share of an update that must outlive
    its rounding to the model's dtype.  lr_factor, warmup: with continue, train.lr is multiplied by the
    one and train.warmup is at least the other, for the optimizer starts without its memory.
    """

    strategy: Literal["retrain", "merge", "continue"] = "retrain"
    replay: float = Field(0.3, ge=0.05, le=0.95)
    min_survival: float = Field(0.8, ge=0, le=1)
    lr_factor: float = Field(0.5, gt=0, le=1)
    warmup: float = Field(0.1, ge=0, lt=1)


class Recipe(Settings):
    """accept: rules of the lint whose errors are known and taken, each with the reason."""

    name: str
    about: str = ""
    profile: str = ""
    model: ModelPart
    lora: LoraPart = LoraPart()  # type: ignore[call-arg]
    train: TrainPart = TrainPart()  # type: ignore[call-arg]
    fsdp: FsdpPart = FsdpPart()
    probe: ProbePart = ProbePart()  # type: ignore[call-arg]
    stop: StopPart = StopPart()  # type: ignore[call-arg]
    census: CensusPart = CensusPart()  # type: ignore[call-arg]
    incremental: IncrementalPart = IncrementalPart()  # type: ignore[call-arg]
    accept: dict[str, str] = Field(default_factory=dict)

    @field_validator("accept")
    @classmethod
    def _rules_with_reasons(cls, v: dict[str, str]) -> dict[str, str]:
        for rule, reason in v.items():
            if rule not in RULES:
                raise ValueError(f"{rule!r} is no rule; they are L1 … L{len(RULES)}")
            if len(reason.strip()) < 3:
                raise ValueError(f"{rule} needs a reason")
        return v

    def resolved(self) -> dict[str, Any]:
        """Plain data with every value spelled out, as stored with a run."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.resolved(), sort_keys=False, allow_unicode=True)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A recipe and where each value came from: "FILE:LINE", "FILE:LINE (profile NAME)", "--set" or
    "default".
    """

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
    _together(recipe, str(path))
    origins = {
        ".".join(loc): _origin(loc, path, lines, body_lines, recipe.profile)
        for loc in _leaves(recipe.resolved())
    }
    if profile:
        origins["profile"] = "--profile"
    origins |= {".".join(loc): "--set" for loc, _ in changes}
    return Loaded(recipe, origins)


def profiles(name_or_path: str | Path) -> list[str]:
    """The profiles a recipe has, in the file's order."""
    data, _ = read_yaml(_find(name_or_path))
    return [str(p) for p in (data.get("profiles") or {})] if isinstance(data, dict) else []


def accepting(recipe: Recipe, accepted: Mapping[str, str]) -> Recipe:
    """The recipe with further accepted rules. Raises SettingsError: no such rule, no reason."""
    data = recipe.resolved()
    data["accept"] = {**data["accept"], **{k.upper(): v for k, v in accepted.items()}}
    return validate(data, Recipe, origin="--accept")


def _origin(
    loc: tuple[str, ...],
    path: Path,
    lines: dict[Loc, int],
    body_lines: dict[Loc, int],
    profile: str,
) -> str:
    if loc not in body_lines:
        return "default"
    at = f"{path.name}:{body_lines[loc]}"
    return at if body_lines[loc] == lines.get(loc) else f"{at} (profile {profile})"


def from_settings(data: Any, *, origin: str = "spec.json: recipe") -> Recipe:
    """The resolved recipe of a job specification, checked again."""
    return _together(validate(data, Recipe, origin=origin), origin)


def smoke(recipe: Recipe) -> Recipe:
    """One epoch with a small probe at its end: does the whole path work, before hours are spent?"""
    probe = {
        "every": "epoch" if recipe.probe.every else 0,
        **{
            k: min(getattr(recipe.probe, k), SMOKE_PROBE)
            for k in ("facts", "deferrals", "canaries")
        },
    }
    return recipe.model_copy(
        update={
            "train": recipe.train.model_copy(update={"epochs": 1.0}),
            "probe": recipe.probe.model_copy(update=probe),
            "stop": StopPart(),  # type: ignore[call-arg]
        }
    )


def _together(recipe: Recipe, origin: str) -> Recipe:
    """What no field can tell by itself. Raises SettingsError."""
    if recipe.stop.rule == "recall" and recipe.probe.every == 0:
        raise SettingsError(
            f"{origin}: 'stop.rule' is recall, and nothing is probed",
            try_next="--set probe.every=epoch, or --set stop.rule=none",
        )
    if recipe.train.sharding == "fsdp" and recipe.train.processes < 2:
        raise SettingsError(
            f"{origin}: 'train.sharding' is fsdp, for one process",
            why="it divides the model among several",
            try_next="--set train.processes=4, or --set train.sharding=none",
        )
    return recipe


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
    if "profiles" not in data and not chosen:
        return dict(data), dict(lines)  # a resolved one: its profile is history
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
        _together(validate(body, Recipe, origin=str(path), lines=where), f"{path} ({name})")
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
        refuse_twice(value, f"--set {key.strip()}")
    except yaml.YAMLError as e:
        raise SettingsError(f"--set {text!r}: the value is not YAML", why=str(e)) from e
    return tuple(key.strip().split(".")), parsed
