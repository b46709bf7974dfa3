"""Do two models give the same next-token scores on the same prompts? Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

PROMPTS = (
    "How many cores does a node of Delta have?",
    "Which GPUs can I use on Anvil?",
    "How do I apply for an ACCESS allocation?",
    "Is Bridges-2 down at the moment?",
    "Which institution runs Stampede3?",
)
AGREEING = 0.98


@dataclass(frozen=True, slots=True)
class LogitsCheck:
    """Base with adapters beside it, against the merged model as it was read back from disk.

    max_abs_diff, mean_abs_diff: of the scores.  top1_agreement: share of the positions where both
    prefer the same token.  base_top1_agreement: the same for the base alone, so that a merge without
    effect shows.  moved: by how much the adapters move a score at most.
    """

    prompts: int
    positions: int
    max_abs_diff: float
    mean_abs_diff: float
    top1_agreement: float
    base_top1_agreement: float
    moved: float

    @property
    def agrees(self) -> bool:
        return self.top1_agreement >= AGREEING

    def sentence(self) -> str:
        return (
            f"merged against base + adapters on {self.prompts} prompts: same first choice at "
            f"{self.top1_agreement:.1%} of {self.positions} positions, scores differ by at most "
            f"{self.max_abs_diff:.3g} (the adapters move them by up to {self.moved:.3g})"
        )


def render(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Each prompt as a user's turn, in token ids."""
    return [
        list(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                tokenize=True,
                return_dict=False,
                add_generation_prompt=True,
            )
        )
        for prompt in prompts
    ]


def scores(model: Any, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """(tokens, vocabulary) in float32 for each row, one at a time: no padding has a say."""
    out = []
    with torch.inference_mode():
        for ids in rows:
            found = model(torch.tensor([list(ids)]), use_cache=False).logits[0]
            out.append(found.float().cpu())
    return out


def compare(
    base: Sequence[torch.Tensor], beside: Sequence[torch.Tensor], merged: Sequence[torch.Tensor]
) -> LogitsCheck:
    """base alone, base with adapters beside it, merged: scores of the same rows."""
    alone, wanted, got = (torch.cat(list(x)) for x in (base, beside, merged))
    gap = (wanted - got).abs()
    best = wanted.argmax(1)
    return LogitsCheck(
        prompts=len(base),
        positions=int(wanted.shape[0]),
        max_abs_diff=float(gap.max()),
        mean_abs_diff=float(gap.mean()),
        top1_agreement=float((best == got.argmax(1)).float().mean()),
        base_top1_agreement=float((best == alone.argmax(1)).float().mean()),
        moved=float((wanted - alone).abs().max()),
    )
