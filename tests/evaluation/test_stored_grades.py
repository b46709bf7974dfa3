"""Answers that models gave, with the grades they had when they were stored: what a faster or tidier
scorer must not change. A line that has to change says something about a rule: change the rule's own
test first, then the line.
"""

from __future__ import annotations

import json
from pathlib import Path

from core import citations
from core.evaluation.golden import GoldenQuestion
from core.evaluation.grading import Grader

STORED = Path(__file__).parent / "data" / "graded.jsonl"


def test_stored_answers_keep_their_grades() -> None:
    changed = []
    lines = STORED.read_text("utf-8").splitlines()
    for line in lines:
        row = json.loads(line)
        labels = {k: tuple(v) if isinstance(v, list) else v for k, v in row["question"].items()}
        graded = Grader(GoldenQuestion(**labels)).grade(row["answer"])
        found = {
            "grade": graded.grade,
            "rule": graded.rule,
            "deferred": graded.deferred,
            "missing": list(graded.missing),
            "contradictions": list(graded.contradictions),
            "forbidden": list(graded.forbidden),
            "unsupported": list(graded.unsupported),
            "markers": [m.text if isinstance(m, citations.Malformed) else str(m)
                        for m in citations.scan(row["answer"])][:20],
        }  # fmt: skip
        if any(found[name] != row[name] for name in found):
            changed.append((row["question"]["id"], row["answer"][:80], found))
    assert len(lines) == 240 and not changed, changed[:3]
