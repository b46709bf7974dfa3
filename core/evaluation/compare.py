"""Two versions on the questions both answered: paired test, and the flips with regressions first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import Refused
from core.evaluation.causes import CAUSES
from core.evaluation.metrics import is_right
from core.evaluation.paired import Item, compare_items
from core.evaluation.regressions import is_severe
from core.evaluation.statistics import clustered


def compare_scores(
    a: Mapping[str, Any], b: Mapping[str, Any], *, system: str = "tuned"
) -> dict[str, Any]:
    """Version b against a, from their scores.json. Only questions that both answered count.

    n            questions both answered, canaries left out as in every accuracy
    accuracy     {a, b}: Wilson 95 % over them
    flips        {regressions, invented, improvements, severe}, canaries among them: rows with id,
                 category, question, before, after, severe and cause; severe ones first among the
                 regressions; invented: right still, but citing what does not exist; severe: ids of
                 both kinds ("any severe regression needs a person")
    p_value      exact McNemar, two-sided
    difference   b - a with a 95 % bootstrap interval, the wordings of one item drawn together
    mdd          the smallest true difference this many questions could show, power 80 %
    categories   category → n, wins, losses (of b), p_value, holm_p
    causes       {a, b}: cause → n, where the scores have causes

    Raises Refused when the two were asked different golden sets.
    """
    if a["golden"]["sha256"] != b["golden"]["sha256"]:
        raise Refused(
            "the two versions were evaluated on different golden sets",
            try_next="evaluate both on the same file, then compare",
        )
    before, after = _rows(a, system), _rows(b, system)
    both = [i for i in before if i in after]
    shared = [i for i in both if not after[i].get("canary")]
    clusters = [str(after[i].get("cluster") or i) for i in shared]
    items = [
        Item(i, str(after[i]["category"]), cluster, is_right(after[i]), is_right(before[i]))
        for i, cluster in zip(shared, clusters, strict=True)
    ]
    tested = compare_items(items)
    severe = [i for i in both if is_severe(before[i], after[i])]
    grave = frozenset(severe)
    worse = [i for i in both if is_right(before[i]) and not is_right(after[i])]
    worse.sort(key=lambda i: i not in grave)
    invented = [i for i in severe if is_right(after[i])]
    better = [i for i in both if is_right(after[i]) and not is_right(before[i])]

    def flip(i: str) -> dict[str, Any]:
        return {
            "id": i,
            "category": after[i]["category"],
            "question": after[i]["question"],
            "before": before[i]["answer"],
            "after": after[i]["answer"],
            "severe": i in grave,
            "cause": after[i].get("cause"),
        }

    return {
        "n": len(shared),
        "accuracy": {
            name: clustered([(int(is_right(rows[i])), 1) for i in shared], clusters).as_dict()
            for name, rows in (("a", before), ("b", after))
        },
        "flips": {
            "regressions": [flip(i) for i in worse],
            "invented": [flip(i) for i in invented],
            "improvements": [flip(i) for i in better],
            "severe": severe,
        },
        "p_value": tested.p_value,
        "difference": tested.bootstrap.as_dict() if tested.bootstrap else None,
        "mdd": tested.mdd,
        "categories": tested.categories,
        "causes": {"a": _causes(before), "b": _causes(after)},
    }


def _rows(scores: Mapping[str, Any], system: str) -> dict[str, Mapping[str, Any]]:
    return {row["id"]: row for row in scores["questions"] if row["system"] == system}


def _causes(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    found = [row.get("cause") for row in rows.values()]
    return {cause: n for cause in CAUSES if (n := found.count(cause))}
