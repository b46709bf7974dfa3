"""Releasing: what may be promoted, promoting with the gates' evidence, rolling back, comparing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.errors import QAError, Refused
from tui.desk.api import VersionRow
from tui.desk.launching import operator

if TYPE_CHECKING:
    from core.registry import Registry

ENVIRONMENTS = ("staging", "production")
HEADLINE = ("accuracy", "citation_presence", "citation_precision", "fabricated", "deferral")


def rows(reg: Registry) -> list[VersionRow]:
    from core.registry import evaluations, versions

    live = live_versions(reg)
    found = []
    for v in versions.list(reg):
        newest = evaluations.latest(reg, v.model_version)
        scores = newest.scores if newest else {}
        found.append(
            VersionRow(
                v.model_version,
                v.status,
                v.base_model,
                v.dataset_version,
                v.created_at,
                v.created_by,
                tuple(env for env, name in live.items() if name == v.model_version),
                headline(scores),
                str(scores.get("verdict", "")),
                v.bump_reason,
            )
        )
    return found


def live_versions(reg: Registry) -> dict[str, str]:
    """environment → the version that is live there; environments where nothing is live are left out."""
    from core.registry import versions

    found = {env: versions.live(reg, env) for env in ENVIRONMENTS}
    return {env: v.model_version for env, v in found.items() if v is not None}


def history(reg: Registry) -> list[dict[str, Any]]:
    """Promotions and rollbacks, newest first, as plain rows."""
    from core.registry import versions

    return [
        {
            "at": d.started_at,
            "who": d.who,
            "environment": d.environment,
            "action": d.kind,
            "from_version": d.replaced,
            "to_version": d.model_version,
            "reason": d.override_reason or d.reason,
            "verdict": d.verdict,
            "override": d.override_reason is not None,
            "gates": [asdict(g) for g in d.gates],
        }
        for d in versions.history(reg)
    ]


def _words(error: QAError | None) -> str | None:
    """A reason in a line. The gates' own sentences are on the decision page, not in here."""
    if error is None:
        return None
    return f"{error.what}: {error.why}" if 0 < len(error.why) <= 120 else error.what


def headline(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """metric → estimate 0..1 of the tuned system, and latency_p95 in seconds."""
    tuned = scores.get("systems", {}).get("tuned")
    if not tuned:
        return {}
    out: dict[str, float | None] = {m: (tuned.get(m) or {}).get("estimate") for m in HEADLINE}
    out["latency_p95"] = tuned.get("latency_p95")
    return out


def detail(reg: Registry, model_version: str) -> dict[str, Any]:
    """Every tracked field of a version, with its newest evaluation and its share of the history."""
    from core.registry import evaluations, versions

    version = asdict(versions.get(reg, model_version))
    newest = evaluations.latest(reg, model_version)
    version["scores"] = newest.scores if newest else None
    version["history"] = [
        h for h in history(reg) if model_version in (h["from_version"], h["to_version"])
    ]
    return version


def why_not_promote(reg: Registry, model_version: str, environment: str) -> str | None:
    """None if the gates let it through; else the reason, which an override must answer."""
    from core.registry import versions

    return _words(versions.why_not_promote(reg, model_version, environment))


def promote(
    reg: Registry, model_version: str, environment: str, *, override_reason: str | None = None
) -> None:
    """Make a version live. The gates' verdicts are stored with it; a NO-GO needs a typed reason."""
    from core.registry import evaluations, versions

    seen = evaluations.latest(reg, model_version)
    versions.promote(
        reg,
        model_version,
        environment,
        operator(),
        override_reason or "the gates say GO",
        seen.verdict if seen else None,
        override_reason,
    )


def why_not_roll_back(reg: Registry, environment: str) -> str | None:
    from core.registry import versions

    return _words(versions.why_not_roll_back(reg, environment))


def roll_back(reg: Registry, environment: str, reason: str) -> str:
    """Return to the version that was live before. Returns its name."""
    from core.registry import versions

    return versions.rollback(reg, environment, operator(), reason).model_version


def compare(reg: Registry, a: str, b: str) -> dict[str, Any]:
    """Version b against a on the questions both answered: paired test, flips with regressions first."""
    from core.evaluation.compare import compare_scores
    from core.registry import evaluations, snapshots, versions
    from core.snapshots import diff

    one, two = evaluations.latest(reg, a), evaluations.latest(reg, b)
    va, vb = versions.get(reg, a), versions.get(reg, b)
    for version, found in ((a, one), (b, two)):
        if found is None:
            raise Refused(f"{version} has not been evaluated", try_next=f"qa eval run {version}")
    assert one is not None and two is not None
    change = diff(snapshots.load(reg, va.dataset_version), snapshots.load(reg, vb.dataset_version))
    return {
        "a": a,
        "b": b,
        "data": {
            "added": len(change.added),
            "removed": len(change.removed),
            "changed": len(change.changed),
            "share_new": change.share_new,
        },
        "config": _differences(va.training_config, vb.training_config),
        **compare_scores(one.scores, two.scores),
    }


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], at: str = "") -> dict[str, list[Any]]:
    """dotted key → [value in a, value in b] where they differ."""
    out: dict[str, list[Any]] = {}
    for key in sorted({*a, *b}):
        x, y, name = a.get(key), b.get(key), f"{at}{key}"
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            out |= _differences(x, y, f"{name}.")
        elif x != y:
            out[name] = [x, y]
    return out
