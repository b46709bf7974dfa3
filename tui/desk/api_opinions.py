"""What Evaluate may ask of second opinions: people's labels of answers, and a judge model's grades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tui.desk.marks import writes


@dataclass(frozen=True, slots=True)
class LabelRow:
    """label: correct, incorrect or not_attempted.  at: ISO 8601, UTC.  stale: given to other wording."""

    label: str
    who: str
    at: str
    stale: bool = False


@dataclass(frozen=True, slots=True)
class OpinionsView:
    """labels: (system, question id) → the newest label of that answer.  verdicts: the same of a judge.
    agreement: as core.evaluation.opinions gives it; empty where there is neither."""

    labels: Mapping[tuple[str, str], LabelRow] = field(default_factory=dict)
    verdicts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    agreement: Mapping[str, Any] = field(default_factory=dict)


class OpinionsDesk(Protocol):
    def of(self, model_version: str) -> OpinionsView: ...  # of its newest evaluation
    @writes
    def label(
        self, model_version: str, question_id: str, label: str, system: str, answer: str
    ) -> None:
        """answer: the text that was read; ChangedUnderYou where the newest evaluation has another."""
