"""Two products written out by hand, because autograd's way through them costs a third of a CPU step.

`HeadLoss`: output head and cross-entropy in one, chunk by chunk. Loss and gradient come from the same
exponentials, and no more than one chunk of logits exists at a time. Exact.

`LowRank`: y = x Wᵀ + s (x Aᵀ) Bᵀ in the dtype of W, with A and B kept in float32 for the optimizer.
PEFT casts every activation to float32 and back for the two small products; here the two small matrices
are cast instead. The rounding is that of W's dtype, which the activations have anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

CHUNK = 128  # positions: 128 × 49k logits in float32 are 25 MB
# A CPU's matrix units get a program of their own for every shape of a product: 1 to 2 ms each to make, and
# half a megabyte each to keep. Sizes that differ from batch to batch are rounded up.
CPU_ROWS = 16  # of the last chunk
CPU_LENGTH = 8  # tokens a batch is padded to a multiple of


class HeadLoss(torch.autograd.Function):  # type: ignore[misc]
    """Sum of -log softmax(hidden Wᵀ)[target]; the head itself is frozen.

    hidden: (n, width).  weight: (vocabulary, width).  targets: (n,) of token ids.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        gradient = torch.empty_like(hidden) if hidden.requires_grad else None
        for at in range(0, hidden.shape[0], CHUNK):
            part, target = hidden[at : at + CHUNK], targets[at : at + CHUNK, None]
            size = part.shape[0]
            logits = (_whole(part) @ weight.t())[:size].float()
            picked = logits.gather(1, target)
            top = logits.amax(1, keepdim=True)
            exp = logits.sub_(top).exp_()
            norm = exp.sum(1, keepdim=True)
            total += (norm.log() + top - picked).sum()
            if gradient is not None:
                exp.div_(norm)  # softmax
                exp.scatter_add_(1, target, exp.new_full((1, 1), -1.0).expand_as(target))
                gradient[at : at + CHUNK] = (_whole(exp.to(weight.dtype)) @ weight)[:size]
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0].to(gradient.dtype), None, None


def _whole(x: torch.Tensor) -> torch.Tensor:
    """On a CPU, with zeros below up to a multiple of CPU_ROWS."""
    more = -x.shape[0] % CPU_ROWS if x.device.type == "cpu" else 0
    return nn.functional.pad(x, (0, 0, 0, more)) if more else x


@dataclass(frozen=True, slots=True)
class Projection:
    """weight: (out, in), frozen.  a: (r, in), b: (out, r) in float32, or None without an adapter.
    scale: alpha / r."""

    weight: torch.Tensor
    a: torch.Tensor | None = None
    b: torch.Tensor | None = None
    scale: float = 1.0


class LowRank(torch.autograd.Function):  # type: ignore[misc]
    """x: (…, in).  weight: (out, in), frozen.  a: (r, in), b: (out, r), float32.  scale: alpha / r."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        low_a = a.to(weight.dtype)
        low_b = (b * scale).to(weight.dtype)
        inner = flat @ low_a.t()
        y = torch.addmm(flat @ weight.t(), inner, low_b.t())
        ctx.save_for_backward(flat, weight, low_a, low_b, inner)
        ctx.scale = scale
        ctx.shape = x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        flat, weight, low_a, low_b, inner = ctx.saved_tensors
        g = grads[0].reshape(-1, weight.shape[0])
        g_inner = g @ low_b  # scale is in low_b already
        g_a = (g_inner.t() @ flat).float()
        g_b = (g.t() @ inner).float() * ctx.scale
        g_x = None
        if ctx.needs_input_grad[0]:
            g_x = torch.addmm(g @ weight, g_inner, low_a).view(ctx.shape)
        return g_x, None, g_a, g_b, None


def use_low_rank(model: Any) -> int:
    """Give every plain LoRA linear of `model` the hand-written product; how many were fit for it.

    Left as they are: quantised bases, dropout, DoRA, a bias, several adapters at once.
    """
    from peft.tuners.lora import LoraLayer

    changed = 0
    for module in model.modules():
        found = projection(module) if isinstance(module, LoraLayer) else None
        if found is not None:
            module.forward = _product(found)
            changed += 1
    return changed


def projection(module: Any) -> Projection | None:
    """A plain linear layer, with a plain LoRA adapter or none; None for anything else."""
    from peft.tuners.lora import Linear

    if type(module) is nn.Linear:
        return None if module.bias is not None else Projection(module.weight)
    if type(module) is not Linear or len(module.active_adapters) != 1:
        return None
    name = module.active_adapters[0]
    base, a, b = module.base_layer, module.lora_A[name], module.lora_B[name]
    plain = type(base) is nn.Linear and base.bias is None and a.bias is None and b.bias is None
    dropout = module.lora_dropout[name]
    if not plain or not isinstance(dropout, nn.Identity) or name in module.lora_variant:
        return None
    return Projection(base.weight, a.weight, b.weight, float(module.scaling[name]))


def _product(p: Projection) -> Any:
    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return LowRank.apply(x, p.weight, p.a, p.b, p.scale)

    return forward
