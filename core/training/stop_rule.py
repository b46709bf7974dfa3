"""When to end before the last epoch: recall on unseen wording minus fabrication no longer rises. Light.

The last epochs fit what the base did not know, and that is when invention rises (Gekhman et al. 2024).
The rule is a function of the probes alone, so a run that was resumed decides as one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.training.recipe import StopPart


@dataclass(frozen=True, slots=True)
class Standing:
    """best_step, best_score: of the probe to keep.  waited: probes since then.  stop: the rule says so."""

    best_step: int
    best_score: float
    waited: int
    stop: bool


def standing(scores: Sequence[tuple[int, float]], part: StopPart) -> Standing | None:
    """scores: (step, recall - fabricated) of the probes, the oldest first. None before the first.

    A probe is better only if it beats the best by more than `min_gain`: of two that are as good the
    earlier is kept. With rule "none" nothing ever stops.
    """
    if not scores:
        return None
    at = 0
    for n, (_, score) in enumerate(scores):
        if score > scores[at][1] + part.min_gain:
            at = n
    waited = len(scores) - 1 - at
    return Standing(*scores[at], waited, part.rule == "recall" and waited >= part.patience)
