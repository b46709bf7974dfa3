"""Full-text search over the pairs of snapshots.

    search_rows       one row a content that is indexed; ids ascend in the order of indexing
    search_questions  what the user said in row n (contentless: the text stands in `blobs` alone)
    search_answers    what the assistant said
    search_members    which rows belong to a snapshot: bit n of the bitmap is row n. A snapshot
                      without a row here is not indexed to its end yet.

All of it follows from `blobs` and `snapshots` and may be emptied and built again.
"""

from __future__ import annotations

from sqlite_utils import Database

_TOKENS = "porter unicode61 remove_diacritics 2"

_STATEMENTS = (
    """CREATE TABLE search_rows (
  id   INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE   -- of the content, 32 bytes
) STRICT""",
    """CREATE TABLE search_members (
  dataset_version TEXT PRIMARY KEY REFERENCES snapshots,
  members         BLOB NOT NULL   -- zlib of the bitmap, least significant bit first
) STRICT, WITHOUT ROWID""",
    "CREATE VIRTUAL TABLE search_questions USING fts5"
    f" (question, content = '', prefix = '2 3', tokenize = '{_TOKENS}')",
    f"CREATE VIRTUAL TABLE search_answers USING fts5 (answer, content = '', tokenize = '{_TOKENS}')",
    "CREATE VIRTUAL TABLE search_question_words USING fts5vocab (search_questions, row)",
    "CREATE VIRTUAL TABLE search_answer_words USING fts5vocab (search_answers, row)",
)


def m002_search(db: Database) -> None:
    for statement in _STATEMENTS:
        db.conn.execute(statement)
