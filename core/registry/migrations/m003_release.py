"""Releases: approvals, what a promotion was judged on, the journal of its steps, and `training`.

A version may now be registered when its training starts. What only the end of a training knows is
written once, while it is in training; from then on it is as fixed as the rest.
"""

from __future__ import annotations

from sqlite_utils import Database

from core.registry.migrations.forbid import forbid

_TABLES = """
CREATE TABLE approvals (
  id            INTEGER PRIMARY KEY,
  model_version TEXT NOT NULL REFERENCES versions,
  environment   TEXT NOT NULL CHECK (environment IN ('staging', 'production')),
  evaluation_id INTEGER NOT NULL REFERENCES evaluations,
  scores_sha256 TEXT NOT NULL,          -- what was approved; other scores need another approval
  at            TEXT NOT NULL,
  who           TEXT NOT NULL,
  reason        TEXT NOT NULL CHECK (length(trim(reason)) > 0),
  void_at       TEXT,
  void_why      TEXT,
  CHECK ((void_at IS NULL) = (void_why IS NULL))
) STRICT;
CREATE UNIQUE INDEX one_approval_each ON approvals (model_version, environment, who)
  WHERE void_at IS NULL;

CREATE TABLE deployment_evidence (
  deployment_id INTEGER NOT NULL REFERENCES deployments,
  name          TEXT NOT NULL,
  value         TEXT NOT NULL,
  PRIMARY KEY (deployment_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
  id            INTEGER PRIMARY KEY,
  environment   TEXT NOT NULL CHECK (environment IN ('staging', 'production')),
  kind          TEXT NOT NULL CHECK (kind IN ('promotion', 'rollback', 'return')),
  from_version  TEXT REFERENCES versions,
  to_version    TEXT NOT NULL REFERENCES versions,
  who           TEXT NOT NULL,
  reason        TEXT NOT NULL,
  smoke         TEXT NOT NULL,          -- JSON: the questions to ask, for whoever completes it
  deployment_id INTEGER REFERENCES deployments,  -- set when the registry has switched
  state         TEXT NOT NULL CHECK (state IN ('open', 'done', 'failed', 'undone')),
  started_at    TEXT NOT NULL,
  ended_at      TEXT,
  CHECK ((state = 'open') = (ended_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX one_open_release ON releases (environment) WHERE state = 'open';

CREATE TABLE release_steps (
  release_id INTEGER NOT NULL REFERENCES releases,
  position   INTEGER NOT NULL,
  step       TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('begun', 'done', 'failed', 'skipped')),
  at         TEXT NOT NULL,
  detail     TEXT NOT NULL,
  PRIMARY KEY (release_id, position)
) STRICT, WITHOUT ROWID;

ALTER TABLE deployments ADD COLUMN returned INTEGER NOT NULL DEFAULT 0
  CHECK (returned IN (0, 1) AND (returned = 0 OR kind = 'rollback'));
CREATE INDEX deployments_by_environment ON deployments (environment, id);
CREATE INDEX versions_by_job ON versions (train_job) WHERE train_job IS NOT NULL;
DROP TRIGGER versions_no_update
"""

_FIXED = (
    "model_version, major, minor, patch, base_model, dataset_version, training_config, created_by,"
    " bump_part, bump_reason, parent_version"
)
_TRAINED = "created_at, adapter_sha256, reproducibility"
_STEPS = """
CREATE TRIGGER versions_steps BEFORE UPDATE OF status ON versions
WHEN OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN (
  'training>candidate', 'training>failed',
  'candidate>evaluated', 'candidate>failed', 'candidate>quarantined', 'candidate>archived',
  'evaluated>approved', 'evaluated>deployed', 'evaluated>failed', 'evaluated>quarantined',
  'evaluated>archived',
  'approved>evaluated', 'approved>deployed', 'approved>failed', 'approved>quarantined',
  'approved>archived',
  'deployed>archived',
  'archived>deployed', 'archived>failed', 'archived>quarantined',
  'quarantined>candidate', 'quarantined>evaluated', 'quarantined>failed')
BEGIN SELECT RAISE(ABORT, 'a version does not go from that status to that one'); END
"""


def m003_release(db: Database) -> None:
    for statement in _TABLES.split(";\n"):
        db.conn.execute(statement)
    forbid(db, "versions", f"UPDATE OF {_FIXED}", "this part of versions cannot be changed")
    db.conn.execute(
        f"CREATE TRIGGER versions_trained_once BEFORE UPDATE OF {_TRAINED} ON versions"
        " WHEN OLD.status <> 'training'"
        " BEGIN SELECT RAISE(ABORT, 'this part of versions cannot be changed'); END"
    )
    db.conn.execute(_STEPS)
    forbid(
        db,
        "approvals",
        "UPDATE OF id, model_version, environment, evaluation_id, scores_sha256, at, who, reason",
        "this part of approvals cannot be changed",
    )
    db.conn.execute(
        "CREATE TRIGGER approvals_void_once BEFORE UPDATE ON approvals WHEN OLD.void_at IS NOT NULL"
        " BEGIN SELECT RAISE(ABORT, 'a void approval stays void'); END"
    )
    db.conn.execute(
        "CREATE TRIGGER deployments_returned BEFORE UPDATE OF returned ON deployments"
        " BEGIN SELECT RAISE(ABORT, 'this part of deployments cannot be changed'); END"
    )
    db.conn.execute(
        "CREATE TRIGGER releases_end_once BEFORE UPDATE ON releases WHEN OLD.state <> 'open'"
        " BEGIN SELECT RAISE(ABORT, 'a release that has ended cannot be changed'); END"
    )
    for table in ("deployment_evidence", "release_steps"):
        forbid(db, table, "UPDATE", f"a row of {table} cannot be changed")
    for table in ("approvals", "deployment_evidence", "release_steps", "releases"):
        forbid(db, table, "DELETE", f"a row of {table} cannot be removed")
