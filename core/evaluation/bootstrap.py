"""Paired bootstrap: how far a difference between two systems could be off, had the items been others.

Items are drawn with replacement, all wordings of an item together, because answers to two wordings
of one question are no independent observations. The seed is fixed: the same scores give the same
interval.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

RESAMPLES = 10_000
SEED = 20_240_607
_AT_ONCE = 2_000_000  # drawn numbers held in memory


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of first - second over the observations, with its interval."""

    difference: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def paired(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Difference | None:
    """Percentile interval of mean(first - second); None without observations.

    first, second: n values each of the same items in the same order (0/1, seconds …).
    clusters: n keys; observations with equal keys are drawn together. None: each by itself.
    Raises ValueError if the lengths differ.
    """
    import numpy as np

    n = len(first)
    if len(second) != n or (clusters is not None and len(clusters) != n):
        raise ValueError("a paired bootstrap needs the same items on both sides")
    if n == 0:
        return None
    delta = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    sums, sizes = delta, np.ones(n)
    if clusters is not None:
        number = {key: i for i, key in enumerate(dict.fromkeys(clusters))}
        member = np.fromiter((number[key] for key in clusters), dtype=np.intp, count=n)
        sums = np.bincount(member, weights=delta)
        sizes = np.bincount(member).astype(float)
    # Items that add the same sum and size are interchangeable, so how often each *kind* is drawn is
    # all that matters: three kinds for right-or-wrong answers, however many items there are.
    kinds, counts = np.unique(np.stack([sums, sizes], axis=1), axis=0, return_counts=True)
    total = len(sums)
    few = len(kinds) < total / 8
    rng = np.random.default_rng(seed)
    means = []
    step = max(1, _AT_ONCE // (len(kinds) if few else total))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        if few:
            drawn = rng.multinomial(total, counts / total, size=rows)
            means.append((drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1]))
        else:
            at = rng.integers(0, total, size=(rows, total))
            means.append(sums[at].sum(axis=1) / sizes[at].sum(axis=1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Difference(float(delta.mean()), float(low), float(high))
