"""Worse and better by category, each with its test, held together by Holm's correction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from core.evaluation.pages.fields import mapping, rows


def by_category(compared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """category → wins, losses, p_value (exact McNemar), holm_p; most losses first.

    compared: from `compare_scores`; what it says about categories itself is taken as it is.
    """
    given = mapping(compared.get("categories"))
    if given:
        return {str(k): dict(mapping(v)) for k, v in given.items()}
    from core.evaluation.statistics import holm, mcnemar

    flips = mapping(compared.get("flips"))
    losses, wins = (
        Counter(str(f.get("category") or "–") for f in rows(flips.get(k)))
        for k in ("regressions", "improvements")
    )
    kinds = sorted({*losses, *wins}, key=lambda k: (-losses[k], wins[k], k))
    p_values = {k: mcnemar(wins[k], losses[k]) for k in kinds}
    held = holm(p_values) if p_values else {}
    return {
        k: {"wins": wins[k], "losses": losses[k], "p_value": p_values[k], "holm_p": held[k]}
        for k in kinds
    }
