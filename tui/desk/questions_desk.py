"""The golden set at the desk: read with what is mounted beside it, edited one question at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from tui.desk.api_questions import CheckRow, GoldenView, QuestionRow

if TYPE_CHECKING:
    from core.evaluation.golden.model import GoldenQuestion
    from core.evaluation.golden.sets import Mount
    from tui.desk.workbench import Workbench


class WorkbenchQuestions:
    """Implements `tui.desk.api_questions.QuestionsDesk`."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def _mounts(self) -> tuple[Mount, ...]:
        from core.evaluation.golden.sets import beside, named

        return (named(self._bench.golden), *beside(self._bench.golden))

    def _read(self) -> list[tuple[Mount, GoldenQuestion]]:
        from core.evaluation.golden.model import GoldenFileError
        from core.evaluation.golden.sets import named_set, read_mounts

        readings, faults = read_mounts(self._mounts())
        if faults:
            raise GoldenFileError(list(faults))
        return [(m, named_set(q, m.name)) for m, r in readings for q in r.questions]

    def listed(self) -> GoldenView:
        """Raises GoldenFileError: a faulty file, with every fault."""
        from core.evaluation.golden.model import DESIGN_COUNTS, category_counts
        from core.evaluation.golden.sets import load_set

        found = self._read()
        counts = category_counts(q for _, q in found)
        mounted = self._mounts()
        return GoldenView(
            tuple(
                QuestionRow(
                    q.id,
                    q.category,
                    q.question,
                    q.expected_answer,
                    len(q.key_facts),
                    q.query_type == "DYNAMIC",
                    q.canary,
                    len(q.paraphrases),
                    str(m.path),
                    q.set,
                )
                for m, q in found
            ),
            tuple((name, counts.get(name, 0), wanted) for name, wanted in DESIGN_COUNTS.items()),
            load_set(mounted).sha256,
            tuple(str(m.path) for m in mounted if m.path.exists()),
        )

    def text(self, question_id: str) -> str:
        """The row as it stands in its file. Raises NotFound."""
        path, _ = self._of(question_id)
        for line in path.read_text("utf-8").split("\n"):
            row = json.loads(line) if line.strip() else {}
            if row.get("id") == question_id:
                return pretty(row)
        raise _unknown(question_id)

    def blank(self, category: str) -> str:
        from core.evaluation.golden.editing import next_id

        questions = [q for _, q in self._read()]
        return pretty(
            {
                "id": next_id(questions, category),
                "category": category,
                "question": "",
                "expected_answer": "",
                "key_facts": [],
                "expected_sources": [],
                "expected_tools": [],
                "query_type": "DYNAMIC" if category == "dynamic" else "STATIC",
                "citation_expected": category != "dynamic",
                "paraphrases": ["", ""],
            }
        )

    def check(self) -> tuple[CheckRow, ...]:
        """Labels, balance, wordings too alike, and what the newest snapshot gives away."""
        from core.evaluation.golden.checks import check
        from core.registry import snapshots

        reg = self._bench.registry()
        frozen = snapshots.list(reg)
        pairs = snapshots.iter_pairs(reg, frozen[0].dataset_version) if frozen else None
        report = check(self._mounts(), pairs=pairs)
        faults = [CheckRow(True, "", str(f), f.try_next) for f in report.faults]
        return (*faults, *(CheckRow(False, f.id, f.what, f.try_next) for f in report.findings))

    def save(self, text: str, file: str, was: str = "") -> str:
        """Raises GoldenFileError with every fault; then nothing was written. Only the item `was` is
        replaced: another one of the same id, which somebody may just have added, is a fault."""
        from core.evaluation.golden.editing import merge
        from core.evaluation.golden.model import GoldenFileError
        from core.evaluation.golden.rows import RowReader
        from core.evaluation.golden.tables import RawRow

        reader = RowReader("what you typed", 1)
        row = reader.parse(text)
        if row is None or reader.faults:
            raise GoldenFileError(reader.faults)
        row = {k: v for k, v in row.items() if not (k == "paraphrases" and not any(v or ()))}
        path = Path(file)
        others = [m for m in self._mounts() if m.path.resolve() != path.resolve()]
        done = merge(
            path, [RawRow("what you typed", 1, row)], others=others, replace=row.get("id") == was
        )
        if done.faults:
            raise GoldenFileError(list(done.faults))
        return (*done.new, *done.changed, *done.same)[0]

    def remove(self, question_id: str) -> None:
        from core.evaluation.golden.editing import remove

        path, _ = self._of(question_id)
        remove(path, question_id)

    def _of(self, question_id: str) -> tuple[Path, GoldenQuestion]:
        for mount, question in self._read():
            if question.id == question_id:
                return mount.path, question
        raise _unknown(question_id)


def pretty(row: dict[str, Any]) -> str:
    """JSON with a field a line: lists stay on theirs."""
    body = ",\n".join(
        f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in row.items()
    )
    return "{\n" + body + "\n}\n"


def _unknown(question_id: str) -> NotFound:
    return NotFound(f"no golden question {question_id!r}", try_next="somebody may have removed it")
