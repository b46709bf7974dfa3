"""Versions as rows and pages: what the Versions screen and `qa versions` show. Reads only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core import paging
from core.errors import QAError
from tui.desk.api import VersionRow

if TYPE_CHECKING:
    from core.registry import Registry

ENVIRONMENTS = ("staging", "production")
HEADLINE = ("accuracy", "citation_presence", "citation_precision", "fabricated", "deferral")

_NUMBER = ("major", "minor", "patch")
_LIVE = (
    "(SELECT count(*) FROM deployments WHERE ended_at IS NULL"
    " AND deployments.model_version = versions.model_version)"
)


def _metric(name: str, missing: str = "-1") -> str:
    return f"coalesce(json_extract(eval_metrics, '$.{name}'), {missing})"


LISTING = paging.Listing(
    table="versions",
    key="model_version",
    columns="model_version, status, base_model, dataset_version, created_at, created_by, eval_metrics,"
    " bump_reason",
    orders={
        "": _NUMBER,
        "version": _NUMBER,
        "status": ("status", *_NUMBER),
        "live": (_LIVE, *_NUMBER),
        "gates": (_metric("verdict", "''"), *_NUMBER),
        "accuracy": (_metric("accuracy"), *_NUMBER),
        "cited": (_metric("citation_presence"), *_NUMBER),
        "fabricated": (_metric("fabricated"), *_NUMBER),
        "deferral": (_metric("deferral"), *_NUMBER),
        "p95": (_metric("latency_p95"), *_NUMBER),
        "base": ("base_model", *_NUMBER),
        "snapshot": ("dataset_version", *_NUMBER),
        "made": ("created_at", *_NUMBER),
        "by": ("created_by", *_NUMBER),
    },
    searched=("model_version", "status", "base_model", "dataset_version", "created_by", "created_at",
              "note", "bump_reason"),
)  # fmt: skip
"""How versions are listed and ordered; the names are those of the columns of the Versions screen."""


def rows(reg: Registry) -> list[VersionRow]:
    """The newest hundred, highest first. Reads no scores: the figures are kept with each version."""
    part = paging.Part(order="version", descending=True)
    return of_page(reg, paging.page(reg.rows, LISTING, part, 0, 100))


def of_page(reg: Registry, found: Sequence[Any]) -> list[VersionRow]:
    """The rows of a page of LISTING."""
    from core.registry import deployments

    live = live_versions(reg)
    overrides = deployments.overrides(reg)
    return [_row(r, live, overrides) for r in found]


def _row(row: Any, live: Mapping[str, str], overrides: Mapping[str, str]) -> VersionRow:
    metrics = json.loads(row["eval_metrics"])
    name = row["model_version"]
    return VersionRow(
        name,
        row["status"],
        row["base_model"],
        row["dataset_version"],
        row["created_at"],
        row["created_by"],
        tuple(env for env, version in live.items() if version == name),
        {m: metrics.get(m) for m in (*HEADLINE, "latency_p95")} if metrics else {},
        str(metrics.get("verdict", "")),
        row["bump_reason"],
        overrides.get(name, ""),
    )


def live_versions(reg: Registry) -> dict[str, str]:
    """environment → the version that is live there; environments where nothing is live are left out."""
    from core.registry import deployments

    found = {env: deployments.live_row(reg, env) for env in ENVIRONMENTS}
    return {env: str(row["model_version"]) for env, row in found.items() if row is not None}


def history(reg: Registry, model_version: str | None = None) -> list[dict[str, Any]]:
    """Promotions, rollbacks and returns, newest first, as plain rows."""
    from core.registry import versions

    return [
        {
            "at": d.started_at,
            "until": d.ended_at,
            "who": d.who,
            "environment": d.environment,
            "action": d.kind,
            "from_version": d.replaced,
            "to_version": d.model_version,
            "reason": d.override_reason or d.reason,
            "verdict": d.verdict,
            "override": d.override_reason is not None,
            "override_reason": d.override_reason,
            "gates": [asdict(g) for g in d.gates],
            "evidence": dict(d.evidence),
        }
        for d in versions.history(reg)
        if model_version in (None, d.replaced, d.model_version)
    ]


def headline(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """metric → estimate 0..1 of the tuned system, and latency_p95 in seconds."""
    tuned = scores.get("systems", {}).get("tuned")
    if not tuned:
        return {}
    out: dict[str, float | None] = {m: (tuned.get(m) or {}).get("estimate") for m in HEADLINE}
    out["latency_p95"] = tuned.get("latency_p95")
    return out


def detail(reg: Registry, model_version: str) -> dict[str, Any]:
    """Every tracked field of a version, its approvals, overrides, newest scores and its history."""
    from core.registry import evaluations, versions

    version = asdict(versions.get(reg, model_version))
    newest = evaluations.latest(reg, model_version)
    version["approvals"] = [asdict(a) for a in versions.approvals(reg, model_version)]
    version["scores"] = newest.scores if newest else None
    version["history"] = history(reg, model_version)
    version["overrides"] = [
        {"at": h["at"], "environment": h["environment"], "who": h["who"],
         "verdict": h["verdict"], "reason": h["override_reason"]}
        for h in version["history"]
        if h["override"] and h["to_version"] == model_version
    ]  # fmt: skip
    return version


def compare(reg: Registry, a: str, b: str) -> dict[str, Any]:
    """Version b against a: configuration, data, figures; and where both were asked the same questions,
    the paired test with the flips, regressions first. Otherwise `no_answers` says why not.
    """
    from core.registry import versions

    found = versions.compare(reg, a, b)
    out = {
        "a": a,
        "b": b,
        "data": asdict(found.data),
        "config": found.config,
        "base_model": found.base_model,
        "metrics": found.metrics,
        "reproducibility": found.reproducibility,
    }
    try:
        return out | _answers(reg, a, b)
    except QAError as e:
        return out | {"no_answers": e.what}


def _answers(reg: Registry, a: str, b: str) -> dict[str, Any]:
    from core.errors import Refused
    from core.evaluation.compare import compare_scores
    from core.registry import evaluations

    one, two = evaluations.latest(reg, a), evaluations.latest(reg, b)
    for version, found in ((a, one), (b, two)):
        if found is None:
            raise Refused(
                f"{version} has not been evaluated", try_next=f"qa jobs evaluate {version}"
            )
    assert one is not None and two is not None
    try:
        return compare_scores(one.scores, two.scores)
    except (KeyError, TypeError) as e:
        raise Refused("their scores have no answers to compare") from e


def at(reg: Registry, text: str) -> dict[str, Any]:
    """What was live at a moment, as an operator writes it. Raises UsageError."""
    from core.registry import time_machine

    return time_machine.as_dict(time_machine.at(reg, time_machine.parse_moment(text)))


def card(reg: Registry, model_version: str) -> str:
    """The model card, as Markdown."""
    from core.registry.model_card import model_card

    return model_card(reg, model_version)
