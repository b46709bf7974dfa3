"""One pass through a Llama-like model on a CPU, without what transformers does around it.

The model's own modules do the work: norms, projections, experts, adapters beside the weights. What is
done otherwise is the attention between them: the mask is made once instead of in every layer, and the
kernel is asked for grouped heads, which on a CPU is faster than repeating or regrouping them. `straight`
asks both for the same logits first, and stands back where they are not equal to the last bit. Of a batch
of prompts of unlike length, columns in which a row has no token are left out where that pays: they
count for nothing, and leaving them out changes the order of a sum at most.
Imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM, MistralForCausalLM, MixtralForCausalLM

from core.evaluation.kv_room import Group, Rooms

FAMILIES = (LlamaForCausalLM, MistralForCausalLM, MixtralForCausalLM)
PROBE = ((5, 9, 4, 7, 3), (8, 6, 2))
"""Two prompts of unlike length: one is padded."""

Pass = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Rooms], torch.Tensor]
"""(ids, mask, positions, rooms) → logits of the last position.

ids, positions: (rows, tokens).  mask: (rows, columns so far), 1 where there is a token.
logits: (rows, vocabulary).
"""


def through(model: Any) -> Pass:
    """The way through any model that `kv_room.has_room_for`."""

    def whole(
        ids: torch.Tensor, mask: torch.Tensor, position: torch.Tensor, rooms: Rooms
    ) -> torch.Tensor:
        logits: torch.Tensor = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position,
            past_key_values=rooms.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return logits[:, -1]

    return whole


def straight(model: Any) -> Pass | None:
    """The shorter way, where this model has one that gives the same logits; else None."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if type(inner) not in FAMILIES or model.device.type != "cpu":
        return None
    short = _short(inner)
    with torch.inference_mode(), _grouped_heads():
        same = _same(model, short)
    return short if same else None


def _short(model: Any) -> Pass:
    inner = model.model

    def short(
        ids: torch.Tensor, mask: torch.Tensor, position: torch.Tensor, rooms: Rooms
    ) -> torch.Tensor:
        hidden = inner.embed_tokens(ids)
        cos, sin = inner.rotary_emb(hidden, position)
        turn = cos[:, :, None], _signed(sin)[:, :, None]
        # while prompts are read, the columns are those of the part that is read
        groups = rooms.groups or [Group(slice(0, len(ids)), 0)]
        seen = [(g, _allowed(mask[g.rows, g.begin :], ids.shape[1], hidden.dtype)) for g in groups]
        for layer, room in zip(inner.layers, rooms.layers, strict=True):
            rooms.wanted()
            hidden = hidden + _attention(
                layer.self_attn, layer.input_layernorm(hidden), turn, seen, room
            )
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        logits: torch.Tensor = model.lm_head(inner.norm(hidden)[:, -1:])[:, -1]
        return logits

    return short


def _attention(
    attention: Any,
    hidden: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    groups: Sequence[tuple[Group, torch.Tensor | None]],
    room: Any,
) -> torch.Tensor:
    shape = (*hidden.shape[:-1], -1, attention.head_dim)
    query = _turned(attention.q_proj(hidden).view(shape), turn).transpose(1, 2)
    key = _turned(attention.k_proj(hidden).view(shape), turn).transpose(1, 2)
    value = attention.v_proj(hidden).view(shape).transpose(1, 2)
    keys, values = room.update(key, value)
    parts = [
        F.scaled_dot_product_attention(
            query[group.rows],
            keys[group.rows, :, group.begin :],
            values[group.rows, :, group.begin :],
            attn_mask=allowed,
            is_causal=allowed is None and hidden.shape[1] > 1,
            scale=attention.scaling,
            enable_gqa=True,
        )
        for group, allowed in groups
    ]
    seen = parts[0] if len(parts) == 1 else torch.cat(parts)
    together: torch.Tensor = attention.o_proj(seen.transpose(1, 2).reshape(*hidden.shape[:-1], -1))
    return together


def _signed(sin: torch.Tensor) -> torch.Tensor:
    """The first half negative: a rotation then needs the halves swapped, and no sign of their own."""
    half = sin.shape[-1] // 2
    return torch.cat((-sin[..., :half], sin[..., half:]), -1)


def _turned(states: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotary positions. states: (rows, tokens, heads, size of a head)."""
    half = states.shape[-1] // 2
    swapped = torch.cat((states[..., half:], states[..., :half]), -1)
    return states * turn[0] + swapped * turn[1]


def _allowed(mask: torch.Tensor, tokens: int, dtype: torch.dtype) -> torch.Tensor | None:
    """What each of the last tokens may see: 0 or -inf, (rows, 1, tokens, columns); None: all before it.

    A padding token sees itself, so that nothing is divided by zero.
    """
    if bool(mask.all()):
        return None
    seen = mask[:, None, None, :].bool()
    if tokens > 1:
        square = torch.ones(tokens, tokens, dtype=torch.bool, device=mask.device)
        seen = (seen & square.tril()) | square.diag().diag()
    return torch.zeros(seen.shape, dtype=dtype, device=mask.device).masked_fill_(
        ~seen, float("-inf")
    )


def _same(model: Any, short: Pass) -> bool:
    """Whether both ways give equal logits: for one prompt, for two of unlike length, and a step on."""
    whole = through(model)
    for prompts in (PROBE[:1], PROBE):
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        position = (mask.cumsum(-1) - 1).clamp(min=0)
        longer = torch.cat((mask, torch.ones_like(mask[:, :1])), -1)
        said = []
        for way in (whole, short):
            rooms = Rooms(model.config.num_hidden_layers, len(prompts), width + 1)
            rooms.read_at(0, width)
            first = way(ids, mask, position, rooms)
            rooms.all_read(width)
            said.append((first, way(ids[:, -1:], longer, position[:, -1:] + 1, rooms)))
        if not all(torch.equal(a, b) for a, b in zip(*said, strict=True)):
            return False
    return True


@contextmanager
def _grouped_heads() -> Iterator[None]:
    """transformers asks for grouped heads too: in bf16 another kernel has other last bits."""
    name = "TRANSFORMERS_SDPA_FORCE_GQA"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
