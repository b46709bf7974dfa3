"""Shapes of the model families: parameters and LoRA parameters counted, without the model. Light.

A shape comes by name for the models that recipes are written for, or from a model directory's
config.json. Counts are exact: those of the published checkpoints and of PEFT's adapters.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import locations
from core.errors import UsageError
from core.training.recipe import LoraPart, Recipe

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
EXPERTS = ("gate_up_proj", "down_proj")  # fused over all experts: bare parameters, not modules
ROUTER = "gate"
READABLE = ("llama", "mistral", "mixtral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class Matrix:
    """One linear map of a layer: `copies` of (d_out, d_in), one for each expert."""

    name: str
    d_in: int
    d_out: int
    copies: int = 1
    bias: bool = False

    @property
    def parameters(self) -> int:
        return self.copies * (self.d_in * self.d_out + (self.d_out if self.bias else 0))


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder of the Llama family. Widths in elements; experts: 0 = dense.

    norms: elements of norm weights in one layer beside the two of `hidden`.  weight_rms: root mean
    square of the linear weights; 0.02, the usual initial value, where nobody has measured it.
    """

    name: str
    family: str
    layers: int
    hidden: int
    mlp: int
    heads: int
    kv_heads: int
    vocab: int
    head_dim: int = 0
    experts: int = 0
    experts_per_token: int = 0
    tied: bool = False
    qkv_bias: bool = False
    norms: int = 0
    weight_rms: float = 0.02

    @property
    def q_width(self) -> int:
        return self.heads * (self.head_dim or self.hidden // self.heads)

    @property
    def kv_width(self) -> int:
        return self.kv_heads * (self.head_dim or self.hidden // self.heads)

    @property
    def attention_matrices(self) -> tuple[Matrix, ...]:
        h, q, kv, bias = self.hidden, self.q_width, self.kv_width, self.qkv_bias
        return (
            Matrix("q_proj", h, q, bias=bias),
            Matrix("k_proj", h, kv, bias=bias),
            Matrix("v_proj", h, kv, bias=bias),
            Matrix("o_proj", q, h),
        )

    @property
    def mlp_matrices(self) -> tuple[Matrix, ...]:
        h, m, e = self.hidden, self.mlp, self.experts
        if e:
            return Matrix("gate_up_proj", h, 2 * m, e), Matrix("down_proj", m, h, e)
        return Matrix("gate_proj", h, m), Matrix("up_proj", h, m), Matrix("down_proj", m, h)

    @property
    def router(self) -> int:
        """Parameters of one layer's router."""
        return self.hidden * self.experts

    @property
    def linear_parameters(self) -> int:
        """Those of attention and MLP, all layers, experts included."""
        return self.layers * sum(
            m.parameters for m in (*self.attention_matrices, *self.mlp_matrices)
        )

    @property
    def expert_parameters(self) -> int:
        return self.layers * sum(m.parameters for m in self.mlp_matrices) if self.experts else 0

    @property
    def parameters(self) -> int:
        embedding = self.vocab * self.hidden * (1 if self.tied else 2)
        rest = self.layers * (self.router + 2 * self.hidden + self.norms) + self.hidden
        return embedding + self.linear_parameters + rest

    @property
    def active_parameters(self) -> int:
        """Those one token passes through: of the experts only the chosen ones."""
        if not self.experts:
            return self.parameters
        idle = 1 - self.experts_per_token / self.experts
        return self.parameters - round(idle * self.expert_parameters)

    def adapted(self, lora: LoraPart) -> Iterator[tuple[Matrix, int]]:
        """Matrices of one layer that get an adapter, with the rank of each (on each expert)."""
        wanted = self.targets(lora)
        for matrix in self.attention_matrices:
            if matrix.name in wanted:
                yield matrix, lora.r
        for matrix in self.mlp_matrices:
            if matrix.name in wanted:
                yield matrix, lora.r * wanted[matrix.name]
        if self.experts and ROUTER in wanted:
            yield Matrix(ROUTER, self.hidden, self.experts), lora.r

    def targets(self, lora: LoraPart) -> dict[str, int]:
        """Names of what is adapted here, each with how many times r its rank is.

        PEFT reads Mixtral's old names as the fused parameters, w1 and w3 as one of twice the rank.
        """
        endings = (
            [t.rpartition(".")[2] for t in lora.targets] if lora.targets != "all-linear" else []
        )
        if not self.experts:
            return dict.fromkeys(endings or (*ATTENTION, *MLP), 1)
        if lora.targets == "all-linear":
            endings = [*ATTENTION, "gate", "w1", "w2", "w3"]
        found = {e: 1 for e in endings if e in (*ATTENTION, ROUTER)}
        if {"w1", "w3"} & set(endings):
            found["gate_up_proj"] = 2
        if "w2" in endings:
            found["down_proj"] = 1
        for parameter in lora.target_parameters:
            words = parameter.removesuffix(".weight").split(".")
            found[words[-1]] = 1
        return found

    def lora_parameters(self, lora: LoraPart) -> int:
        """Trainable parameters of an adapter: r (d_in + d_out) a matrix, of every expert."""
        return self.layers * sum(m.copies * r * (m.d_in + m.d_out) for m, r in self.adapted(lora))

    def adapts_experts(self, lora: LoraPart) -> bool:
        return bool(self.experts and set(self.targets(lora)) & {*EXPERTS, ROUTER})

    def attention_only(self, lora: LoraPart) -> bool:
        return set(self.targets(lora)) <= set(ATTENTION)


# layers, hidden, MLP, heads, key-value heads, vocabulary; from each model's config.json
KNOWN: dict[str, Architecture] = {
    a.name: a
    for a in (
        Architecture("tiny", "mistral", 2, 64, 128, 4, 2, 512, tied=True),
        Architecture(
            "smollm2-135m", "mistral", 30, 576, 1536, 9, 3, 49152, tied=True, weight_rms=0.193
        ),
        Architecture("llama-2-7b", "llama", 32, 4096, 11008, 32, 32, 32000),
        Architecture("mistral-7b", "mistral", 32, 4096, 14336, 32, 8, 32768),
        Architecture("llama-3-8b", "llama", 32, 4096, 14336, 32, 8, 128256),
        Architecture(
            "mixtral-8x7b", "mixtral", 32, 4096, 14336, 32, 8, 32000, experts=8, experts_per_token=2
        ),
        Architecture("llama-3.1-70b", "llama", 80, 8192, 28672, 64, 8, 128256),
    )
}
OTHER_NAMES = {
    "llama-3.1-8b": "llama-3-8b",
    "llama-3-70b": "llama-3.1-70b",
    "mistral-7b-instruct-v0.3": "mistral-7b",
    "mistral-7b-v0.3": "mistral-7b",
    "mixtral-8x7b-instruct-v0.1": "mixtral-8x7b",
    "meta-llama-3-8b-instruct": "llama-3-8b",
    "llama-3.1-8b-instruct": "llama-3-8b",
    "llama-3.1-70b-instruct": "llama-3.1-70b",
    "smollm2-135m-instruct": "smollm2-135m",
}


def by_name(name: str) -> Architecture:
    """Raises UsageError with the nearest name."""
    plain = name.rsplit("/", 1)[-1].casefold()
    plain = OTHER_NAMES.get(plain, plain)
    if plain in KNOWN:
        return KNOWN[plain]
    near = difflib.get_close_matches(plain, [*KNOWN, *OTHER_NAMES], 1)
    raise UsageError(
        f"the shape of the model {name!r} is not known here",
        why="its config.json is not on this machine either",
        try_next=(
            f"--set model.architecture={near[0]}, if that is what it is; or "
            if near
            else f"--set model.architecture=NAME, with one of {', '.join(KNOWN)}; or "
        )
        + "copy its config.json to a folder here and name that folder",
    )


def of_recipe(recipe: Recipe) -> Architecture:
    """By `model.architecture`, a name or a folder with a config.json; else from the model's own, if it
    is here; else by its name. Raises UsageError.
    """
    told = recipe.model.architecture
    if told:
        return from_directory(Path(told)) if Path(told).is_dir() else by_name(told)
    for folder in (Path(recipe.model.name), locations.models_dir() / recipe.model.name):
        if (folder / "config.json").is_file():
            return from_directory(folder)
    return by_name(recipe.model.name)


def from_directory(folder: Path) -> Architecture:
    """From config.json of a Hugging Face model directory. Raises UsageError."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
        found = from_config(config, name=folder.name)
    except FileNotFoundError:
        raise UsageError(f"{file}: no such file", try_next="name a model directory") from None
    except (OSError, ValueError, UnicodeDecodeError) as e:
        raise UsageError(f"{file}: cannot be read", why=str(e)) from e
    known = KNOWN.get(folder.name)
    if known and known.parameters == found.parameters:
        return known  # the same, with what was measured on it
    return found


def from_config(config: Any, *, name: str) -> Architecture:
    """From the object in a config.json. Raises UsageError for a family without formula here."""
    if not isinstance(config, dict):
        raise UsageError(f"{name}: config.json is not an object")
    family = str(config.get("model_type", ""))
    if family not in READABLE:
        raise UsageError(
            f"{name}: no formula for models of the type {family!r}",
            why=f"there is one for {', '.join(READABLE)}",
            try_next="--set model.architecture=NAME of a model of the same size",
        )
    try:
        heads = _int(config, "num_attention_heads")
        kv = config.get("num_key_value_heads")
        usual_kv = 8 if family in ("mistral", "mixtral") else heads
        head_dim = config.get("head_dim") or _int(config, "hidden_size") // heads
        experts = _int(config, "num_local_experts", 8) if family == "mixtral" else 0
        return Architecture(
            name=re.sub(r"[^\w.-]", "", name) or family,
            family=family,
            layers=_int(config, "num_hidden_layers"),
            hidden=_int(config, "hidden_size"),
            mlp=_int(config, "intermediate_size"),
            heads=heads,
            kv_heads=usual_kv if kv is None else int(kv),
            vocab=_int(config, "vocab_size"),
            head_dim=int(head_dim),
            experts=experts,
            experts_per_token=_int(config, "num_experts_per_tok", 2) if experts else 0,
            tied=bool(config.get("tie_word_embeddings", False)),
            qkv_bias=family == "qwen2",
            norms=2 * int(head_dim) if family == "qwen3" else 0,
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as e:
        raise UsageError(
            f"{name}: config.json does not give the model's shape",
            why=f"{type(e).__name__}: {e}",
            try_next="copy the model's config.json again",
        ) from e


def _int(config: dict[str, Any], key: str, usual: int | None = None) -> int:
    value = config.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} is {value!r}")
    return value
