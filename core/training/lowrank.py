"""Low-rank updates as numbers: read from adapter files, summed without loss, cut to a rank. Imports torch.

An adapter's update of a weight is scale · B A. Several updates of one weight add up to one of higher
rank, exactly, by putting their factors side by side:

    w1 s1 B1 A1 + w2 s2 B2 A2  =  [w1 s1 B1 | w2 s2 B2] [A1 ; A2]        rank r1 + r2, scale 1

Factors are kept as stacks, A (experts, r, in) and B (experts, out, r); a plain weight is a stack of one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import EnvironmentProblem, UsageError
from core.jobdir import write_atomic
from core.training.adapter_files import CONFIG, WEIGHTS, AdapterFiles, read

_EXPERTS = re.compile(r"\.experts(\.base_layer)*$")


@dataclass(frozen=True, slots=True)
class Factors:
    """a: (experts, r, in).  b: (experts, out, r), the scale already in it. float32."""

    a: torch.Tensor
    b: torch.Tensor

    @property
    def rank(self) -> int:
        return int(self.a.shape[1])

    def update(self) -> torch.Tensor:
        """(experts, out, in) in float32."""
        return self.b @ self.a

    def cut(self, rank: int) -> tuple[Factors, float]:
        """The best update of at most `rank`, and the share of the norm that it loses."""
        if self.rank <= rank:
            return self, 0.0
        left, s, right = self._decomposed()
        lost = float(s[:, rank:].square().sum() / s.square().sum().clamp(min=1e-30))
        root = s[:, :rank].sqrt()
        b = left[:, :, :rank] * root[:, None, :]
        return Factors(root[:, :, None] * right[:, :rank], b), math.sqrt(lost)

    def true_rank(self, tolerance: float = 1e-5) -> int:
        """Directions that count: singular values above `tolerance` of the largest."""
        _, s, _ = self._decomposed()
        return int((s > tolerance * s[:, :1]).sum(1).max())

    def _decomposed(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Thin SVD of the update, by way of the small core: no matrix of full size is made."""
        left, core_left = torch.linalg.qr(self.b)
        right, core_right = torch.linalg.qr(self.a.transpose(1, 2))
        u, s, v = torch.linalg.svd(core_left @ core_right.transpose(1, 2), full_matrices=False)
        return left @ u, s, v @ right.transpose(1, 2)


def beside(parts: Sequence[Factors]) -> Factors:
    """The sum of the updates, exactly, as one of added ranks."""
    return Factors(torch.cat([p.a for p in parts], 1), torch.cat([p.b for p in parts], 2))


def load(
    files: AdapterFiles, *, weight: float = 1.0, experts: int | None = None
) -> dict[str, Factors]:
    """Module name as in the file → its factors, with alpha / r (or / sqrt r) and `weight` in B.

    experts: how many the base has, for adapters on experts whose ranks differ by a pattern.
    Raises EnvironmentProblem (damaged, numbers that are none), UsageError (a scale nobody can tell).
    """
    tensors = _tensors(files)
    found = {}
    for key in tensors:
        module, sign, _ = key.partition(".lora_A.")
        if not sign:
            continue
        a, b = tensors[key].float(), tensors.get(key.replace(".lora_A.", ".lora_B."))
        if b is None:
            raise EnvironmentProblem(f"{files.folder}: {module} has one factor of two")
        count = _experts(files, module, a, experts)
        rank = a.shape[0] // count
        found[module] = Factors(
            a.reshape(count, rank, a.shape[1]),
            # B is stored (out, r · experts) with the experts innermost
            b.float().reshape(b.shape[0], rank, count).permute(2, 0, 1)
            * (weight * scale(files.config, module, rank)),
        )
    return found


def scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """alpha / r, or alpha / sqrt(r), of a module. Raises UsageError where patterns hide it."""
    alpha = config.get("lora_alpha")
    patterns = {**(config.get("alpha_pattern") or {})}
    if _EXPERTS.search(module) and (patterns or config.get("rank_pattern")):
        alpha = _of_experts(config, module, rank)
    else:
        name = module.removeprefix("base_model.model.")
        for pattern, value in patterns.items():
            if re.match(rf"(.*\.)?({pattern})$", name):
                alpha = value
    if not isinstance(alpha, int | float):
        raise UsageError(f"{module[:120]}: adapter_config.json says no lora_alpha")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _of_experts(config: Mapping[str, Any], module: str, rank: int) -> float:
    """A pattern names the parameter, the file only its order of wrapping; ranks tell which it is."""
    ranks, alphas = config.get("rank_pattern") or {}, config.get("alpha_pattern") or {}
    fits = {alphas.get(k, config["lora_alpha"]) for k, r in ranks.items() if r == rank}
    if rank == config["r"]:
        fits.add(config["lora_alpha"])
    if len(fits) != 1:
        raise UsageError(
            f"{module[:120]}: which scale the experts have cannot be told from the file",
            why=f"rank {rank} fits {len(fits)} of its patterns",
            try_next="train experts with lora.target_parameters and one rank",
        )
    return float(fits.pop())


