"""The dossier of a version: from the registry, and the events of its training where they are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFound, QAError
from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.fields import candidate, mapping, number, rows

if TYPE_CHECKING:
    from core.registry import Registry
    from core.registry.records import Version

CURVES = ("recall", "fabricated", "refusal")
MOST_POINTS = 400


def gather(reg: Registry, model_version: str, mirrors: Path | None = None) -> Dossier:
    """Everything known about a version and its newest evaluation.

    mirrors: folder of the laptop's job mirrors, <host>/<job>. Raises NotFound: no such version, or
    it has not been evaluated.
    """
    from core.registry import approvals, audit, checklist, deployments, evaluations, records
    from core.registry import snapshots as stored

    version = records.get(reg, model_version)
    found = evaluations.latest(reg, model_version)
    if found is None:
        raise NotFound(f"{model_version} has not been evaluated", try_next="evaluate it first")
    try:
        snapshot: Mapping[str, Any] = asdict(stored.row(reg, version.dataset_version))
    except QAError:  # a registry without it still has the scores
        snapshot = {}
    decision = checklist.last_decision(reg)
    flips, flips_from = flips_against(reg, version, found.scores)
    curves, loss = training_curves(reg, version.train_job, mirrors)
    return Dossier(
        scores=found.scores,
        version=asdict(version),
        snapshot=snapshot,
        evaluation={
            "at": found.at,
            "job_id": found.job_id,
            "verdict": found.verdict,
            "scores_sha256": found.scores_sha256,
        },
        approvals=[asdict(a) for a in approvals.approvals(reg, model_version)],
        releases=[asdict(r) for r in deployments.history(reg, model_version=model_version)],
        decision=asdict(decision) if decision else {},
        live_in=records.live_in(reg, model_version),
        flips=flips,
        flips_from=flips_from,
        curves=curves,
        loss=loss,
        opinions=opinions_of(reg, found.scores, found.scores_sha256),
        audit_head=audit.head(reg),
        made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def opinions_of(reg: Registry, scores: Mapping[str, Any], scores_sha256: str) -> dict[str, Any]:
    """What people and a judge said of these answers, as `core.evaluation.opinions` gives it."""
    from core.registry import judging

    labels = judging.counted(judging.labels(reg, rows(scores.get("questions"))))
    said = judging.judgement(reg, scores_sha256)
    if not labels and said is None:
        return {}
    from core.evaluation.opinions import opinions

    return opinions(scores, labels, said)


def flips_against(
    reg: Registry, version: Version, scores: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """Against the version before: in the same evaluation if it was asked there, else by its own."""
    from core.registry import evaluations

    parent = version.parent_version or ""
    same = flips_within(scores)
    if same:
        return same, parent or "the version before"
    before = evaluations.latest(reg, parent) if parent else None
    return (_compared(before.scores, scores), parent) if before else ({}, "")


def flips_within(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """The system `previous` against the candidate; empty where it was not asked."""
    own = candidate(scores)
    asked = rows(scores.get("questions"))
    was, now = (
        {**scores, "questions": [{**r, "system": "tuned"} for r in asked if r.get("system") == n]}
        for n in ("previous", own)
    )
    return _compared(was, now) if was["questions"] and own != "previous" else {}


def _compared(was: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    from core.evaluation.compare import compare_scores

    try:
        return compare_scores(was, now)
    except (
        QAError,
        KeyError,
        TypeError,
        ValueError,
    ):  # other questions, or scores of another shape
        return {}


def training_curves(
    reg: Registry, job_id: str | None, mirrors: Path | None
) -> tuple[list[dict[str, float]], list[tuple[float, float]]]:
    """Rows {step, recall, fabricated, refusal} and (step, loss) of a training job, by step.

    From the job's mirrored events; else from the points that the registry has taken over.
    """
    if not job_id:
        return [], []
    found = _from_events(job_id, mirrors) if mirrors else {}
    if not found:
        found = _from_points(reg, job_id)
    curves = [
        {"step": step, **{k: row[k] for k in CURVES if k in row}}
        for step, row in sorted(found.items())
        if any(k in row for k in CURVES)
    ]
    loss = [(step, row["loss"]) for step, row in sorted(found.items()) if "loss" in row]
    every = max(1, -(-len(loss) // MOST_POINTS))
    return curves[:MOST_POINTS], loss[:-1:every] + loss[-1:]


def _from_events(job_id: str, mirrors: Path) -> dict[float, dict[str, float]]:
    from core.jobdir import EVENTS, read_events

    found: dict[float, dict[str, float]] = {}
    if "/" in job_id or job_id in (".", ".."):
        return found
    for path in sorted(mirrors.glob(f"*/{_literal(job_id)}/{EVENTS}")):
        try:
            events, _ = read_events(path)
        except OSError:
            continue
        for event in events:
            step = number(event.get("step"))
            for key in (*CURVES, "loss"):
                value = event.get(key)
                x = number(mapping(value).get("estimate") if isinstance(value, Mapping) else value)
                if step is not None and x is not None:
                    found.setdefault(step, {})[key] = x
    return found


def _from_points(reg: Registry, job_id: str) -> dict[float, dict[str, float]]:
    from core.registry import points

    found: dict[float, dict[str, float]] = {}
    for key in (*CURVES, "loss"):
        for step, value in points.read(reg, job_id, key):
            x = number(value)
            if x is not None:
                found.setdefault(float(step), {})[key] = x
    return found


def _literal(name: str) -> str:
    from glob import escape

    return escape(name)
