"""One process among several that train together, as torchrun or accelerate started it. Light.

The first one writes events, prints, and saves; all of them step, stop and checkpoint together.
"""

from __future__ import annotations

import os


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def settle_on_device() -> None:
    """Each process of a node on a GPU of its own, before anything is loaded onto one."""
    import torch

    if world_size() > 1 and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def any_of(flag: bool) -> bool:
    """True on all processes if it is on one: a signal does not reach them at the same step."""
    return _maximum(int(flag)) > 0 if world_size() > 1 else flag


def total(number: int) -> int:
    """The sum over the processes, known to all of them."""
    return _reduced(number, "SUM") if world_size() > 1 else number


def meet() -> None:
    """Wait until every process has come here."""
    if world_size() > 1:
        _maximum(0)


def _maximum(number: int) -> int:
    return _reduced(number, "MAX")


def _reduced(number: int, how: str) -> int:
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return number
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    value = torch.tensor([number], dtype=torch.int64, device=device)
    dist.all_reduce(value, getattr(dist.ReduceOp, how))
    return int(value.item())
