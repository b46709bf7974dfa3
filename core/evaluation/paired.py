"""Two systems on the same items: wins and losses, their test, and what it could have found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from core.evaluation import bootstrap
from core.evaluation.bootstrap import Difference
from core.evaluation.statistics import holm, mcnemar, minimum_detectable_difference

MOST_FOR_POWER = 5000  # items; beyond it the smallest detectable difference is below a point


@dataclass(frozen=True, slots=True)
class Item:
    """One question both systems were asked. cluster: shared by all wordings of one item."""

    id: str
    category: str
    cluster: str
    first: bool
    second: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same items. wins: items only the first has right; losses: only the second.

    detectable, mdd: the smallest true difference (0..1) this many items could show, power 80 %.
    holm_p: p_value after Holm's correction over the comparisons of one document.  bootstrap: the
    difference in accuracy, items redrawn.  categories: category → n, wins, losses, p_value and
    holm_p, corrected over the categories.  McNemar counts questions; where items were asked in
    several wordings the bootstrap is the one that allows for it.
    """

    metric: str
    n: int
    wins: int
    losses: int
    p_value: float
    detectable: float | None
    holm_p: float | None = None
    mdd: float | None = None
    bootstrap: Difference | None = None
    categories: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_items(items: Sequence[Item], metric: str = "accuracy") -> Comparison:
    """Exact McNemar over all items and in each category; a paired bootstrap over all."""
    n = len(items)
    wins, losses = _flips(items)
    detectable = None
    if 0 < n <= MOST_FOR_POWER:
        detectable = minimum_detectable_difference(n, (wins + losses) / n)
    p_value = mcnemar(wins, losses)
    return Comparison(
        metric,
        n,
        wins,
        losses,
        p_value,
        detectable,
        holm_p=p_value,
        mdd=detectable,
        bootstrap=bootstrap.paired(
            [i.first for i in items], [i.second for i in items], [i.cluster for i in items]
        ),
        categories=by_category(items),
    )


def by_category(items: Sequence[Item]) -> dict[str, dict[str, float]]:
    """Category → n, wins, losses, p_value, holm_p (corrected over the categories here)."""
    parts: dict[str, list[Item]] = {}
    for item in items:
        parts.setdefault(item.category, []).append(item)
    flips = {name: _flips(part) for name, part in parts.items()}
    p_values = {name: mcnemar(*flip) for name, flip in flips.items()}
    corrected = holm(p_values)
    return {
        name: {
            "n": len(part),
            "wins": flips[name][0],
            "losses": flips[name][1],
            "p_value": p_values[name],
            "holm_p": corrected[name],
        }
        for name, part in parts.items()
    }


def _flips(items: Sequence[Item]) -> tuple[int, int]:
    wins = sum(i.first and not i.second for i in items)
    return wins, sum(i.second and not i.first for i in items)
