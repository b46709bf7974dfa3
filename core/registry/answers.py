"""Answers as evaluations stored them: found by name or by their text, and listed worst first.

Read from the scores in SQLite; the newest LOOKED_AT evaluations are searched, which is years of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.near_duplicates import content_words, jaccard
from core.registry.store import Registry, clean

LOOKED_AT = 200
_ROWS = (
    # the limit keeps SQLite from reading candidate and about again for each question
    "SELECT e.id, e.at, e.model_version, e.candidate, e.about, q.value AS question"
    " FROM (SELECT id, at, model_version, json_extract(scores, '$.candidate') AS candidate,"
    " json_extract(scores, '$.about.systems') AS about, json_extract(scores, '$.questions') AS asked"
    " FROM evaluations WHERE {which} ORDER BY id DESC LIMIT {limit}) AS e,"
    " json_each(e.asked) AS q WHERE {having} ORDER BY e.id DESC, q.key"
)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One answer of one system to one golden question.

    evaluated: the version whose evaluation it stands in, None: of the base model alone.
    model_version: the version that gave it; None for the base model, for retrieval, and where no
    version has that adapter.  latency_s: as measured then.  markers: (text, class).
    """

    evaluation: int
    at: str
    evaluated: str | None
    system: str
    model_version: str | None
    question_id: str
    question: str
    answer: str
    category: str = ""
    expected_answer: str = ""
    grade: str = ""
    cause: str = ""
    expects: str = ""
    deferred: bool = False
    latency_s: float | None = None
    markers: tuple[tuple[str, str], ...] = ()

    @property
    def response(self) -> str:
        """The id by which `qa trace` finds it: VERSION/QUESTION-ID/SYSTEM."""
        return f"{self.evaluated or 'base'}/{self.question_id}/{self.system}"


def named(
    reg: Registry, version: str | None, question_id: str, system: str = ""
) -> StoredAnswer | None:
    """The newest answer to a question in the evaluations of a version (None: of the base model).

    system: "" is the version's own answer, i.e. that of the evaluation's candidate.
    """
    wanted = "e.candidate" if not system else "?"
    sql = _ROWS.format(
        which="model_version IS ?",
        limit=LOOKED_AT,
        having="json_extract(q.value, '$.id') = ?"
        f" AND coalesce(json_extract(q.value, '$.system'), '') = coalesce({wanted}, '')",
    )
    row = reg.one(sql, (version, question_id, *([system] if system else [])))
    return None if row is None else _answer(reg, row)


def citing(reg: Registry, source_id: str, *, limit: int = 5) -> tuple[StoredAnswer, ...]:
    """Those that cite a source, newest first."""
    having = "instr(coalesce(json_extract(q.value, '$.answer'), ''), ?)"
    sql = _ROWS.format(which="1", limit=LOOKED_AT, having=having) + " LIMIT ?"
    return tuple(_answer(reg, row) for row in reg.rows(sql, (f"<<SRC:{source_id}>>", limit)))


def with_text(reg: Registry, text: str) -> tuple[StoredAnswer, ...]:
    """Those whose answer is exactly this text, white space at the ends aside; newest first."""
    sql = _ROWS.format(
        which="1", limit=LOOKED_AT, having="trim(json_extract(q.value, '$.answer')) = ?"
    )
    wanted = clean(text).strip()
    rows = reg.rows(sql, (wanted,)) if wanted else []
    return tuple(_answer(reg, r) for r in rows)


def of_version(reg: Registry, version: str | None, system: str = "") -> tuple[StoredAnswer, ...]:
    """Every answer of a version in its newest evaluation, in the order of the golden set."""
    wanted = "e.candidate" if not system else "?"
    sql = _ROWS.format(
        which="model_version IS ?",
        limit=1,
        having=f"coalesce(json_extract(q.value, '$.system'), '') = coalesce({wanted}, '')",
    )
    rows = reg.rows(sql, (version, *([system] if system else [])))
    return tuple(_answer(reg, r) for r in rows)


def versions_with(reg: Registry, limit: int = 100) -> tuple[str, ...]:
    """Versions whose answers are stored, the one evaluated last first."""
    sql = (
        "SELECT model_version FROM evaluations WHERE model_version IS NOT NULL"
        " GROUP BY model_version ORDER BY max(id) DESC LIMIT ?"
    )
    return tuple(r[0] for r in reg.rows(sql, (limit,)))


def worst_first(found: Iterable[StoredAnswer]) -> tuple[StoredAnswer, ...]:
    """Wrong but cited, wrong, not attempted, right; the order is kept among equals."""
    return tuple(sorted(found, key=lambda a: -badness(a)))


def badness(a: StoredAnswer) -> int:
    """3 wrong but cited (a reader believes it most), 2 wrong, 1 not attempted, 0 right."""
    if a.grade == "incorrect":
        return 3 if any(cls != "malformed" for _, cls in a.markers) else 2
    return 1 if a.grade == "not_attempted" else 0


def bad_word(a: StoredAnswer) -> str:
    """Its grade in the words of a list."""
    return {3: "wrong but cited", 2: "wrong", 1: "not attempted"}.get(badness(a), "right")


def nearest(
    question: str, found: Iterable[StoredAnswer], least: float = 0.5
) -> tuple[StoredAnswer, float] | None:
    """The answer to the question most like this one, with their likeness least…1; else None.

    Likeness: the shared part of the content words.
    """
    asked = content_words(question[:10_000])
    same = " ".join(question.split()).casefold()
    best: tuple[StoredAnswer, float] | None = None
    for a in found:
        alike = jaccard(asked, content_words(a.question))
        if " ".join(a.question.split()).casefold() == same:
            return a, 1.0
        if alike >= least and (best is None or alike > best[1]):
            best = a, alike
    # other words in another order are another question
    return None if best is None else (best[0], min(best[1], 0.99))


def _answer(reg: Registry, row: sqlite3.Row) -> StoredAnswer:
    q: Any = json.loads(row["question"])
    q = q if isinstance(q, Mapping) else {}
    system = str(q.get("system") or "")
    latency = q.get("latency_s")
    return StoredAnswer(
        row["id"],
        row["at"],
        row["model_version"],
        system,
        _version_of(reg, row, system),
        str(q.get("id") or ""),
        str(q.get("question") or ""),
        str(q.get("answer") or ""),
        str(q.get("category") or ""),
        str(q.get("expected_answer") or ""),
        str(q.get("grade") or ""),
        str(q.get("cause") or ""),
        str(q.get("expects") or ""),
        bool(q.get("deferred")),
        float(latency) if isinstance(latency, int | float) else None,
        tuple(
            (str(m.get("text") or ""), str(m.get("class") or ""))
            for m in q.get("markers") or ()
            if isinstance(m, Mapping)
        ),
    )


def _version_of(reg: Registry, row: sqlite3.Row, system: str) -> str | None:
    if system == (row["candidate"] or ""):
        return str(row["model_version"]) if row["model_version"] else None
    about = json.loads(row["about"] or "{}")
    mine = about.get(system) if isinstance(about, Mapping) else None
    adapter = mine.get("adapter") if isinstance(mine, Mapping) else None
    if not isinstance(adapter, str):
        return None
    found = reg.value("SELECT model_version FROM versions WHERE adapter_sha256 = ?", (adapter,))
    return str(found) if found else None
