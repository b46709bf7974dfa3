"""Two versions on the questions both answered: paired test, and the flips with regressions first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import Refused
from core.evaluation.statistics import mcnemar, wilson


def compare_scores(
    a: Mapping[str, Any], b: Mapping[str, Any], *, system: str = "tuned"
) -> dict[str, Any]:
    """Version b against a, from their scores.json. Only questions that both answered count.

    Gives accuracy {a, b} (Wilson 95 % over the shared questions), flips {regressions, improvements} (rows
    with id, category, question, before, after) and p_value (exact McNemar, two-sided).
    Raises Refused when the two were asked different golden sets.
    """
    if a["golden"]["sha256"] != b["golden"]["sha256"]:
        raise Refused(
            "the two versions were evaluated on different golden sets",
            try_next="evaluate both on the same file, then compare",
        )
    before, after = _rows(a, system), _rows(b, system)
    shared = [i for i in before if i in after]
    right_a, right_b = (sum(_right(rows[i]) for i in shared) for rows in (before, after))
    worse = [i for i in shared if _right(before[i]) and not _right(after[i])]
    better = [i for i in shared if _right(after[i]) and not _right(before[i])]

    def flip(i: str) -> dict[str, Any]:
        return {
            "id": i,
            "category": after[i]["category"],
            "question": after[i]["question"],
            "before": before[i]["answer"],
            "after": after[i]["answer"],
        }

    return {
        "n": len(shared),
        "accuracy": {
            "a": wilson(right_a, len(shared)).as_dict(),
            "b": wilson(right_b, len(shared)).as_dict(),
        },
        "flips": {
            "regressions": [flip(i) for i in worse],
            "improvements": [flip(i) for i in better],
        },
        "p_value": mcnemar(len(better), len(worse)),
    }


def _rows(scores: Mapping[str, Any], system: str) -> dict[str, Mapping[str, Any]]:
    return {row["id"]: row for row in scores["questions"] if row["system"] == system}


def _right(row: Mapping[str, Any]) -> bool:
    return bool(row["grade"] == "correct")
