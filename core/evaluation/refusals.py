"""Who deferred, and who should have.

                      deferred          did not
    should defer      deferred_right    answered_wrongly
    answerable        false_refusals    answered

A question should be deferred when only a live tool can answer it, or when there is no answer; on the
first kind deferring means an explicit statement and a next step, on the second a statement is
enough. An answerable question is falsely refused when it was not attempted, an empty answer included.
A system that always defers fills the left column and one that never does the right one, so the mean
of the two rows' rates ("balanced") is 0.5 for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.evaluation.metrics import Scored


@dataclass(frozen=True, slots=True)
class DeferralTable:
    """Counts of answers. balanced: 0..1, None unless both rows have questions."""

    deferred_right: int
    answered_wrongly: int
    false_refusals: int
    answered: int

    @property
    def balanced(self) -> float | None:
        should, answerable = (
            self.deferred_right + self.answered_wrongly,
            self.false_refusals + self.answered,
        )
        if not should or not answerable:
            return None
        return (self.deferred_right / should + self.answered / answerable) / 2

    def as_dict(self) -> dict[str, Any]:
        return {
            "deferred_right": self.deferred_right,
            "answered_wrongly": self.answered_wrongly,
            "false_refusals": self.false_refusals,
            "answered": self.answered,
            "balanced": self.balanced,
        }


def table(rows: Sequence[Scored]) -> DeferralTable:
    should = [r for r in rows if r.expects != "answer"]
    answerable = [r for r in rows if r.expects == "answer"]
    right = sum(r.graded.deferred for r in should)
    refused = sum(is_false_refusal(r) for r in answerable)
    return DeferralTable(right, len(should) - right, refused, len(answerable) - refused)


def is_false_refusal(row: Scored) -> bool:
    """An answerable question that was not attempted."""
    return row.expects == "answer" and row.graded.grade == "not_attempted"


def names_tool(row: Scored) -> bool:
    """A right live tool is named, whatever else the answer says."""
    return bool(row.graded.deferral.right_tool)


def invents(row: Scored) -> bool:
    """A canary (a resource that does not exist) is described instead of declined. Silence is no
    invention.
    """
    graded = row.graded
    silent = graded.grade == "not_attempted"
    return not silent and (not graded.deferred or bool(graded.forbidden))
