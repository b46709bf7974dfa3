"""`model_versions.json`: the design's registry file, generated. SQLite is the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.jobdir import write_atomic
from core.registry import audit, promotion, records, snapshots
from core.registry.store import Registry


def model_versions_json(reg: Registry) -> dict[str, Any]:
    """Versions (oldest first), their snapshots, what is live, and the history. The same registry
    always gives the same value. Pair ids stay in the snapshot's manifest, named by its hash.
    """
    found = records.list(reg, limit=1_000_000)[::-1]
    used = {v.dataset_version for v in found}
    return {
        "format": 1,
        "model_versions": [_version(v) for v in found],
        "dataset_snapshots": [
            _snapshot(s) for s in snapshots.list(reg)[::-1] if s.dataset_version in used
        ],
        "live": {
            name: version.model_version
            for name in records.ENVIRONMENTS
            if (version := promotion.live(reg, name))
        },
        "history": [_deployment(d) for d in promotion.history(reg, limit=1_000_000)[::-1]],
        "audit_head": audit.head(reg),
    }


def write_model_versions(reg: Registry, path: Path) -> None:
    """Write model_versions.json, whole or not at all."""
    text = json.dumps(model_versions_json(reg), ensure_ascii=False, indent=2, sort_keys=False)
    write_atomic(path, text.encode() + b"\n")


def _version(v: records.Version) -> dict[str, Any]:
    return {
        "model_version": v.model_version,
        "base_model": v.base_model,
        "dataset_version": v.dataset_version,
        "training_config": v.training_config,
        "eval_metrics": v.eval_metrics,
        "created_at": v.created_at,
        "created_by": v.created_by,
        "status": v.status,
        "bump": {"part": v.bump_part, "reason": v.bump_reason, "parent": v.parent_version},
        "jobs": {"train": v.train_job, "eval": v.eval_job},
        "adapter": {"path": v.adapter_path, "sha256": v.adapter_sha256},
        "reproducibility": v.reproducibility,
        "note": v.note,
    }


def _snapshot(s: snapshots.SnapshotRow) -> dict[str, Any]:
    return {
        "dataset_version": s.dataset_version,
        "qa_pair_count": s.pair_count,
        "source_breakdown": s.source_breakdown,
        "domain_breakdown": s.domain_breakdown,
        "created_at": s.created_at,
        "parent": s.parent,
        "manifest_sha256": s.manifest_hash,
    }


def _deployment(d: records.Deployment) -> dict[str, Any]:
    return {
        "environment": d.environment,
        "model_version": d.model_version,
        "kind": d.kind,
        "replaced": d.replaced,
        "started_at": d.started_at,
        "ended_at": d.ended_at,
        "who": d.who,
        "reason": d.reason,
        "verdict": d.verdict,
        "override_reason": d.override_reason,
        "scores_sha256": d.scores_sha256,
    }
