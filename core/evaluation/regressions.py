"""What a version lost against the one before: severe regressions, which a person must look at.

A regression is a question the previous version had right and this one has wrong. It is severe when
the new answer would mislead a reader: it cites a source that does not exist, contradicts the expected
answer or itself, or says a forbidden text. Works on the question rows of scores.json, so that a
stored evaluation is judged like a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.evaluation.cites import FABRICATED

PREVIOUS = "previous"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Regressions:
    """n: questions both versions answered.  lost: ids, in the golden set's order.  severe: of these."""

    n: int
    lost: tuple[str, ...]
    severe: tuple[str, ...]


def regressions(
    rows: Iterable[Row], candidate: str, previous: str = PREVIOUS
) -> Regressions | None:
    """None where the previous version was not asked, or is itself the candidate."""
    before: dict[str, Row] = {}
    after: dict[str, Row] = {}
    for row in rows:
        if row.get("system") == previous:
            before[str(row.get("id"))] = row
        elif row.get("system") == candidate:
            after[str(row.get("id"))] = row
    shared = [i for i in after if i in before]
    if not shared:
        return None
    lost = [
        i
        for i in shared
        if before[i].get("grade") == "correct" and after[i].get("grade") != "correct"
    ]
    severe = [i for i in shared if is_severe(before[i], after[i])]
    return Regressions(len(shared), tuple(lost), tuple(severe))


def is_severe(before: Row, after: Row) -> bool:
    """Right before, and now misleading. A right answer that now invents its source counts too."""
    if before.get("grade") != "correct":
        return False
    wrong = after.get("grade") == "incorrect"
    misleads = bool(after.get("contradictions") or after.get("forbidden"))
    return (wrong and misleads) or (_fabricates(after) and not _fabricates(before))


def _fabricates(row: Row) -> bool:
    markers = row.get("markers")
    found = markers if isinstance(markers, list) else []
    return any(isinstance(m, Mapping) and m.get("class") in FABRICATED for m in found)
