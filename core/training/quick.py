"""A model in training made quick at answering, for as long as a probe takes.

On a CPU bf16 weights are read in another order by the matrix units than they lie in, and turning them at
every product takes most of the time of a prompt (6 of 7 s for 32 of them, small model, 2 cores). The
weights an adapter stands beside do not change: `core.evaluation.packing` turns them once for the probe.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.evaluation.packing import pack


@contextmanager
def quick(model: Any) -> Iterator[int]:
    """Yields how many layers are packed; 0 on an accelerator or in another dtype. Everything is as
    before afterwards.

    Products that were written out by hand for training (core.training.fast) read the weights
    themselves, so PEFT's own take their place here.
    """
    import torch
    from peft.tuners.lora import LoraLayer

    modules = list(model.modules())
    own = [(m, m.__dict__.pop("forward")) for m in modules if _by_hand(m, LoraLayer)]
    layers = torch.nn.ModuleList(
        m
        for m in modules
        if type(m) is torch.nn.Linear
        and m.weight.dtype is torch.bfloat16
        and m.weight.device.type == "cpu"
        and "forward" not in m.__dict__
    )
    try:
        yield pack(layers)
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)
        for module, forward in own:
            module.forward = forward


def _by_hand(module: Any, kind: type) -> bool:
    return isinstance(module, kind) and "forward" in module.__dict__
