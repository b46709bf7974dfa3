"""The gates of today on scores of earlier: what a promotion rests on at the moment it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from core.errors import UsageError
from core.evaluation.bootstrap import Difference
from core.evaluation.gates import Decision, GateResult, Gates, decide, judge
from core.evaluation.metrics import Latency, SystemScore
from core.evaluation.paired import Comparison
from core.evaluation.regressions import regressions
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
        regressions(_questions(scores), name),
        _mapping(_mapping(scores.get("about")).get("serving")),
        {name, str(scores.get("version") or name)},
    )
    return decide(results), results


def reasons(results: list[GateResult]) -> tuple[str, ...]:
    """Why the verdict is not GO, worst first."""
    order = {"FAIL": 0, "UNDECIDED": 1}
    bad = sorted((r for r in results if r.verdict != "PASS"), key=lambda r: order[r.verdict])
    return tuple(f"{r.verdict}: {r.title} ({r.target}): {r.detail}" for r in bad)


def _candidate(scores: Mapping[str, Any], name: str, confidence: float) -> SystemScore:
    categories = _mapping(_mapping(scores.get("categories")).get(name))
    parts = _mapping(_mapping(scores.get("category_metrics")).get(name))
    seconds = tuple(
        float(row["latency_s"])
        for row in _questions(scores)
        if row.get("system") == name and isinstance(row.get("latency_s"), int | float)
    )
    return SystemScore(
        rows=(),
        metrics=_proportions(_mapping(_mapping(scores["systems"])[name]), confidence),
        categories=_proportions(categories, confidence),
        latency=Latency(seconds),
        unanswered=0,
        cut_off=0,
        parts={m: _proportions(_mapping(part), confidence) for m, part in parts.items()},
    )


def _proportions(values: Mapping[str, Any], confidence: float) -> dict[str, Proportion]:
    """Those of the values that are k of n."""
    out = {}
    for name, value in values.items():
        k, n = _mapping(value).get("k"), _mapping(value).get("n")
        worth = _mapping(value).get("n_effective")
        if isinstance(k, int) and isinstance(n, int) and 0 <= k <= n:
            worth = worth if isinstance(worth, int) and 1 <= worth <= n else None
            out[name] = wilson(k, n, confidence, worth)
    return out


def _comparison(value: Any) -> Comparison | None:
    """The fields a comparison has had from the beginning must be there; later ones may be missing."""
    found = _mapping(value)
    given = {f.name: found[f.name] for f in fields(Comparison) if f.name in found}
    try:
        if given.get("bootstrap") is not None:
            given["bootstrap"] = Difference(**given["bootstrap"])
        return Comparison(**given)
    except TypeError:
        return None


def _questions(scores: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = scores.get("questions")
    return [r for r in rows if isinstance(r, Mapping)] if isinstance(rows, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
