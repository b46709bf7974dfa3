"""What a loaded model really consists of: kind, dtype and bytes of every large parameter.

A loader that falls back to float32, or leaves the experts out of 4 bit, says nothing of it. It shows
here, in bytes, before the first step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import EnvironmentProblem
from core.training.recipe import Recipe

LARGE = 1 << 20  # elements; of a small model, a thousandth of it
FOUR_BIT = "nf4"


@dataclass(frozen=True, slots=True)
class Large:
    """Parameters of one name, shape, dtype and place. name: its last two words.  bytes: of all."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    device: str
    count: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def large(model: Any) -> tuple[Large, ...]:
    """The frozen large parameters, grouped over the layers, most bytes first."""
    frozen = [(n, p) for n, p in model.named_parameters() if not p.requires_grad]
    total = sum(_elements(p) for _, p in frozen)
    least = min(LARGE, total // 1000)
    groups: dict[tuple[str, tuple[int, ...], str, str], list[int]] = {}
    for name, p in frozen:
        if _elements(p) >= least:
            words = [w for w in name.split(".") if w not in ("weight", "base_layer")]
            kind = ".".join(words[-2:])
            key = (kind, tuple(p.shape), dtype_of(p), p.device.type)
            groups.setdefault(key, []).append(p.numel() * p.element_size())
    found = [Large(*key, count=len(sizes), bytes=sum(sizes)) for key, sizes in groups.items()]
    return tuple(sorted(found, key=lambda g: (-g.bytes, g.name)))


def dtype_of(parameter: Any) -> str:
    """ "bfloat16", …, or "nf4" for one that bitsandbytes packed into bytes."""
    return FOUR_BIT if _packed(parameter) else str(parameter.dtype).removeprefix("torch.")


def check(found: Sequence[Large], recipe: Recipe) -> tuple[str, ...]:
    """Notes. Raises EnvironmentProblem where the model is not held as the recipe says."""
    wanted, four_bit = recipe.model.dtype, recipe.model.quantise == FOUR_BIT
    wrong = [g for g in found if g.dtype not in (wanted, FOUR_BIT)]
    if wrong:
        raise EnvironmentProblem(
            f"the model was loaded as {wrong[0].dtype}, not as {wanted}: {wrong[0].name} "
            f"({wrong[0].count} × {'×'.join(map(str, wrong[0].shape))})",
            why="the loader took another dtype than it was asked for; memory was planned for the other",
            try_next=f"--set model.dtype={wrong[0].dtype}, or install the versions of constraints.txt",
        )
    notes = [sentence(found)]
    if not four_bit:
        return tuple(notes)
    packed = [g for g in found if g.dtype == FOUR_BIT]
    if not packed:
        raise EnvironmentProblem(
            "4 bit was asked for, and no parameter is in 4 bit",
            why="the loader left the quantisation out",
            try_next="install bitsandbytes of constraints.txt, or --set model.quantise=none",
        )
    whole = [g for g in found if len(g.shape) > 2 and g.dtype != FOUR_BIT]
    if whole:
        size = sum(g.bytes for g in whole) / 2**30
        notes.append(
            f"the experts are fused parameters, which bitsandbytes leaves in {wanted}: {size:.1f} GiB"
        )
    return tuple(notes)


def sentence(found: Sequence[Large]) -> str:
    """ "14.2 GiB in bfloat16", by dtype."""
    sizes: dict[str, int] = {}
    for group in found:
        sizes[group.dtype] = sizes.get(group.dtype, 0) + group.bytes
    return "weights: " + ", ".join(f"{_size(n)} in {dtype}" for dtype, n in sizes.items())


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _packed(parameter: Any) -> bool:
    return hasattr(parameter, "quant_state")


def _elements(parameter: Any) -> int:
    """Numbers it stands for; two of them share a byte in 4 bit."""
    return int(parameter.numel()) * (2 if _packed(parameter) else 1)
