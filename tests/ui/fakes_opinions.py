"""Second opinions for a FakeDesk: what was labelled in the session, and no judge unless given."""

from __future__ import annotations

from typing import Any

from tui.desk.api_opinions import LabelRow, OpinionsView


class FakeOpinions:
    """Implements tui.desk.api_opinions.OpinionsDesk."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.labels: dict[tuple[str, str], LabelRow] = {}
        self.verdicts: dict[tuple[str, str], str] = {}
        self.agreement: dict[str, Any] = {}

    def of(self, model_version: str) -> OpinionsView:
        return OpinionsView(dict(self.labels), dict(self.verdicts), self.agreement)

    def label(
        self, model_version: str, question_id: str, label: str, system: str, answer: str
    ) -> None:
        self.desk._asked("opinions.label", model_version, question_id, label, system)
        self.labels[system, question_id] = LabelRow(label, "ann", "2026-11-22T14:30:00.000Z")
        self.agreement = {
            "labels": len(self.labels), "needed": 50, "threshold": 0.6, "judge": None,
            "facts_people": {"n": len(self.labels), "agree": 1.0, "kappa": None, "low": None,
                             "high": None},
        }  # fmt: skip
