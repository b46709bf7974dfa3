"""What replicas saw, as opposed to what operators decided: job rows, counts, metric points.

Decisions stand in the audit chain and have one order. Observations have none: those of two replicas
are merged, any number of times and in any order, to the same result.

    jobs             by id; one that has ended wins, then the newer row
    unknown_counts   by source and replica; the larger count (a replica only counts up)
    unknown_sources  occurrences: the sum of its counts; first and last seen; the newest example
    points           by run, key and step; a run's place in its file: the furthest
Everything else in the registry is a decision.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from core.jobdir import ENDED
from core.registry.store import Registry

_ENDED = ", ".join(f"'{status}'" for status in sorted(ENDED))

# other: the attached file whose rows come in. A WHERE true keeps ON CONFLICT from being read as a join.
_MERGE = (
    f"""
INSERT INTO jobs SELECT * FROM other.jobs WHERE true
ON CONFLICT (id) DO UPDATE SET status = excluded.status, state = excluded.state,
  updated_at = excluded.updated_at
WHERE (excluded.status IN ({_ENDED}), excluded.updated_at, excluded.state)
    > (jobs.status IN ({_ENDED}), jobs.updated_at, jobs.state)
""",
    """
INSERT INTO unknown_sources
  (source_id, occurrences, first_seen, last_seen, model_version, example)
  SELECT source_id, occurrences, first_seen, last_seen, model_version, example
  FROM other.unknown_sources WHERE true
ON CONFLICT (source_id) DO UPDATE SET
  model_version = iif(excluded.last_seen > last_seen, excluded.model_version, model_version),
  example = iif(excluded.last_seen > last_seen, excluded.example, example),
  first_seen = min(first_seen, excluded.first_seen),
  last_seen = max(last_seen, excluded.last_seen)
""",
    "INSERT INTO point_runs (job_id, taken) SELECT job_id, 0 FROM other.point_runs WHERE true"
    " ON CONFLICT (job_id) DO NOTHING",
    "INSERT INTO point_keys (name) SELECT name FROM other.point_keys WHERE true"
    " ON CONFLICT (name) DO NOTHING",
    """
INSERT OR IGNORE INTO points
  SELECT r.id, k.id, p.step, p.value FROM other.points AS p
  JOIN other.point_runs AS o ON o.id = p.run JOIN main.point_runs AS r ON r.job_id = o.job_id
  JOIN other.point_keys AS q ON q.id = p.key JOIN main.point_keys AS k ON k.name = q.name
  WHERE o.taken = 0 OR o.taken > r.taken
""",
    "UPDATE point_runs SET taken = max(taken, (SELECT o.taken FROM other.point_runs AS o"
    " WHERE o.job_id = point_runs.job_id)) WHERE job_id IN (SELECT job_id FROM other.point_runs)",
)


def merge(reg: Registry, other: Path) -> bool:
    """Take in the observations of another replica's file. True if anything was new.

    Both have the same schema. Not within a transaction of its own.
    """
    before = fingerprint(reg)
    reg.execute("ATTACH ? AS other", (str(other),))
    try:
        with reg.writing():
            counts = _counts(reg, "main")
            for key, count in _counts(reg, "other").items():
                counts[key] = max(counts.get(key, 0), count)
            for statement in _MERGE:
                reg.execute(statement)
            _store_counts(reg, counts)
        return fingerprint(reg) != before
    finally:
        reg.execute("DETACH other")


def _counts(reg: Registry, schema: str) -> dict[tuple[str, str], int]:
    rows = reg.rows(f"SELECT source_id, replica, occurrences FROM {schema}.unknown_counts")
    return {(r[0], r[1]): r[2] for r in rows}


def _store_counts(reg: Registry, counts: dict[tuple[str, str], int]) -> None:
    """The counts as given and their sums. The triggers count the sums as new: so counts come last."""
    total: dict[str, int] = {}
    for (source_id, _), count in counts.items():
        total[source_id] = total.get(source_id, 0) + count
    reg.executemany(
        "UPDATE unknown_sources SET occurrences = ? WHERE source_id = ? AND occurrences <> ?",
        ((n, source_id, n) for source_id, n in total.items()),
    )
    reg.execute("DELETE FROM unknown_counts")
    rows = ((source_id, replica, n) for (source_id, replica), n in counts.items())
    reg.executemany("INSERT INTO unknown_counts VALUES (?, ?, ?)", rows)


def fingerprint(reg: Registry) -> str:
    """SHA-256 of all observations: the same in two replicas that saw the same."""
    digest = hashlib.sha256()
    for sql in _SEEN:
        for row in reg.each(sql):
            digest.update(json.dumps(tuple(row)).encode() + b"\n")
        digest.update(b"\n")
    return digest.hexdigest()


# Points of a file are known by how far it was read; points that were added by hand are counted.
_SEEN = (
    "SELECT id, status, updated_at, state FROM jobs ORDER BY id",
    "SELECT source_id, replica, occurrences FROM unknown_counts ORDER BY source_id, replica",
    "SELECT source_id, first_seen, last_seen FROM unknown_sources ORDER BY source_id",
    "SELECT job_id, taken, iif(taken > 0, 0, (SELECT count(*) FROM points WHERE run = id))"
    " FROM point_runs ORDER BY job_id",
    # the journal of releases is no observation, but what it noted after the decision is to travel too
    "SELECT id, state, (SELECT count(*) FROM release_steps WHERE release_id = releases.id)"
    " FROM releases ORDER BY id",
)
