"""Weights in the order the CPU's matrix units read them, put there once instead of at every product.

Generating a token multiplies a few rows with every weight of the model. In bf16 PyTorch's CPU kernels
reorder each weight for each product, which costs more than the product itself. The result is the same
to the last bit: `pack` looks, and leaves the model alone where it is not, or where this PyTorch cannot.
"""

from __future__ import annotations

from functools import partial
from typing import Any

MAX_BYTES = 8 << 30  # the packed weights stand beside the others
ROWS = 16  # the order is chosen for this many rows, and right for any number


def pack(model: Any) -> int:
    """Pack the linear layers of a bf16 model on the CPU, for inference; how many were packed."""
    import torch

    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    if not layers or any(
        m.weight.device.type != "cpu" or m.weight.dtype is not torch.bfloat16 for m in layers
    ):
        return 0
    if sum(m.weight.numel() for m in layers) * 2 > MAX_BYTES:
        return 0
    try:
        with torch.inference_mode():
            packed = [torch.ops.mkldnn._reorder_linear_weight(m.weight, ROWS) for m in layers]
            if not all(_same(m, p) for m, p in zip(layers, packed, strict=True)):
                return 0
    except (AttributeError, RuntimeError, NotImplementedError):  # another build of PyTorch
        return 0
    for layer, weight in zip(layers, packed, strict=True):
        layer.forward = partial(_product, weight, layer.bias)
    return len(layers)


def _same(layer: Any, packed: Any) -> bool:
    import torch

    x = torch.linspace(-2, 2, 3 * layer.in_features, dtype=torch.float32)
    x = x.sin().reshape(3, layer.in_features).bfloat16()
    return bool(torch.equal(layer(x), _product(packed, layer.bias, x)))


def _product(weight: Any, bias: Any, x: Any) -> Any:
    import torch

    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
