"""Evaluations: the scores of one run over the golden set, kept whole and hashed."""

from __future__ import annotations

import builtins
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import UsageError
from core.pairs import canonical_json
from core.registry import audit, records
from core.registry.store import Registry, clean, utc_now

Verdict = Literal["GO", "NO-GO", "UNDECIDED"]
VERDICTS: tuple[Verdict, ...] = ("GO", "NO-GO", "UNDECIDED")
_HEAD = "id, model_version, job_id, at, verdict, golden_sha256, scores_sha256"
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


@dataclass(frozen=True, slots=True)
class Head:
    """An evaluation without its scores, which may be megabytes."""

    id: int
    model_version: str | None
    job_id: str | None
    at: str
    verdict: Verdict
    golden_sha256: str | None
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
        text = clean(canonical_json(scores))
    except (TypeError, ValueError) as e:
        raise UsageError("the scores are not plain JSON", why=str(e)) from e
    verdict = scores.get("verdict", "UNDECIDED")
    if verdict not in VERDICTS:
        raise UsageError(f"unknown verdict {verdict!r}", try_next=f"one of: {', '.join(VERDICTS)}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    golden = scores.get("golden")
    golden_hash = golden.get("sha256") if isinstance(golden, Mapping) else None
    with reg.writing():
        last = latest_head(reg, model_version)
        same = last is not None and last.scores_sha256 == digest
        if last is not None and same and last.job_id == job_id:
            return _evaluation(_row(reg, last.id))
        values = (model_version, job_id, utc_now(), verdict, golden_hash, text, digest)
        if model_version is not None:
            metrics = metrics_of(scores)
            records.evaluated(reg, model_version, metrics, job_id, same_scores=same)
        sql = (
            "INSERT INTO evaluations (model_version, job_id, at, verdict, golden_sha256, scores,"
            " scores_sha256) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"
        )
        new_id = int(reg.value(sql, values))
        after = {"verdict": verdict, "scores_sha256": digest, "job_id": job_id}
        audit.append(reg, "evaluation.save", model_version or "base", who=who, after=after)
    return Evaluation(new_id, model_version, job_id, values[2], verdict, golden_hash,
                      json.loads(text), digest)  # fmt: skip


def latest(
    reg: Registry, model_version: str | None = None, *, until: str = "9999"
) -> Evaluation | None:
    """The newest evaluation of a version (None: of the base model alone), or None.

    until: the newest that was there at that time (ISO 8601, UTC).
    """
    sql = "SELECT * FROM evaluations WHERE model_version IS ? AND at <= ? ORDER BY id DESC LIMIT 1"
    row = reg.one(sql, (model_version, until))
    return None if row is None else _evaluation(row)


def latest_head(reg: Registry, model_version: str | None = None) -> Head | None:
    """`latest` without the scores."""
    sql = f"SELECT {_HEAD} FROM evaluations WHERE model_version IS ? ORDER BY id DESC LIMIT 1"
    row = reg.one(sql, (model_version,))
    return None if row is None else Head(*row)


def of_job(reg: Registry, model_version: str | None, job_id: str) -> bool:
    """Whether scores of this job are stored, perhaps with newer ones after them."""
    sql = "SELECT 1 FROM evaluations WHERE model_version IS ? AND job_id = ? LIMIT 1"
    return reg.one(sql, (model_version, job_id)) is not None


def gates_of(reg: Registry, evaluation: int) -> tuple[Mapping[str, Any], ...]:
    """The gates' rows inside the scores, as they stood at the evaluation."""
    found = json.loads(_inside(reg, evaluation, "gates") or "[]")
    rows = found if isinstance(found, builtins.list) else []
    return tuple(g if isinstance(g, Mapping) else {} for g in rows)


def reasons_of(reg: Registry, evaluation: int) -> tuple[str, ...]:
    """The verdict's reasons inside the scores."""
    found = json.loads(_inside(reg, evaluation, "reasons") or "[]")
    return tuple(str(r) for r in found) if isinstance(found, builtins.list) else ()


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


def _inside(reg: Registry, evaluation: int, key: str) -> str | None:
    # SQLite looks it up without making Python objects of every question
    sql = "SELECT json_extract(scores, ?) FROM evaluations WHERE id = ?"
    found = reg.value(sql, (f"$.{key}", evaluation))
    return found if isinstance(found, str) and found[:1] == "[" else None


def _row(reg: Registry, evaluation: int) -> sqlite3.Row:
    row = reg.one("SELECT * FROM evaluations WHERE id = ?", (evaluation,))
    assert row is not None
    return row


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
