"""LoRA on a mixture of experts whose weights are fused: bare parameters (experts, out, in), no modules.

Mixtral's old names (gate, w1, w2, w3) are read as those parameters. w1 and w3 lie in one matrix, so its
factors get the rank of both. The factors of all experts are stacked: A is (r × experts, in), B is
(out, r × experts). PEFT has no dropout there; that of the other modules is put on afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from core.training.recipe import LoraPart

ROUTER, GATE_UP, DOWN = "mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"
OLD_NAMES = {"gate": ROUTER, "w1": GATE_UP, "w3": GATE_UP, "w2": DOWN}
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


@dataclass(frozen=True, slots=True)
class Targets:
    """What PEFT is told. ranks: how many times r, by parameter, where it is not once."""

    modules: str | list[str]
    parameters: list[str] = field(default_factory=list)
    ranks: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adapted:
    """One adapted matrix. rank: in force, of each expert.  scale: what its product is multiplied by.
    parameters: trainable ones."""

    name: str
    rank: int
    scale: float
    experts: int
    parameters: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def is_fused(model: Any) -> bool:
    return any(name.endswith(GATE_UP) for name, _ in model.named_parameters())


def targets(lora: LoraPart, fused: bool) -> Targets:
    """The recipe's targets in the names that this model has."""
    given = list(lora.target_parameters)
    if not fused:
        return Targets(lora.targets, given)
    wanted = [*ATTENTION, *OLD_NAMES] if lora.targets == "all-linear" else list(lora.targets)
    old = [t for t in wanted if t in OLD_NAMES]
    parameters = [*given, *dict.fromkeys(OLD_NAMES[t] for t in old)]
    ranks = {GATE_UP: 2} if {"w1", "w3"} & set(old) else {}
    notes = []
    if old:
        read = ", ".join(f"{t} → {OLD_NAMES[t].removesuffix('.weight')}" for t in old)
        notes.append(f"experts are fused parameters: {read}")
    if ranks:
        notes.append(f"w1 and w3 are one matrix, so its rank is {2 * lora.r} for {lora.r}")
    return Targets([t for t in wanted if t not in OLD_NAMES], parameters, ranks, tuple(notes))


def patterns(found: Targets, lora: LoraPart) -> dict[str, dict[str, Any]]:
    """rank_pattern and alpha_pattern: a rank of twice r keeps its scale with twice alpha."""
    keys = {rf".*\.{name.rpartition('.')[2]}": times for name, times in found.ranks.items()}
    return {
        "rank_pattern": {key: times * lora.r for key, times in keys.items()},
        "alpha_pattern": {key: times * lora.alpha for key, times in keys.items()},
    }


def add_dropout(model: Any, share: float) -> int:
    """Dropout before the factors of every plain linear module; how many there are.

    For models where PEFT could not be asked for it, since it refuses it for all or none.
    """
    from peft.tuners.lora import Linear
    from torch import nn

    modules = [m for m in model.modules() if isinstance(m, Linear)]
    for module in modules:
        for adapter in module.lora_dropout:
            module.lora_dropout[adapter] = nn.Dropout(share)
    return len(modules)


def adapted(model: Any) -> Iterator[Adapted]:
    """Every adapted matrix of a PEFT model, in the model's order."""
    for name, module in model.named_modules():
        for adapter in getattr(module, "lora_A", ()):
            a, b = module.lora_A[adapter], module.lora_B[adapter]
            yield Adapted(
                matrix_name(name, module),
                int(module.r[adapter]),
                float(module.scaling[adapter]),
                int(getattr(module, "num_experts", 1) or 1),
                a.weight.numel() + b.weight.numel(),
            )


def matrix_name(name: str, module: Any) -> str:
    """The adapted matrix as the base model names it. name: of the module in the PEFT model.

    Wrappers of several parameters of one module are nested, each the other's base layer.
    """
    plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
    parameter = getattr(module, "parameter_name", "")
    return f"{plain}.{parameter}" if parameter and parameter != "weight" else plain


def by_rank(found: Sequence[Adapted]) -> list[str]:
    """In words: "rank 16: q_proj, v_proj", "rank 64 on each of 8: experts.down_proj"."""
    kinds: dict[tuple[int, int], dict[str, None]] = {}
    for one in found:
        words = one.name.split(".")
        ending = ".".join(words[-2:]) if one.experts > 1 else words[-1]
        kinds.setdefault((one.rank, one.experts), {})[ending] = None
    return [
        f"rank {rank}" + (f" on each of {experts}" if experts > 1 else "") + f": {', '.join(names)}"
        for (rank, experts), names in kinds.items()
    ]


def idle(model: Any) -> Iterator[tuple[str, int, int]]:
    """(matrix, experts whose update is still zero, experts): no token was sent to them."""
    for name, module in model.named_modules():
        experts = int(getattr(module, "num_experts", 1) or 1)
        if experts == 1:
            continue
        for adapter, b in getattr(module, "lora_B", {}).items():
            rank = int(module.r[adapter])
            # (out, rank, experts): the last index is the expert's, as PEFT multiplies them out
            norms = b.weight.detach().reshape(-1, rank, experts).abs().amax((0, 1))
            still = int((norms == 0).sum())
            if still:
                yield matrix_name(name, module), still, experts
