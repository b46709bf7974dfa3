"""Evaluations: the scores of one run over the golden set, kept whole and hashed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import UsageError
from core.pairs import canonical_json
from core.registry import audit, records
from core.registry.store import Registry, utc_now

Verdict = Literal["GO", "NO-GO", "UNDECIDED"]
VERDICTS: tuple[Verdict, ...] = ("GO", "NO-GO", "UNDECIDED")
_LATENCIES = ("latency_p50", "latency_p95")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """scores: scores.json as the evaluation wrote it.  scores_sha256: of its canonical JSON."""

    id: int
    model_version: str | None
    job_id: str | None
    at: str
    verdict: Verdict
    golden_sha256: str | None
    scores: dict[str, Any]
    scores_sha256: str


def save(
    reg: Registry,
    model_version: str | None,
    scores: Mapping[str, Any],
    job_id: str | None = None,
    *,
    who: str | None = None,
) -> Evaluation:
    """Store scores; a candidate version becomes evaluated and shows them as its eval_metrics.

    model_version None: an evaluation of the base model alone. Saving the same scores of the same
    version again changes nothing. Raises NotFound, UsageError (not JSON, unknown verdict).
    """
    try:
        text = canonical_json(scores)
    except (TypeError, ValueError) as e:
        raise UsageError("the scores are not plain JSON", why=str(e)) from e
    verdict = scores.get("verdict", "UNDECIDED")
    if verdict not in VERDICTS:
        raise UsageError(f"unknown verdict {verdict!r}", try_next=f"one of: {', '.join(VERDICTS)}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    golden = scores.get("golden")
    golden_hash = golden.get("sha256") if isinstance(golden, Mapping) else None
    with reg.writing():
        last = latest(reg, model_version)
        if last is not None and last.scores_sha256 == digest and last.job_id == job_id:
            return last
        values = (model_version, job_id, utc_now(), verdict, golden_hash, text, digest)
        if model_version is not None:
            records.evaluated(reg, model_version, metrics_of(scores), job_id)
        sql = (
            "INSERT INTO evaluations (model_version, job_id, at, verdict, golden_sha256, scores,"
            " scores_sha256) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"
        )
        new_id = int(reg.value(sql, values))
        after = {"verdict": verdict, "scores_sha256": digest, "job_id": job_id}
        audit.append(reg, "evaluation.save", model_version or "base", who=who, after=after)
    return Evaluation(new_id, model_version, job_id, values[2], verdict, golden_hash,
                      json.loads(text), digest)  # fmt: skip


def latest(reg: Registry, model_version: str | None = None) -> Evaluation | None:
    """The newest evaluation of a version (None: of the base model alone), or None."""
    sql = "SELECT * FROM evaluations WHERE model_version IS ? ORDER BY id DESC LIMIT 1"
    row = reg.one(sql, (model_version,))
    return None if row is None else _evaluation(row)


def newest(reg: Registry) -> Evaluation | None:
    """The newest evaluation of all, or None."""
    row = reg.one("SELECT * FROM evaluations ORDER BY id DESC LIMIT 1")
    return None if row is None else _evaluation(row)


def list(
    reg: Registry, model_version: str | None = None, *, limit: int = 100
) -> tuple[Evaluation, ...]:
    """Newest first; of one version, or of all."""
    where, values = (
        ("", ()) if model_version is None else ("WHERE model_version = ?", (model_version,))
    )
    sql = f"SELECT * FROM evaluations {where} ORDER BY id DESC LIMIT ?"
    return tuple(_evaluation(r) for r in reg.rows(sql, (*values, limit)))


def metrics_of(scores: Mapping[str, Any], system: str = "tuned") -> dict[str, Any]:
    """A version's eval_metrics: metric → estimate (0..1; latencies in seconds), and the verdict."""
    systems = scores.get("systems")
    tuned = systems.get(system) if isinstance(systems, Mapping) else None
    out: dict[str, Any] = {}
    for name, value in (tuned or {}).items():
        if isinstance(value, Mapping):
            out[name] = value.get("estimate")
        elif name in _LATENCIES:
            out[name] = value
    out["verdict"] = scores.get("verdict", "UNDECIDED")
    return out


def _evaluation(row: sqlite3.Row) -> Evaluation:
    return Evaluation(
        row["id"],
        row["model_version"],
        row["job_id"],
        row["at"],
        row["verdict"],
        row["golden_sha256"],
        json.loads(row["scores"]),
        row["scores_sha256"],
    )
