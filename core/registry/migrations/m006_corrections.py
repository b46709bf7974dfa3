"""Corrections: pairs an operator found wrong while tracing an answer, and what they should say."""

from __future__ import annotations

from sqlite_utils import Database

from core.registry.migrations.forbid import forbid

_TABLE = """
CREATE TABLE corrections (
  id              INTEGER PRIMARY KEY,
  dataset_version TEXT NOT NULL REFERENCES snapshots,  -- where the wrong pair stands
  pair_id         TEXT NOT NULL,
  content_hash    TEXT NOT NULL,                       -- of the wrong pair
  answer          TEXT,                                -- what it should say; NULL: it is removed
  why             TEXT NOT NULL CHECK (length(trim(why)) > 0),
  response        TEXT NOT NULL,                       -- id of the answer that led there, or ''
  model_version   TEXT REFERENCES versions,            -- that gave the answer
  at              TEXT NOT NULL,
  who             TEXT NOT NULL,
  status          TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'applied', 'dismissed')),
  settled_at      TEXT,
  settled_by      TEXT,
  settled_why     TEXT,
  applied_in      TEXT REFERENCES snapshots,
  CHECK ((status = 'open') = (settled_at IS NULL)),
  CHECK ((status = 'applied') = (applied_in IS NOT NULL))
) STRICT
"""
_ONE_OPEN = "CREATE UNIQUE INDEX one_open_correction ON corrections (pair_id) WHERE status = 'open'"
_SETTLED = """
CREATE TRIGGER corrections_settled BEFORE UPDATE ON corrections WHEN OLD.status <> 'open'
BEGIN SELECT RAISE(ABORT, 'a settled correction stays as it is'); END
"""
_FIXED = "id, dataset_version, pair_id, content_hash, answer, why, response, model_version, at, who"


def m006_corrections(db: Database) -> None:
    for statement in (_TABLE, _ONE_OPEN, _SETTLED):
        db.conn.execute(statement)
    forbid(db, "corrections", f"UPDATE OF {_FIXED}", "a correction stays as it was asked for")
    forbid(db, "corrections", "DELETE", "corrections are kept; dismiss it instead")
