"""Everything that is known of an answer: how it came about, and what was said of it.

scores.json has the grades, markers and facts of every answer; the answers' files beside it have prompt,
raw text, tokens and times. `evidence_of` puts the two together again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import NotFound
from core.evaluation.golden import GoldenQuestion
from core.evaluation.retrieval import Store
from core.pairs import Pair

TOP = 3
TRACED = (
    "prompt raw prompt_tokens tokens batch seconds first_token_s latency_s device model attempts reused "
    "finish"
).split()


def nearest_pairs(
    questions: Iterable[GoldenQuestion], pairs: Sequence[Pair], top: int = TOP
) -> dict[str, list[dict[str, Any]]]:
    """Question id → the training pairs nearest to it, best first: {id, question, coverage}.

    What a wrong answer may have been taken from. A millisecond a question.
    """
    if not pairs:
        return {}
    with Store(((p.question, p.answer) for p in pairs), threshold=0.0) as store:
        return {
            q.id: [
                {
                    "id": pairs[f.row].id,
                    "question": f.nearest,
                    "coverage": round(f.coverage, 4),
                }
                for f in store.nearest(q.question, top)
            ]
            for q in questions
        }


def evidence_of(scores: Mapping[str, Any], answers: Path, question_id: str) -> dict[str, Any]:
    """One question with the answers of every system: {id, question, expected_answer, nearest, trained,
    systems: {NAME: {…the row of scores.json, prompt, raw, tokens, times}}}.

    answers: folder of the answers' files; what is not there is left out.
    Raises NotFound: the scores have no such question.
    """
    rows = [r for r in scores.get("questions", ()) if r.get("id") == question_id]
    if not rows:
        known = {str(r.get("id")) for r in scores.get("questions", ())}
        raise NotFound(
            f"these scores have no question {question_id!r}",
            try_next=f"one of {len(known)}: {', '.join(sorted(known)[:5])} …",
        )
    first = rows[0]
    return {
        "id": question_id,
        "category": first.get("category"),
        "question": first.get("question"),
        "expected_answer": first.get("expected_answer"),
        "expects": first.get("expects"),
        "nearest": (scores.get("nearest") or {}).get(question_id, []),
        "trained": (scores.get("trained") or {}).get(question_id),
        "systems": {
            str(row["system"]): {
                **{k: v for k, v in row.items() if k not in ("id", "system")},
                **_traced(answers / f"{row['system']}.jsonl", question_id),
            }
            for row in rows
        },
    }


def _traced(file: Path, question_id: str) -> dict[str, Any]:
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:
        return {}
    wanted = json.dumps(question_id).encode()
    for line in lines:
        if wanted not in line:
            continue
        try:
            row = json.loads(line)
        except ValueError:  # a line that was torn
            continue
        if isinstance(row, dict) and row.get("id") == question_id:
            traced = {k: row[k] for k in TRACED if k in row}
            if isinstance(row.get("nearest"), list):
                traced["shown_pairs"] = row["nearest"]  # in the prompt of base+retrieval
            elif row.get("nearest"):
                traced["stored_question"] = row["nearest"]  # what retrieval answered with
            return traced
    return {}
