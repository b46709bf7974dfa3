"""Is the registry sound? Pages, references, invariants, guards, snapshots, the audit and what it proves."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from core.registry import audit, reconcile, snapshots
from core.registry.opening import open_registry
from core.registry.store import Registry

_INVARIANTS = {
    "a version is deployed without being live, or live without being deployed": (
        "SELECT model_version FROM versions WHERE (status = 'deployed') <> (model_version IN"
        " (SELECT model_version FROM deployments WHERE ended_at IS NULL))"
    ),
    "more than one version is live in an environment": (
        "SELECT environment FROM deployments WHERE ended_at IS NULL"
        " GROUP BY environment HAVING count(*) > 1"
    ),
    "a deployment ended without another one beginning": (
        "SELECT id FROM deployments AS d WHERE ended_at IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM deployments AS n WHERE n.replaced = d.id) AND NOT EXISTS (SELECT 1 FROM"
        " releases AS r WHERE r.deployment_id = d.id AND r.state IN ('open', 'failed'))"
    ),
    "a release is done without its version having been switched": (
        "SELECT id FROM releases WHERE state = 'done' AND deployment_id IS NULL"
    ),
    "an approval counts for scores that are not the newest": (
        "SELECT a.id FROM approvals AS a WHERE a.void_at IS NULL AND a.scores_sha256 <>"
        " (SELECT e.scores_sha256 FROM evaluations AS e WHERE e.model_version = a.model_version"
        " ORDER BY e.id DESC LIMIT 1)"
    ),
    "a version is approved without an approval": (
        "SELECT model_version FROM versions WHERE status = 'approved' AND model_version NOT IN"
        " (SELECT model_version FROM approvals WHERE void_at IS NULL)"
    ),
    "an evaluated version has no scores": (
        "SELECT model_version FROM versions WHERE status IN ('evaluated', 'deployed') AND"
        " model_version NOT IN (SELECT model_version FROM evaluations WHERE model_version NOT NULL)"
    ),
}


def check(reg: Registry) -> tuple[str, ...]:
    """What is wrong, in words; empty when all is well. Reads the whole file."""
    faults = [r[0] for r in reg.rows("PRAGMA integrity_check") if r[0] != "ok"]
    for row in reg.rows("PRAGMA foreign_key_check"):
        faults.append(f"a row of {row['table']} refers to a row of {row['parent']} that is gone")
    for what, sql in _INVARIANTS.items():
        faults += [f"{what}: {row[0]}" for row in reg.rows(sql)]
    for stored in snapshots.list(reg):
        found = snapshots.verify(reg, stored.dataset_version)
        faults += [f"{stored.dataset_version}: {fault}" for fault in found]
    faults += _guards(reg)
    chain = audit.verify(reg)
    faults += reconcile.check(reg) if chain.ok else (f"audit: {chain.what}",)
    return tuple(faults)


def _guards(reg: Registry) -> list[str]:
    """Triggers and indexes that a new registry has and this one has not, or has otherwise."""
    with (
        TemporaryDirectory(prefix="qa-guards-") as folder,
        open_registry(Path(folder) / "registry.db", seed=False) as fresh,
    ):
        wanted = {r[0]: r[1] for r in fresh.rows(_GUARDS)}
    found = {r[0]: r[1] for r in reg.rows(_GUARDS)}
    gone = [f"the {what} is missing" for what in wanted.keys() - found.keys()]
    strange = [f"the {what} is none of this program's" for what in found.keys() - wanted.keys()]
    both = wanted.keys() & found.keys()
    changed = [f"the {what} was changed" for what in both if wanted[what] != found[what]]
    return sorted(gone + strange + changed)


_GUARDS = (
    "SELECT type || ' ' || name, sql FROM sqlite_master"
    " WHERE type IN ('trigger', 'index', 'view') AND sql NOT NULL"
)
