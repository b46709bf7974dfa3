"""What several operators and long trainings need: replicas, counts by replica, metric points."""

from __future__ import annotations

from sqlite_utils import Database

# unknown_counts: how often each replica counted a source. A replica only ever raises its own row, so
# two replicas merge by taking the larger count of each row, however often they meet. The triggers
# keep it beside unknown_sources.occurrences, which is the sum.
# points: no foreign keys, which would cost a third of the rate; `qa registry check` looks instead.
_STATEMENTS = (
    "CREATE TABLE replica (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT",
    "INSERT INTO replica VALUES (1, lower(hex(randomblob(8))))",
    """
CREATE TABLE unknown_counts (
  source_id   TEXT NOT NULL,
  replica     TEXT NOT NULL,
  occurrences INTEGER NOT NULL,
  PRIMARY KEY (source_id, replica)
) STRICT, WITHOUT ROWID
""",
    "INSERT INTO unknown_counts"
    " SELECT source_id, (SELECT id FROM replica), occurrences FROM unknown_sources",
    """
CREATE TRIGGER unknown_sources_count_new AFTER INSERT ON unknown_sources BEGIN
  INSERT INTO unknown_counts VALUES (NEW.source_id, (SELECT id FROM replica), NEW.occurrences)
    ON CONFLICT DO UPDATE SET occurrences = occurrences + excluded.occurrences;
END
""",
    """
CREATE TRIGGER unknown_sources_count_more AFTER UPDATE OF occurrences ON unknown_sources
WHEN NEW.occurrences <> OLD.occurrences BEGIN
  INSERT INTO unknown_counts
    VALUES (NEW.source_id, (SELECT id FROM replica), NEW.occurrences - OLD.occurrences)
    ON CONFLICT DO UPDATE SET occurrences = occurrences + excluded.occurrences;
END
""",
    """
CREATE TABLE point_runs (
  id     INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL UNIQUE,
  taken  INTEGER NOT NULL DEFAULT 0      -- bytes of its events.jsonl that are in
) STRICT
""",
    "CREATE TABLE point_keys (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    """
CREATE TABLE points (
  run   INTEGER NOT NULL,
  key   INTEGER NOT NULL,
  step  INTEGER NOT NULL,
  value REAL,                            -- NULL: not a number
  PRIMARY KEY (run, key, step)
) STRICT, WITHOUT ROWID
""",
)


def m004_ledger(db: Database) -> None:
    for statement in _STATEMENTS:
        db.conn.execute(statement)
