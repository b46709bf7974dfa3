"""The gates of today on scores of earlier: what a promotion rests on at the moment it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from core.errors import UsageError
from core.evaluation.gates import Comparison, Decision, GateResult, Gates, decide, judge
from core.evaluation.metrics import Latency, SystemScore
from core.evaluation.statistics import Proportion, wilson


def rejudge(scores: Mapping[str, Any], gates: Gates) -> tuple[Decision, list[GateResult]]:
    """Judge the candidate of a scores.json by other gates than it may have been judged by.

    What the scores do not have is "not measured", which is UNDECIDED and no PASS.
    Raises UsageError if the scores have no candidate.
    """
    name = str(scores.get("candidate") or "tuned")
    systems = _mapping(scores.get("systems"))
    if name not in systems:
        raise UsageError(
            f"the scores have no system {name!r} to judge", try_next="evaluate the version again"
        )
    probe = _mapping(_mapping(scores.get("probe")).get(name))
    results = judge(
        gates,
        _candidate(scores, name, gates.confidence),
        _proportions(probe, gates.confidence),
        _comparison(_mapping(scores.get("comparisons")).get(f"{name}_vs_retrieval")),
        str(scores.get("stated_reason") or ""),
    )
    return decide(results), results


def reasons(results: list[GateResult]) -> tuple[str, ...]:
    """Why the verdict is not GO, worst first."""
    order = {"FAIL": 0, "UNDECIDED": 1}
    bad = sorted((r for r in results if r.verdict != "PASS"), key=lambda r: order[r.verdict])
    return tuple(f"{r.verdict}: {r.title} ({r.target}): {r.detail}" for r in bad)


def _candidate(scores: Mapping[str, Any], name: str, confidence: float) -> SystemScore:
    categories = _mapping(_mapping(scores.get("categories")).get(name))
    questions = scores.get("questions")
    rows = questions if isinstance(questions, list) else []
    seconds = tuple(
        float(row["latency_s"])
        for row in rows
        if isinstance(row, Mapping)
        and row.get("system") == name
        and isinstance(row.get("latency_s"), int | float)
    )
    return SystemScore(
        rows=(),
        metrics=_proportions(_mapping(_mapping(scores["systems"])[name]), confidence),
        categories=_proportions(categories, confidence),
        latency=Latency(seconds),
        unanswered=0,
        cut_off=0,
    )


def _proportions(values: Mapping[str, Any], confidence: float) -> dict[str, Proportion]:
    """Those of the values that are k of n."""
    out = {}
    for name, value in values.items():
        k, n = _mapping(value).get("k"), _mapping(value).get("n")
        if isinstance(k, int) and isinstance(n, int) and 0 <= k <= n:
            out[name] = wilson(k, n, confidence)
    return out


def _comparison(value: Any) -> Comparison | None:
    try:
        return Comparison(**{f.name: value[f.name] for f in fields(Comparison)})
    except (KeyError, TypeError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
