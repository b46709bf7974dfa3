"""Intervals, paired tests and verdicts that know when there is too little data.

All probabilities come from SciPy's exact binomial routines; nothing is approximated by hand. SciPy
is imported at the first call, so that importing this module stays cheap.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Verdict = Literal["PASS", "FAIL", "UNDECIDED"]
CONFIDENCE = 0.95
MOST_ITEMS = 1_000_000  # nobody writes more golden questions; beyond it, no number decides


@dataclass(frozen=True, slots=True)
class Proportion:
    """k of n with its interval; estimate, low and high are 0..1, and None when n is 0.

    n_effective: how many independent observations the n are worth, where some belong together
    (wordings of one item); None where each stands for itself. The interval is that of n_effective.
    """

    k: int
    n: int
    estimate: float | None
    low: float | None
    high: float | None
    n_effective: int | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """k and n as the interval and the verdict use them."""
        if self.n_effective is None:
            return self.k, self.n
        return round(self.k * self.n_effective / self.n), self.n_effective

    def as_dict(self, verdict: Verdict | None = None) -> dict[str, float | int | str | None]:
        more = {} if self.n_effective is None else {"n_effective": self.n_effective}
        return more | {
            "k": self.k,
            "n": self.n,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "verdict": verdict,
        }


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit a proportion is held against: at least or at most `target`, give or take `margin`.

    With a margin, PASS needs the interval to clear target - margin (at least) or target + margin
    (at most); FAIL always needs it to miss the target itself.
    """

    target: float
    at_least: bool = True
    margin: float = 0.0
    confidence: float = CONFIDENCE


def wilson(
    k: int, n: int, confidence: float = CONFIDENCE, n_effective: int | None = None
) -> Proportion:
    """k successes of n with the two-sided Wilson score interval.

    n_effective: for observations that belong together, see `clustered`.
    Raises ValueError if not 0 <= k <= n, or if n_effective is not in 1..n.
    """
    if not 0 <= k <= n or (n_effective is not None and not 1 <= n_effective <= n):
        raise ValueError(f"{k} of {n} is no proportion")
    if n == 0:
        return Proportion(0, 0, None, None, None)
    p = Proportion(k, n, k / n, None, None, n_effective)
    low, high = _interval(*p.counts, confidence)
    # rounding k for the effective n must not leave the estimate outside
    return Proportion(k, n, k / n, min(low, k / n), max(high, k / n), n_effective)


def clustered(
    counts: Sequence[tuple[int, int]], clusters: Sequence[Hashable], confidence: float = CONFIDENCE
) -> Proportion:
    """Sum of k over sum of n of observations (k, n), where equal clusters belong together.

    The effective n is p (1 - p) over the variance between clusters of the ratio, never more than n
    and never fewer than the clusters that have any; with p at 0 or 1 it is the number of clusters.
    Raises ValueError if the lengths differ or a (k, n) is no proportion.
    """
    if len(counts) != len(clusters):
        raise ValueError("one cluster an observation")
    sums: dict[Hashable, tuple[int, int]] = {}
    for (k, n), cluster in zip(counts, clusters, strict=True):
        a, b = sums.get(cluster, (0, 0))
        sums[cluster] = (a + k, b + n)
    parts = [(k, n) for k, n in sums.values() if n]
    k, n = sum(k for k, _ in parts), sum(n for _, n in parts)
    if n == 0 or all(m == 1 for _, m in parts):
        return wilson(k, n, confidence)
    p, c = k / n, len(parts)
    spread = sum((a - p * b) ** 2 for a, b in parts) * c / max(1, c - 1)
    effective = n * n * p * (1 - p) / spread if 0 < k < n and spread else c
    return wilson(k, n, confidence, max(1, min(n, max(c, math.floor(effective + 1e-9)))))


def verdict(p: Proportion, bound: Bound) -> Verdict:
    """PASS if the whole interval is on the good side, FAIL if on the bad side, else UNDECIDED."""
    if p.n == 0:
        return "UNDECIDED"
    low, high = _interval(*p.counts, bound.confidence)
    if bound.at_least:
        if low >= bound.target - bound.margin:
            return "PASS"
        return "FAIL" if high < bound.target else "UNDECIDED"
    if high <= bound.target + bound.margin:
        return "PASS"
    return "FAIL" if low > bound.target else "UNDECIDED"


