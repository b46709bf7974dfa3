"""What the golden set's editor is given: six questions of four categories."""

from __future__ import annotations

import json
from typing import Any

from core.errors import GoldenError
from tui.desk.api_questions import CheckRow, GoldenView, QuestionRow

MAIN, TEAM = "configs/corpus/golden.jsonl", "/team/golden.jsonl"


def _row(id: str, category: str, question: str, answer: str, **more: Any) -> QuestionRow:
    base = {"facts": 1, "live": False, "canary": False, "paraphrases": 2, "file": MAIN}
    return QuestionRow(id, category, question, answer, **{**base, **more})


ROWS = (
    _row("rs-001", "resource_specs", "How much memory does a GPU node of Delta have?", "256 GB."),
    _row("rs-002", "resource_specs", "Which interconnect does Anvil have?", "HDR InfiniBand."),
    _row("sw-001", "software", "Which versions of GROMACS are on Bridges-2?", "2020.2 and 2022.1."),
    _row(
        "dy-001", "dynamic", "Is Expanse down now?", "Look it up: get_outages.", live=True, facts=0
    ),
    _row("ed-001", "edge_cases", "How many GPUs has Quasar-7?", "There is none.", canary=True),
    _row("tm-001", "edge_cases", "Who is Pat?", "I can't say.", file=TEAM, set="team"),
)
COUNTS = (("resource_specs", 2, 40), ("software", 1, 30), ("comparisons", 0, 20),
          ("documentation", 0, 30), ("dynamic", 1, 30), ("edge_cases", 2, 20))  # fmt: skip
CHECKS = (
    CheckRow(False, "rs-002", "its wording is trained: pair cr-17", "ask it in other words"),
    CheckRow(False, "", "comparisons: 0 of 20", "qa golden add"),
)


class FakeQuestions:
    """Implements tui.desk.api_questions.QuestionsDesk for a FakeDesk."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.rows = ROWS
        self.found = CHECKS

    def listed(self) -> GoldenView:
        self.desk._asked("questions.listed")
        return GoldenView(self.rows, COUNTS, "9f2c" * 16, (MAIN, TEAM))

    def text(self, question_id: str) -> str:
        row = next(r for r in self.rows if r.id == question_id)
        shown = {"id": row.id, "category": row.category, "question": row.question}
        return json.dumps({**shown, "expected_answer": row.answer}, indent=2) + "\n"

    def blank(self, category: str) -> str:
        return json.dumps({"id": "rs-003", "category": category, "question": ""}, indent=2) + "\n"

    def check(self) -> tuple[CheckRow, ...]:
        return self.found

    def save(self, text: str, file: str, was: str = "") -> str:
        self.desk._asked("questions.save", text, file)
        row = json.loads(text)
        if not row.get("question"):
            raise GoldenError("question: it is empty", try_next="write it")
        made = _row(row["id"], row["category"], row["question"], "new", file=file)
        self.rows = (*(r for r in self.rows if r.id != made.id), made)
        return str(row["id"])

    def remove(self, question_id: str) -> None:
        self.desk._asked("questions.remove", question_id)
        self.rows = tuple(r for r in self.rows if r.id != question_id)