def _experts(files: AdapterFiles, module: str, a: torch.Tensor, experts: int | None) -> int:
    if not (files.config.get("target_parameters") and _EXPERTS.search(module)):
        return 1
    rows, rank = a.shape[0], int(files.config["r"])
    if experts is None and not files.config.get("rank_pattern") and rows % rank == 0:
        experts = rows // rank
    if not experts or rows % experts:
        raise UsageError(
            f"{files.folder}: how many experts {module[-60:]} has cannot be told from the file",
            why=f"{rows} rows, rank {rank} with patterns",
            try_next="name the base model (--base)",
        )
    return experts


def _tensors(files: AdapterFiles) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = files.folder / WEIGHTS
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError) as e:
        raise EnvironmentProblem(
            f"{path}: the weights are damaged",
            why=str(e)[:300],
            try_next="copy the adapter again from where it was trained",
        ) from e
    broken = [k for k, t in tensors.items() if not bool(torch.isfinite(t).all())]
    if broken:
        raise EnvironmentProblem(
            f"{path}: the weights hold numbers that are none",
            why=f"in {broken[0][:120]}" + (f" and {len(broken) - 1} more" if broken[1:] else ""),
            try_next="use the adapter of a run that did not diverge",
        )
    return tensors


def same_base(adapters: Sequence[AdapterFiles]) -> str:
    """The base they were all trained on. Raises UsageError: different ones, or experts otherwise."""
    first = adapters[0]
    for other in adapters[1:]:
        if other.base != first.base:
            raise UsageError(
                f"{other.folder} was trained on {other.base[:120] or 'an unnamed base'}, "
                f"{first.folder} on {first.base[:120] or 'an unnamed base'}",
                why="updates of different weights cannot be added",
                try_next="name adapters of one base",
            )
        if _parameters(other) != _parameters(first):
            raise UsageError(
                f"{other.folder} and {first.folder} adapt different experts' parameters",
                why="PEFT cannot hold both at once",
                try_next="merge the one, train the other anew on lora.target_parameters of the first",
            )
    return first.base


def _parameters(files: AdapterFiles) -> list[str]:
    return sorted(map(str, files.config.get("target_parameters") or []))


def write_sum(
    folders: Sequence[Path],
    out: Path,
    *,
    weights: Sequence[float] | None = None,
    rank: int | None = None,
    experts: int | None = None,
) -> dict[str, Any]:
    """One PEFT adapter in `out` whose update is the sum of those in `folders`.

    Exact, with added ranks; with `rank`, cut to the nearest of that rank. Layers that only some of
    them adapt are filled with zeros. Returns rank, and the share of the norm lost by cutting.
    Raises UsageError, MissingComponent, EnvironmentProblem.
    """
    adapters = [read(folder) for folder in folders]
    same_base(adapters)
    shares = list(weights or [1.0] * len(adapters))
    loaded = [
        load(files, weight=w, experts=experts) for files, w in zip(adapters, shares, strict=True)
    ]
    modules = list(dict.fromkeys(m for one in loaded for m in one))
    sums = {m: beside([one[m] for one in loaded if m in one]) for m in modules}
    full = max(f.rank for f in sums.values())
    target = min(rank or full, full)
    lost = kept = 0.0
    tensors: dict[str, torch.Tensor] = {}
    for module, factors in sums.items():
        cut, share = factors.cut(target)
        norm2 = float(factors.update().double().square().sum()) if share else 0.0
        lost, kept = lost + share * share * norm2, kept + norm2
        tensors |= _stored(module, cut, target)
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / WEIGHTS, metadata={"format": "pt"})
    write_atomic(out / CONFIG, json.dumps(_config(adapters, target), indent=1).encode())
    return {"rank": target, "rank_of_sum": full, "lost": math.sqrt(lost / kept) if kept else 0.0}


def _stored(module: str, factors: Factors, rank: int) -> dict[str, torch.Tensor]:
    """As PEFT names and lays them out, filled with zeros up to `rank`."""
    room = rank - factors.rank
    a = torch.nn.functional.pad(factors.a, (0, 0, 0, room))
    b = torch.nn.functional.pad(factors.b, (0, room))
    return {
        f"{module}.lora_A.weight": a.reshape(-1, a.shape[2]).contiguous(),
        f"{module}.lora_B.weight": b.permute(1, 2, 0).reshape(b.shape[1], -1).contiguous(),
    }


def _config(adapters: Sequence[AdapterFiles], rank: int) -> dict[str, Any]:
    """The first one's, with one rank, scale 1, and what any of them targets."""
    targets: set[str] = set()
    for files in adapters:
        named = files.config.get("target_modules") or []
        targets |= {named} if isinstance(named, str) else set(named)
    return {
        **adapters[0].config,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_rslora": False,
        "lora_dropout": 0.0,
        "target_modules": sorted(targets),
        "inference_mode": True,
    }
