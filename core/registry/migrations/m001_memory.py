"""The tables of the memory: sources, snapshots, versions, evaluations, deployments, jobs, audit.

What must never happen is refused by the database itself, whatever program writes: two live
versions in one environment, a promotion without GO or a reason, a changed snapshot, evaluation,
version identity or audit row.
"""

from __future__ import annotations

from sqlite_utils import Database

from core.registry.migrations.forbid import forbid

# Times are ISO 8601 UTC text; JSON is canonical text.
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
  source_id    TEXT PRIMARY KEY,
  domain       TEXT NOT NULL,
  display_name TEXT NOT NULL,
  url          TEXT NOT NULL,
  status       TEXT NOT NULL CHECK (status IN ('active', 'renamed', 'tombstoned')),
  renamed_to   TEXT CHECK (renamed_to IS NULL OR status = 'renamed'),
  origin       TEXT NOT NULL CHECK (origin IN ('sample', 'operator')),
  checked_at   TEXT,
  updated_at   TEXT NOT NULL,
  CHECK (length(domain) > 0 AND length(source_id) > length(domain) + 1
         AND substr(source_id, 1, length(domain) + 1) = domain || ':')
) STRICT, WITHOUT ROWID;

CREATE TABLE unknown_sources (
  source_id     TEXT PRIMARY KEY,
  occurrences   INTEGER NOT NULL,
  first_seen    TEXT NOT NULL,
  last_seen     TEXT NOT NULL,
  model_version TEXT,
  example       TEXT NOT NULL,
  resolution    TEXT CHECK (resolution IN ('resolved', 'alias', 'dismissed')),
  resolved_to   TEXT,
  resolved_at   TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
  hash   TEXT PRIMARY KEY,       -- SHA-256 of body
  lesson TEXT NOT NULL,          -- hash of the messages alone
  body   TEXT NOT NULL           -- canonical JSON of the pair, without scores
) STRICT;

CREATE TABLE snapshots (
  dataset_version  TEXT PRIMARY KEY,
  created_at       TEXT NOT NULL,
  parent           TEXT REFERENCES snapshots,
  pair_count       INTEGER NOT NULL CHECK (pair_count > 0),
  manifest_hash    TEXT NOT NULL,
  manifest         BLOB NOT NULL,  -- zlib of "<content hash> <pair id>" lines
  source_breakdown TEXT NOT NULL,
  domain_breakdown TEXT NOT NULL
) STRICT;

CREATE TABLE versions (
  model_version   TEXT PRIMARY KEY,
  major           INTEGER NOT NULL,
  minor           INTEGER NOT NULL,
  patch           INTEGER NOT NULL,
  base_model      TEXT NOT NULL,
  dataset_version TEXT NOT NULL REFERENCES snapshots,
  training_config TEXT NOT NULL,
  eval_metrics    TEXT NOT NULL,
  created_at      TEXT NOT NULL,
  created_by      TEXT NOT NULL,
  status          TEXT NOT NULL CHECK (status IN ('training', 'candidate', 'evaluated', 'approved',
                                                  'deployed', 'archived', 'failed', 'quarantined')),
  bump_part       TEXT NOT NULL CHECK (bump_part IN ('first', 'major', 'minor', 'patch')),
  bump_reason     TEXT NOT NULL,
  parent_version  TEXT REFERENCES versions,
  reproducibility TEXT NOT NULL,
  train_job       TEXT,
  eval_job        TEXT,
  adapter_path    TEXT,
  adapter_sha256  TEXT,
  note            TEXT NOT NULL,
  UNIQUE (major, minor, patch),
  CHECK (model_version = 'access-qa-v' || major || '.' || minor || '.' || patch)
) STRICT;
CREATE INDEX versions_by_time ON versions (created_at);

CREATE TABLE evaluations (
  id            INTEGER PRIMARY KEY,
  model_version TEXT REFERENCES versions,
  job_id        TEXT,
  at            TEXT NOT NULL,
  verdict       TEXT NOT NULL CHECK (verdict IN ('GO', 'NO-GO', 'UNDECIDED')),
  golden_sha256 TEXT,
  scores        TEXT NOT NULL,
  scores_sha256 TEXT NOT NULL
) STRICT;
CREATE INDEX evaluations_by_version ON evaluations (model_version, id);

