"""Two latencies held against each other: median and P95, with bootstrap intervals.

Paired where both answered the same questions: then every question is drawn together with both its
times, and how hard a question is does not blur the difference. Unpaired otherwise.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.evaluation.recorded import Timed, finite

FEWEST_PAIRS = 10
RESAMPLES = 2000
SEED = 20_250_101
QUANTILES = (("p50", 50.0), ("p95", 95.0))


def difference(ours: Sequence[Timed], theirs: Sequence[Timed]) -> dict[str, Any]:
    """ours - theirs in seconds: {paired, n, p50: {s, low, high}, p95: …}; below 0: ours is faster.

    n: questions if paired, else (ours, theirs). With an answer missing at a percentile there is no
    number. Several times of one question count as their median.
    """
    a, b = _by_question(ours), _by_question(theirs)
    shared = sorted(a.keys() & b.keys())
    rng = np.random.default_rng(SEED)
    if len(shared) >= FEWEST_PAIRS:
        first, second = np.array([[a[i] for i in shared], [b[i] for i in shared]])
        drawn = rng.integers(0, len(shared), (RESAMPLES, len(shared)))
        n: Any = len(shared)
        draws = (first[drawn], second[drawn])
    else:
        first, second = (np.array([t.seconds for t in part]) for part in (ours, theirs))
        n = [len(first), len(second)]
        draws = (
            first[rng.integers(0, len(first), (RESAMPLES, len(first)))],
            second[rng.integers(0, len(second), (RESAMPLES, len(second)))],
        )
    out: dict[str, Any] = {"paired": len(shared) >= FEWEST_PAIRS, "n": n}
    for name, q in QUANTILES:
        many = _at(draws[0], q) - _at(draws[1], q)
        low, high = np.percentile(many, [2.5, 97.5]) if np.isfinite(many).all() else (None, None)
        out[name] = {
            "s": finite(float(_at(first[None], q)[0] - _at(second[None], q)[0])),
            "low": finite(None if low is None else float(low)),
            "high": finite(None if high is None else float(high)),
        }
    return out


def _by_question(timed: Sequence[Timed]) -> dict[str, float]:
    times: dict[str, list[float]] = defaultdict(list)
    for t in timed:
        if t.id:
            times[t.id].append(t.seconds)
    return {name: _median(found) for name, found in times.items()}


def _median(values: list[float]) -> float:
    return sorted(values)[math.ceil(len(values) / 2) - 1]  # a time that was measured


def _at(rows: Any, q: float) -> Any:
    """The percentile of each row by nearest rank, as everywhere else; inf where no answer came."""
    with np.errstate(invalid="ignore"):
        return np.percentile(rows, q, axis=-1, method="inverted_cdf")
