"""Do the records say what the audit says? The chain proves itself; this proves the rest by it.

Somebody who takes the database's guards away can edit a deployment and leave the audit as it is.
Every decision has an audit row of the same transaction, so the two are compared column by column.
What an audit row of an older program does not tell is not compared.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.registry import deployments, evaluations, sources
from core.registry.store import Registry

SWITCHES: Final = {
    "version.promote": "promotion",
    "version.rollback": "rollback",
    "version.return": "return",
}
_TOLD = "SELECT seq, who, action, subject, after, why FROM audit WHERE action {} ORDER BY seq"
_VERSION = ("base_model", "dataset_version", "train_job", "adapter_sha256")


def check(reg: Registry) -> Iterator[str]:
    """What differs, in words with the row's number in the audit; nothing if all fits.

    Reads every score (their hashes are computed again). Call it once the chain has been verified.
    """
    yield from _versions(reg)
    yield from _evaluations(reg)
    yield from _approvals(reg)
    yield from _deployments(reg)
    yield from _sources(reg)


def _sources(reg: Registry) -> Iterator[str]:
    told: dict[str, tuple[int, str]] = {}
    complete = True
    for row in _audit(reg, "LIKE 'sources.%'"):
        after = _json(row["after"])
        if isinstance(after, Mapping) and "count" in after:
            rows = after.get("rows")
            complete = complete and isinstance(rows, Mapping)
            told |= (
                {k: (row["seq"], v) for k, v in rows.items()} if isinstance(rows, Mapping) else {}
            )
    stored = sources.digests(reg)
    for source_id, (seq, digest) in sorted(told.items()):
        if source_id not in stored:
            yield f"source {source_id}: it is gone; row {seq} of the audit tells of it"
        elif stored[source_id] != digest:
            yield f"source {source_id}: it is not what row {seq} of the audit says it became"
    if complete:  # rows of an older program tell no digests
        for source_id in sorted(stored.keys() - told.keys()):
            yield f"source {source_id}: the audit does not tell of it"


def _versions(reg: Registry) -> Iterator[str]:
    stored = {r["model_version"]: r for r in reg.rows("SELECT * FROM versions")}
    told: dict[str, dict[str, tuple[int, Any]]] = defaultdict(dict)
    for row in _audit(reg, "LIKE 'version.%'"):
        after = _json(row["after"])
        about = told[row["subject"]]
        if row["action"] in ("version.begin", "version.register"):
            first = "training" if row["action"] == "version.begin" else "candidate"
            about["status"] = row["seq"], first
            about["bump_reason"] = row["seq"], row["why"]
            about["created_by"] = row["seq"], row["who"]
        if row["action"] == "version.status":
            about["status"] = row["seq"], after
        elif isinstance(after, Mapping) and row["action"] not in SWITCHES:
            for column in _VERSION:
                # a version that begins has no adapter yet: `version.trained` tells of it
                if column in after and (column != "adapter_sha256" or after[column] is not None):
                    about[column] = row["seq"], after[column]
            if "bump" in after:
                about["bump_part"] = row["seq"], after["bump"]
            for column in ("training_config", "reproducibility"):
                if f"{column}_sha256" in after:
                    about[f"{column}_sha256"] = row["seq"], after[f"{column}_sha256"]
    for name, row in stored.items():
        if "base_model" not in told[name]:
            yield f"version {name}: the audit does not tell of it"
        for column, (seq, wanted) in told[name].items():
            if column.endswith("_sha256") and column != "adapter_sha256":
                column = column.removesuffix("_sha256")
                found = hashlib.sha256(str(row[column]).encode()).hexdigest()
            else:
                found = row[column]
            if found != wanted:
                yield _differs(f"version {name}", column, found, seq, wanted)
    for name in told.keys() - stored.keys():
        if "base_model" in told[name]:
            yield f"version {name}: it is gone; row {told[name]['base_model'][0]} tells of it"


def _evaluations(reg: Registry) -> Iterator[str]:
    told = list(_audit(reg, "= 'evaluation.save'"))
    sql = "SELECT id, model_version, job_id, verdict, scores, scores_sha256 FROM evaluations ORDER BY id"
    count = 0
    newest: dict[str, tuple[int, str]] = {}
    for count, row in enumerate(reg.each(sql), 1):
        what = f"evaluation {row['id']} of {row['model_version'] or 'the base model'}"
        if hashlib.sha256(row["scores"].encode()).hexdigest() != row["scores_sha256"]:
            yield f"{what}: its scores are not those of their hash"
            continue
        if row["model_version"] is not None:
            metrics = evaluations.metrics_of(json.loads(row["scores"]))
            newest[row["model_version"]] = row["id"], json.dumps(metrics, sort_keys=True)
        if count <= len(told):
            entry = told[count - 1]
            after = _object(entry["after"])
            wanted = {**after, "model_version": entry["subject"]}
            found = {k: row[k] for k in ("job_id", "verdict", "scores_sha256")}
            found["model_version"] = row["model_version"] or "base"
            yield from _compare(what, found, entry["seq"], wanted)
    yield from _counted("evaluations", count, len(told))
    for name, metrics_text in reg.each("SELECT model_version, eval_metrics FROM versions"):
        if name in newest and json.dumps(_object(metrics_text), sort_keys=True) != newest[name][1]:
            yield f"version {name}: its eval_metrics are not those of evaluation {newest[name][0]}"


def _approvals(reg: Registry) -> Iterator[str]:
    told = list(_audit(reg, "= 'version.approve'"))
    stored = reg.rows("SELECT * FROM approvals ORDER BY id")
    for row, entry in zip(stored, told, strict=False):
        after = _object(entry["after"])
        wanted: dict[str, Any] = {
            "model_version": entry["subject"],
            "who": entry["who"],
            "reason": entry["why"],
            **{k: after[k] for k in ("environment", "scores_sha256") if k in after},
        }
        found = {column: row[column] for column in wanted}
        yield from _compare(f"approval {row['id']}", found, entry["seq"], wanted)
    yield from _counted("approvals", len(stored), len(told))


def _deployments(reg: Registry) -> Iterator[str]:
    names = ", ".join(f"'{name}'" for name in SWITCHES)
    told = list(_audit(reg, f"IN ({names})"))
    stored = deployments.history(reg, limit=-1)[::-1]
    for deployment, entry in zip(stored, told, strict=False):
        after = _object(entry["after"])
        found = {
            "environment": deployment.environment,
            "kind": deployment.kind,
            "who": deployment.who,
            "reason": deployment.reason,
            "model_version": deployment.model_version,
            "verdict": deployment.verdict,
            "override_reason": deployment.override_reason,
            "scores_sha256": deployment.scores_sha256,
            "evidence": dict(deployment.evidence),
            "gates_shown_sha256": deployments.gates_hash(deployment.gates),
        }
        wanted = {
            **after,
            "environment": entry["subject"],
            "kind": SWITCHES[entry["action"]],
            "who": entry["who"],
            "reason": entry["why"],
        }
        yield from _compare(f"deployment {deployment.id}", found, entry["seq"], wanted)
    yield from _counted("deployments", len(stored), len(told))


def _compare(
    what: str, found: Mapping[str, Any], seq: int, wanted: Mapping[str, Any]
) -> Iterator[str]:
    for column, value in wanted.items():
        if column in found and found[column] != value:
            yield _differs(what, column, found[column], seq, value)


def _differs(what: str, column: str, found: object, seq: int, wanted: object) -> str:
    return f"{what}: {column} is {_short(found)}, row {seq} of the audit says {_short(wanted)}"


def _counted(what: str, stored: int, told: int) -> Iterator[str]:
    if stored != told:
        yield f"{stored} {what} are stored, the audit tells of {told}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _audit(reg: Registry, which: str) -> Iterator[sqlite3.Row]:
    yield from reg.each(_TOLD.format(which))


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _object(text: str | None) -> dict[str, Any]:
    found = _json(text)
    return found if isinstance(found, dict) else {}