CREATE TABLE deployments (
  id              INTEGER PRIMARY KEY,
  environment     TEXT NOT NULL CHECK (environment IN ('staging', 'production')),
  model_version   TEXT NOT NULL REFERENCES versions,
  kind            TEXT NOT NULL CHECK (kind IN ('promotion', 'rollback')),
  started_at      TEXT NOT NULL,
  ended_at        TEXT,
  who             TEXT NOT NULL,
  reason          TEXT NOT NULL,
  verdict         TEXT CHECK (verdict IN ('GO', 'NO-GO', 'UNDECIDED')),
  override_reason TEXT,
  evaluation_id   INTEGER REFERENCES evaluations,
  scores_sha256   TEXT,
  replaced        INTEGER REFERENCES deployments,  -- what was live when this one began
  returns_to      INTEGER REFERENCES deployments,  -- where a rollback from here leads
  CHECK (kind = 'rollback' OR (evaluation_id IS NOT NULL AND verdict IS NOT NULL)),
  CHECK (kind = 'rollback' OR verdict = 'GO' OR coalesce(length(trim(override_reason)), 0) > 0)
) STRICT;
CREATE UNIQUE INDEX one_live_version ON deployments (environment) WHERE ended_at IS NULL;
CREATE INDEX deployments_by_version ON deployments (model_version);

CREATE TABLE deployment_gates (
  deployment_id INTEGER NOT NULL REFERENCES deployments,
  position      INTEGER NOT NULL,
  gate          TEXT NOT NULL,
  metric        TEXT,
  target        TEXT,
  verdict       TEXT,
  estimate      REAL,
  low           REAL,
  high          REAL,
  n             INTEGER,
  PRIMARY KEY (deployment_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE checklist_items (
  id         TEXT PRIMARY KEY,
  position   INTEGER NOT NULL,
  week       INTEGER NOT NULL,
  week_title TEXT NOT NULL,
  title      TEXT NOT NULL,
  checks     TEXT NOT NULL,
  action     TEXT NOT NULL,
  listed     INTEGER NOT NULL      -- 0: no longer in checklist.yaml, kept for its evidence
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
  id      INTEGER PRIMARY KEY,
  item_id TEXT NOT NULL REFERENCES checklist_items,
  at      TEXT NOT NULL,
  who     TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pass', 'fail', 'warn', 'note')),
  summary TEXT NOT NULL,
  detail  TEXT NOT NULL,
  job_id  TEXT
) STRICT;
CREATE INDEX evidence_by_item ON evidence (item_id, id);

CREATE TABLE decisions (
  id       INTEGER PRIMARY KEY,
  at       TEXT NOT NULL,
  who      TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('GO', 'NO-GO')),
  reason   TEXT NOT NULL CHECK (length(trim(reason)) > 0)
) STRICT;

CREATE TABLE jobs (
  id           TEXT PRIMARY KEY,
  routine      TEXT NOT NULL,
  host         TEXT NOT NULL,
  status       TEXT NOT NULL,
  spec         TEXT NOT NULL,
  state        TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  recorded_at  TEXT NOT NULL,
  updated_at   TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_time ON jobs (recorded_at);

CREATE TABLE audit (
  seq       INTEGER PRIMARY KEY,
  at        TEXT NOT NULL,
  who       TEXT NOT NULL,
  origin    TEXT NOT NULL,         -- the machine it was done from
  action    TEXT NOT NULL,
  subject   TEXT NOT NULL,
  before    TEXT,
  after     TEXT,
  why       TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash      TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject, seq)
"""

_UNCHANGEABLE = ("audit", "snapshots", "blobs", "evaluations", "deployment_gates", "evidence")
_IDENTITY = {
    "versions": "model_version, major, minor, patch, base_model, dataset_version, training_config,"
    " created_at, created_by, bump_part, bump_reason, parent_version, adapter_sha256",
    "deployments": "id, environment, model_version, kind, started_at, who, reason, verdict,"
    " override_reason, evaluation_id, scores_sha256, replaced, returns_to",
    "decisions": "id, at, who, decision, reason",
}


def m001_memory(db: Database) -> None:
    for statement in _TABLES.split(";\n"):
        db.conn.execute(statement)
    for table in _UNCHANGEABLE:
        forbid(db, table, "UPDATE", f"a row of {table} cannot be changed")
    for table, columns in _IDENTITY.items():
        forbid(db, table, f"UPDATE OF {columns}", f"this part of {table} cannot be changed")
    for table in (*_UNCHANGEABLE, *_IDENTITY):
        forbid(db, table, "DELETE", f"a row of {table} cannot be removed")
