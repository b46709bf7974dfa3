"""A decoder layer's two halves written out by hand, forward and backward, for training LoRA on a CPU.

Autograd's way through a layer of the Llama kind copies every activation to float32 and back at its norms
and keeps what lies between. Here frozen weights get no gradient, products add to what is there, and what is
cheap is made again: 300 MB kept for the way back instead of 807 (small model, 8 rows of 80 tokens), and
one operation in seven and most views gone. In float32 it is the library's result.

    Attention: h + o(attend(rope(q(n)), rope(k(n)), v(n))),  n = norm(h)
    Mlp:       h + down(silu(gate(n)) · up(n)),              n = norm(h)

Tensors are (tokens, width) with the rows of a batch one after the other; attention is plain (eager).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from core.training.fast import Projection, projection

FAMILIES = frozenset({"mistral", "llama"})  # whose layers are those above and nothing else


@dataclass(frozen=True, slots=True)
class Norm:
    weight: torch.Tensor
    eps: float


@dataclass(frozen=True, slots=True)
class Heads:
    """kv heads, query heads for each of them, their size, and what scores are multiplied by."""

    kv: int
    group: int
    size: int
    scaling: float


class Together:
    """Projections of one input: their low-rank factors side by side, in the dtype of the weights."""

    def __init__(self, parts: Sequence[Projection], factors: Sequence[torch.Tensor]) -> None:
        self.parts = parts
        self.ranks = [0 if p.a is None else p.a.shape[0] for p in parts]
        dtype = parts[0].weight.dtype
        pairs = iter(factors)
        self.b: list[torch.Tensor | None] = []
        a = []
        for p in parts:
            if p.a is None:
                self.b.append(None)
                continue
            a.append(next(pairs))
            self.b.append((next(pairs) * p.scale).to(dtype))
        self.a = torch.cat(a).to(dtype) if a else None  # (sum of ranks, in)

    def inner(self, x: torch.Tensor) -> torch.Tensor | None:
        return None if self.a is None else x @ self.a.t()

    def forward(
        self, x: torch.Tensor, inner: torch.Tensor | None, to: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """One output for each projection; of a single one, added to `to`."""
        out = []
        for p, b, low in zip(self.parts, self.b, self._split(inner), strict=True):
            y = x @ p.weight.t() if to is None else torch.addmm(to, x, p.weight.t())
            out.append(y if b is None or low is None else y.addmm_(low, b.t()))
        return out

    def backward(
        self,
        x: torch.Tensor,
        inner: torch.Tensor | None,
        grads: Sequence[torch.Tensor],
        wanted: bool = True,
    ) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        """Gradient of x, if wanted, and of a and b of each adapted projection in order."""
        g_x: torch.Tensor | None = None
        if wanted:
            for p, g in zip(self.parts, grads, strict=True):
                g_x = g @ p.weight if g_x is None else g_x.addmm_(g, p.weight)
        if self.a is None:
            return g_x, []
        adapted = [
            (p, b, low, g)
            for p, b, low, g in zip(self.parts, self.b, self._split(inner), grads, strict=True)
            if b is not None and low is not None
        ]
        g_inner = torch.cat([g @ b for _, b, _, g in adapted], 1)  # the scale is in b
        if g_x is not None:
            g_x.addmm_(g_inner, self.a)
        g_a = (g_inner.t() @ x).float().split([n for n in self.ranks if n])
        out = []
        for (p, _, low, g), one in zip(adapted, g_a, strict=True):
            out += [one, (g.t() @ low).float().mul_(p.scale)]
        return g_x, out

    def _split(self, inner: torch.Tensor | None) -> Sequence[torch.Tensor | None]:
        return [None] * len(self.parts) if inner is None else inner.split(self.ranks, 1)


def _normed(h: torch.Tensor, norm: Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """norm(h), and 1 / root mean square: (tokens, 1) in float32."""
    square = torch.linalg.vector_norm(h, dim=-1, keepdim=True, dtype=torch.float32).square_()
    inverse = square.div_(h.shape[-1]).add_(norm.eps).rsqrt_()
    return (h * inverse).to(h.dtype).mul_(norm.weight), inverse


def _norm_backward(
    g: torch.Tensor, h: torch.Tensor, inverse: torch.Tensor, norm: Norm, beside: torch.Tensor
) -> torch.Tensor:
    """Gradient of h through its norm, and `beside` it the one that went around."""
    g = g.mul_(norm.weight)
    share = (g * h).sum(-1, keepdim=True, dtype=torch.float32)
    share.mul_(inverse.pow(3)).div_(h.shape[-1])
    out = (g * inverse).sub_(h * share).add_(beside)
    return out.to(h.dtype)


class Attention(torch.autograd.Function):  # type: ignore[misc]
    """h: (tokens, width).  cos, sin: (rows or 1, length, size).  mask: (rows, 1, length, length), added
    to the scores.  turn: (size, size), x @ turn = rotate_half(x)."""

    @staticmethod
    def forward(
        ctx: Any,
        h: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        mask: torch.Tensor,
        turn: torch.Tensor,
        spec: Any,
        *factors: torch.Tensor,
    ) -> torch.Tensor:
        norm, heads, qkv, o = spec
        rows, length = mask.shape[0], mask.shape[2]
        first, last = _cut(factors, qkv)
        into, out = Together(qkv, first), Together([o], last)
        n, inverse = _normed(h, norm)
        inner = into.inner(n)
        q, k, v = (
            t.view(rows, length, -1, heads.size).transpose(1, 2) for t in into.forward(n, inner)
        )
        cos, sin = cos[:, None], sin[:, None]  # one for all heads
        q = _rotated(q, cos, sin, turn).view(rows * heads.kv, heads.group * length, heads.size)
        k = _rotated(k, cos, sin, turn).view(rows * heads.kv, length, heads.size)
        v = v.reshape(rows * heads.kv, length, heads.size)
        scores = _product(q, k.transpose(1, 2), heads.scaling)
        scores.view(rows, -1, length, length).add_(mask)
        p = torch.softmax(scores, -1)
        seen = torch.bmm(p, v).view(rows, -1, length, heads.size).transpose(1, 2)
        seen = seen.reshape(rows * length, -1)
        low = out.inner(seen)
        (y,) = out.forward(seen, low, to=h)
        ctx.save_for_backward(h, inverse, n, inner, q, k, v, p, seen, low, cos, sin, turn, *factors)
        ctx.spec, ctx.rows = spec, rows
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (g,) = grads
        h, inverse, n, inner, q, k, v, p, seen, low, cos, sin, turn, *factors = ctx.saved_tensors
        norm, heads, qkv, o = ctx.spec
        rows, length = ctx.rows, v.shape[1]
        first, last = _cut(factors, qkv)
        into, out = Together(qkv, first), Together([o], last)
        g_seen, g_o = out.backward(seen, low, [g])
        assert g_seen is not None
        g_seen = g_seen.view(rows, length, -1, heads.size).transpose(1, 2)
        g_seen = g_seen.reshape(rows * heads.kv, heads.group * length, heads.size)
        g_v = torch.bmm(p.transpose(1, 2), g_seen)
        g_p = torch.bmm(g_seen, v.transpose(1, 2))
        g_scores = torch._softmax_backward_data(g_p, p, -1, p.dtype)
        g_q = _product(g_scores, k, heads.scaling).view(rows, -1, length, heads.size)
        g_k = _product(g_scores.transpose(1, 2), q, heads.scaling)
        g_q = _rotated_back(g_q, cos, sin, turn)
        g_k = _rotated_back(g_k.view(rows, -1, length, heads.size), cos, sin, turn)
        g_v = g_v.view(rows, -1, length, heads.size)
        flat = [t.transpose(1, 2).reshape(rows * length, -1) for t in (g_q, g_k, g_v)]
        below = ctx.needs_input_grad[0]
        g_n, g_qkv = into.backward(n, inner, flat, below)
        g_h = _norm_backward(g_n, h, inverse, norm, g) if g_n is not None else None
        return g_h, None, None, None, None, None, *g_qkv, *g_o


class Mlp(torch.autograd.Function):  # type: ignore[misc]
    """h: (tokens, width)."""

    @staticmethod
    def forward(ctx: Any, h: torch.Tensor, spec: Any, *factors: torch.Tensor) -> torch.Tensor:
        norm, wide, down = spec
        first, last = _cut(factors, wide)
        into, out = Together(wide, first), Together([down], last)
        n, inverse = _normed(h, norm)
        inner = into.inner(n)
        gate, up = into.forward(n, inner)
        act = functional.silu(gate).mul_(up)
        low = out.inner(act)
        (y,) = out.forward(act, low, to=h)
        ctx.save_for_backward(h, inverse, n, inner, gate, up, low, *factors)
        ctx.spec = spec
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (g,) = grads
        h, inverse, n, inner, gate, up, low, *factors = ctx.saved_tensors
        norm, wide, down = ctx.spec
        first, last = _cut(factors, wide)
        into, out = Together(wide, first), Together([down], last)
        opened = functional.silu(gate)  # again, rather than kept
        g_act, g_down = out.backward(opened * up, low, [g])
        assert g_act is not None
        g_up = opened.mul_(g_act)
        g_gate = torch.ops.aten.silu_backward(g_act.mul_(up), gate)
        g_n, g_wide = into.backward(n, inner, [g_gate, g_up], ctx.needs_input_grad[0])
        g_h = _norm_backward(g_n, h, inverse, norm, g) if g_n is not None else None
        return g_h, None, *g_wide, *g_down


def _cut(
    factors: Sequence[torch.Tensor], first: Sequence[Projection]
) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
    count = 2 * sum(p.a is not None for p in first)
    return factors[:count], factors[count:]


def _product(x: torch.Tensor, y: torch.Tensor, scale: float) -> torch.Tensor:
    """scale · x y, of stacks of matrices."""
    return torch.baddbmm(x.new_empty(1), x, y, beta=0, alpha=scale)


def _rotated(
    x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, turn: torch.Tensor
) -> torch.Tensor:
    """x: (rows, heads, length, size), in any order of memory; the result lies in that one."""
    x = x.contiguous()
    return torch.addcmul(x * cos, x @ turn, sin)


def _rotated_back(
    g: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, turn: torch.Tensor
) -> torch.Tensor:
    return (g * cos).add_((g * sin) @ turn.t())


def use_layers(model: Any) -> int:
    """Give every decoder layer of `model` that is fit for it the products above, for as long as it
    trains; how many. Answering, and whatever asks for a cache, goes the library's way.

    Left as they are: other families, dropout, DoRA, biases, several adapters, attention that is not
    eager.
    """
    causal = model.get_base_model()
    config = causal.config
    if config.model_type not in FAMILIES or config.hidden_act != "silu":
        return 0
    if config._attn_implementation != "eager" or config.attention_dropout:
        return 0
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turn = _turn(size, causal.dtype)
    changed = 0
    for layer in causal.model.layers:
        found = _specs(layer, config, size)
        if found is not None:
            layer.forward = _by_hand(layer, turn, *found)
            changed += 1
    return changed


def _by_hand(layer: Any, turn: torch.Tensor, attention: Any, mlp: Any) -> Any:
    stock = layer.forward
    first = [t for p in (*attention[2], attention[3]) for t in (p.a, p.b) if t is not None]
    second = [t for p in (*mlp[1], mlp[2]) for t in (p.a, p.b) if t is not None]

    def forward(
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_embeddings: Any = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> Any:
        fit = layer.training and past_key_values is None and position_embeddings is not None
        if not fit or attention_mask is None or not attention_mask.is_floating_point():
            return stock(
                hidden_states,
                attention_mask=attention_mask,
                position_embeddings=position_embeddings,
                past_key_values=past_key_values,
                **kwargs,
            )
        given = (hidden_states, attention_mask, *position_embeddings)
        if layer.gradient_checkpointing:  # the library's wrapper is around the forward of its own
            return layer._gradient_checkpointing_func(products, *given)
        return products(*given)

    def products(
        hidden: torch.Tensor, seen: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        h = hidden.reshape(-1, hidden.shape[-1])
        rows, length = hidden.shape[:2]
        mask = seen.expand(rows, 1, length, length)
        h = Attention.apply(h, cos, sin, mask, turn, attention, *first)
        return Mlp.apply(h, mlp, *second).view(hidden.shape)

    return forward


def _specs(layer: Any, config: Any, size: int) -> tuple[Any, Any] | None:
    """What the two functions need of a layer, None if something in it is not plain."""
    own, mlp = layer.self_attn, layer.mlp
    names = (own.q_proj, own.k_proj, own.v_proj, own.o_proj)
    parts = [projection(m) for m in (*names, mlp.gate_proj, mlp.up_proj, mlp.down_proj)]
    found = [p for p in parts if p is not None]
    if len(found) < len(parts):
        return None
    q, k, v, o, gate, up, down = found
    kv = config.num_key_value_heads
    heads = Heads(kv, config.num_attention_heads // kv, size, float(own.scaling))
    before, after = (
        Norm(n.weight, n.variance_epsilon)
        for n in (layer.input_layernorm, layer.post_attention_layernorm)
    )
    return (before, heads, (q, k, v), o), (after, (gate, up), down)


def _turn(size: int, dtype: torch.dtype) -> torch.Tensor:
    half = size // 2
    turn = torch.zeros(size, size, dtype=dtype)
    turn[torch.arange(half), torch.arange(half) + half] = 1
    turn[torch.arange(half) + half, torch.arange(half)] = -1
    return turn
