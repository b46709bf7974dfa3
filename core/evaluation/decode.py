"""Greedy decoding of a left-padded batch that shrinks as its answers end.

The tokens are those of `model.generate(do_sample=False)`. Rows that have ended leave the batch, and
their keys and values the cache: in a batch of 32 short answers more than half of the work is otherwise
spent on rows that nobody waits for. torch is imported at the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

SHRINK_AT = 8  # rows leave the batch once an eighth of it has ended: each leaving copies the cache


def greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
    pad_id: int,
    device: str,
    first_token: Callable[[], None] | None = None,
) -> list[list[int]]:
    """New tokens of each prompt, in the order given; the stop token that ended one is its last.

    prompts: token ids, at least one each.  first_token: called once all rows have their first.
    """
    import torch

    if not _shrinkable(model):
        return _by_generate(model, prompts, max_new_tokens, stop_ids, pad_id, device)
    from transformers import DynamicCache

    width = max(map(len, prompts))
    ids = torch.tensor([[pad_id] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    said: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # which prompt each row of the batch belongs to
    position = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        for step in range(max_new_tokens):
            out = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=position,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = out.logits[:, -1].argmax(-1)
            tokens = chosen.tolist()
            for row, token in zip(rows, tokens, strict=True):
                if row >= 0:
                    said[row].append(token)
            if step == 0 and first_token is not None:
                first_token()
            rows = [-1 if t in stop_ids else r for r, t in zip(rows, tokens, strict=True)]
            going = [n for n, row in enumerate(rows) if row >= 0]
            if not going or step + 1 == max_new_tokens:
                break
            position = position[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=-1)
            if (len(rows) - len(going)) * SHRINK_AT >= len(rows):
                keep = torch.tensor(going, device=device)
                cache.batch_select_indices(keep)
                chosen, position, mask = chosen[keep], position[keep], mask[keep]
                rows = [rows[n] for n in going]
            ids = chosen[:, None]
    return said


def _shrinkable(model: Any) -> bool:
    """Whether the model keeps what it has read in a cache whose rows can be taken out."""
    supports = getattr(model, "_supports_default_dynamic_cache", None)
    return not model.config.is_encoder_decoder and supports is not None and bool(supports())


def _by_generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    stop_ids: Collection[int],
    pad_id: int,
    device: str,
) -> list[list[int]]:
    import torch

    width = max(map(len, prompts))
    ids = torch.tensor([[pad_id] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            eos_token_id=sorted(stop_ids),
            pad_token_id=pad_id,
        )
    said = []
    for row in out[:, width:].tolist():
        end = next((n for n, t in enumerate(row) if t in stop_ids), len(row))
        said.append(row[: end + 1])
    return said
