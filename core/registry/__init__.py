"""registry.db: sources, snapshots, versions, evaluations, evidence, jobs, and an audit of it all.

    with open_registry() as reg:
        versions.live(reg, "production")

One Registry belongs to one thread. Every change is one transaction together with its audit row.
`sqlite_utils` is imported only when there is a migration to apply.
"""

from core.registry.opening import open_registry
from core.registry.store import Registry

__all__ = ["Registry", "open_registry"]
