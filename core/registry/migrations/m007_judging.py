"""What people and judge models say of stored answers, beside what the key facts say."""

from __future__ import annotations

from sqlite_utils import Database

from core.registry.migrations.forbid import forbid

_LABELS = """
CREATE TABLE answer_labels (
  id            INTEGER PRIMARY KEY,
  question_id   TEXT NOT NULL,
  answer_sha256 TEXT NOT NULL CHECK (length(answer_sha256) = 64),
  label         TEXT NOT NULL CHECK (label IN ('correct', 'incorrect', 'not_attempted')),
  model_version TEXT REFERENCES versions,  -- in whose evaluation it was read
  system        TEXT NOT NULL,             -- that gave it there
  at            TEXT NOT NULL,
  who           TEXT NOT NULL
) STRICT
"""
_LABELS_OF = "CREATE INDEX labels_of ON answer_labels (question_id, answer_sha256, id)"
_JUDGEMENTS = """
CREATE TABLE judgements (
  id            INTEGER PRIMARY KEY,
  scores_sha256 TEXT NOT NULL CHECK (length(scores_sha256) = 64),
  model_version TEXT REFERENCES versions,
  document      TEXT NOT NULL,    -- judge.json
  at            TEXT NOT NULL,
  who           TEXT NOT NULL
) STRICT
"""
_JUDGEMENTS_OF = "CREATE INDEX judgements_of ON judgements (scores_sha256, id)"


def m007_judging(db: Database) -> None:
    for statement in (_LABELS, _LABELS_OF, _JUDGEMENTS, _JUDGEMENTS_OF):
        db.conn.execute(statement)
    forbid(db, "answer_labels", "UPDATE", "a label stays as it was given; give another one")
    forbid(db, "answer_labels", "DELETE", "labels are kept; the newest one counts")
    forbid(db, "judgements", "UPDATE", "a judgement stays as it was made")
    forbid(db, "judgements", "DELETE", "judgements are kept; the newest one is shown")