def items_needed(p: Proportion, bound: Bound) -> int | None:
    """How many further items would decide, if they came out as those so far; 0 if decided.

    None when no number would (the observed rate is the target itself) or nothing is measured yet.
    A forecast, not a promise: the further items may come out differently. Counted in independent
    items, not in further wordings of the same.
    """
    if verdict(p, bound) != "UNDECIDED":
        return 0
    if p.n == 0 or p.estimate is None:
        return None

    k_now, n_now = p.counts

    def decided(further: int) -> bool:
        n = n_now + further
        k = min(n, max(k_now, round(k_now * n / n_now)))
        return verdict(wilson(k, n, bound.confidence), bound) != "UNDECIDED"

    step = 1
    while not decided(step):
        step *= 2
        if n_now + step > MOST_ITEMS:
            return None
    low, high = step // 2, step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def chances(n: int, bound: Bound, truth: float) -> dict[Verdict, float]:
    """Chance of each verdict on n independent items when the true proportion is `truth` (0..1)."""
    import numpy as np
    from scipy.stats import binom

    weights = binom.pmf(np.arange(n + 1), n, truth)
    out: dict[Verdict, float] = {"PASS": 0.0, "FAIL": 0.0, "UNDECIDED": 0.0}
    for k, weight in enumerate(weights):
        out[verdict(wilson(k, n, bound.confidence), bound)] += float(weight)
    return out


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction over a family of tests: the chance that any is wrong stays below
    alpha if those with a corrected p below alpha are believed. Same keys, same order.
    """
    ordered = sorted(p_values, key=lambda name: p_values[name])
    corrected: dict[str, float] = {}
    worst = 0.0
    for rank, name in enumerate(ordered):
        worst = max(worst, min(1.0, (len(ordered) - rank) * p_values[name]))
        corrected[name] = worst
    return {name: corrected[name] for name in p_values}


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided p-value of the exact McNemar test from the discordant items; 1.0 without any."""
    if wins + losses == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(min(wins, losses), wins + losses, 0.5).pvalue)


@lru_cache(maxsize=4096)
def minimum_detectable_difference(
    n: int, discordant: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Smallest true difference (0..1) between two systems on the same n items that the exact
    McNemar test would find with the stated power, when a share `discordant` of items differ.

    None if even a one-sided split of all discordant items would not be found.
    """
    if n <= 0 or not 0 < discordant <= 1:
        return None
    low, high = 0.0, discordant
    if _power(n, discordant, high, alpha) < power:
        return None
    while high - low > 0.0005:
        middle = (low + high) / 2
        if _power(n, discordant, middle, alpha) >= power:
            high = middle
        else:
            low = middle
    return high


def percentile(values: Sequence[float], q: float) -> float | None:
    """Nearest-rank percentile, q in 0..1; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def percentile_interval(
    values: Sequence[float], q: float, confidence: float = CONFIDENCE
) -> tuple[float | None, float | None]:
    """Distribution-free interval of a percentile from order statistics.

    An end is None where the sample is too small to have one: the P95 of 12 values has no upper end.
    """
    n = len(values)
    if n == 0:
        return None, None
    from scipy.stats import binom

    tail = (1 - confidence) / 2
    ordered = sorted(values)
    below = int(binom.ppf(tail, n, q))  # P(fewer than `below` values under the percentile) <= tail
    above = int(binom.ppf(1 - tail, n, q)) + 1
    low = ordered[below - 1] if below >= 1 else None
    high = ordered[above - 1] if above <= n else None
    return low, high


@lru_cache(maxsize=65536)
def _interval(k: int, n: int, confidence: float) -> tuple[float, float]:
    from scipy.stats import binomtest

    ci = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return float(ci.low), float(ci.high)


def _power(n: int, discordant: float, difference: float, alpha: float) -> float:
    """Chance that exact McNemar is below alpha: sum over the number of discordant items."""
    import numpy as np
    from scipy.stats import binom

    share = (discordant + difference) / (2 * discordant)
    counts = np.arange(n + 1)
    # largest number of losses still significant: P(X <= c) <= alpha / 2 under a fair coin
    c = binom.ppf(alpha / 2, counts, 0.5).astype(int)
    c = np.where(binom.cdf(c, counts, 0.5) <= alpha / 2, c, c - 1)
    found = binom.cdf(c, counts, 1 - share) + binom.cdf(c, counts, share)
    return float((binom.pmf(counts, n, discordant) * np.where(c >= 0, found, 0.0)).sum())
