"""One process among several that train together, as torchrun or accelerate started it. Light.

The first one writes events, prints, and saves; all of them step, stop and checkpoint together.
"""

from __future__ import annotations

import os

from core.errors import UsageError


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    """Processes of this run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def settle_on_device() -> None:
    """Each process of a node on a GPU of its own, before anything is loaded onto one.

    Raises UsageError where there are fewer GPUs than processes.
    """
    import torch

    if world_size() == 1 or not torch.cuda.is_available():
        return
    here, have = local_world_size(), torch.cuda.device_count()
    if here > have:
        raise UsageError(
            f"{here} processes were started on this machine, it has {have} "
            f"accelerator{'' if have == 1 else 's'}",
            why="two models on one accelerator take each other's memory",
            try_next=f"--set train.processes={have}, or a host that has more",
        )
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
