"""How much of an update is left after it was added to weights and rounded to their dtype.

bf16 has 8 bits of fraction. A weight moves only if its update is larger than half of the step between
neighbouring numbers, so a small update is mostly rounding: at 0.3 % of the weights' norm half of it is
gone, at 0.1 % four fifths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from core.training.failures import MergeLoss


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight. All sums over its entries, in float64.

    update2, lost2, weight2: squared norms of the intended update, of what is missing from it or in
    excess after rounding, and of the weight.  entries: with an update that is not zero; kept: those of
    them that did not move.  rank: of the summed update.
    """

    name: str
    update2: float
    lost2: float
    weight2: float
    entries: int
    kept: int
    rank: int

    @property
    def change(self) -> float:
        """||update|| / ||weight||."""
        return math.sqrt(self.update2 / self.weight2) if self.weight2 else 0.0

    @property
    def survival(self) -> float:
        """1 - ||intended - actual|| / ||intended||, at least 0; 1 where there is no update."""
        return max(0.0, 1 - math.sqrt(self.lost2 / self.update2)) if self.update2 else 1.0

    @property
    def unmoved(self) -> float:
        return self.kept / self.entries if self.entries else 0.0


@dataclass(frozen=True, slots=True)
class Survival:
    """Of a whole merge. dtype: what the sums were rounded to."""

    layers: tuple[Layer, ...]
    dtype: str

    @property
    def total(self) -> Layer:
        """All weights as one."""
        return Layer(
            "all",
            update2=math.fsum(x.update2 for x in self.layers),
            lost2=math.fsum(x.lost2 for x in self.layers),
            weight2=math.fsum(x.weight2 for x in self.layers),
            entries=sum(x.entries for x in self.layers),
            kept=sum(x.kept for x in self.layers),
            rank=max((x.rank for x in self.layers), default=0),
        )

    @property
    def worst(self) -> tuple[Layer, ...]:
        return tuple(sorted(self.layers, key=lambda x: x.survival)[:3])

    def sentence(self) -> str:
        t = self.total
        return (
            f"{t.survival:.1%} of the update survives in {self.dtype} (it is {t.change:.2%} of the "
            f"weights' norm, {t.unmoved:.0%} of the entries did not move)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Totals, and each layer with its own figures."""
        return {"dtype": self.dtype, **_row(self.total), "layers": [_row(x) for x in self.layers]}

    def summary(self) -> dict[str, Any]:
        """`as_dict` with the worst layers only."""
        return {"dtype": self.dtype, **_row(self.total), "worst": [_row(x) for x in self.worst]}

    def require(self, least: float) -> Survival:
        """Raises MergeLoss where less than `least` of the whole update is left."""
        t = self.total
        if t.survival >= least:
            return self
        worst = ", ".join(f"{x.name} {x.survival:.0%}" for x in self.worst)
        raise MergeLoss(
            f"only {t.survival:.1%} of the update would survive the merge in {self.dtype}, "
            f"{least:.0%} is asked for",
            why=f"it is {t.change:.2%} of the weights' norm, and {t.unmoved:.0%} of the entries would "
            f"not move; least in {worst}",
            try_next="serve the adapter beside the base (nothing is lost), sum adapters without a "
            "merge (--format peft), merge with --dtype float32, or train again from the base; to take "
            f"it all the same: incremental.min_survival={math.floor(t.survival * 100) / 100:g}",
        )


def fold(name: str, weight: Any, update: Any, dtype: Any, rank: int = 0) -> tuple[Any, Layer]:
    """(weight + update in float32, rounded once to `dtype`; what became of the update).

    weight: any float dtype.  update: float32, same shape. Raises MergeLoss on a number that is none.
    """
    import torch

    before = weight.detach().to(torch.float32)
    merged = (before + update).to(dtype)
    after = merged.to(torch.float32)
    if not bool(torch.isfinite(after).all()):
        raise MergeLoss(
            f"{name}: the merged weights hold numbers that are none",
            why="the adapter is broken, or the sum does not fit the range of the dtype",
            try_next="merge with --dtype bfloat16 or float32, and check the adapter",
        )
    moved = after - before.to(dtype).to(torch.float32)  # against the base as it is served
    there = update != 0
    return merged, Layer(
        name,
        _square(update),
        _square(moved - update),
        _square(before),
        int(there.sum()),
        int((there & (moved == 0)).sum()),
        rank,
    )


def of(layers: Iterable[Layer], dtype: Any) -> Survival:
    return Survival(tuple(layers), str(dtype).removeprefix("torch."))


def _square(x: Any) -> float:
    return float(x.double().square().sum())


def _row(x: Layer) -> dict[str, Any]:
    figures = {k: v for k, v in asdict(x).items() if k in ("name", "rank", "entries")}
    return {
        **figures,
        "change": round(x.change, 6),
        "survival": round(x.survival, 4),
        "unmoved": round(x.unmoved, 4),
    }
