"""Judging stored scores by the gates they were built with gives what was built."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import UsageError
from core.evaluation.rejudge import rejudge
from tests.evaluation.parts import DEFERS, perfect
from tests.evaluation.test_scores import GATES, answers, build, questions


@pytest.mark.parametrize("n", [5, 60])
@pytest.mark.parametrize("tuned", ["perfect", "defers"])
@pytest.mark.parametrize("retrieval", [True, False])
def test_the_same_gates_say_the_same(n: int, tuned: str, retrieval: bool) -> None:
    qs = questions(n)
    systems = {"tuned": answers(qs, perfect if tuned == "perfect" else lambda q: DEFERS)}
    if retrieval:
        systems["retrieval"] = answers(qs, perfect)
    stored: dict[str, Any] = json.loads(json.dumps(build(qs, systems)))
    verdict, results = rejudge(stored, GATES)
    assert verdict == stored["verdict"]
    assert [r.as_dict() for r in results] == stored["gates"]


@pytest.mark.parametrize("scores", [{}, {"systems": None}, {"systems": {"base": {}}}])
def test_without_a_candidate_there_is_nothing_to_judge(scores: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no system"):
        rejudge(scores, GATES)


@pytest.mark.parametrize("broken", [None, [], "x", {"accuracy": {"k": 9, "n": 3}}, {"accuracy": 1}])
def test_what_is_not_measured_is_no_pass(broken: Any) -> None:
    verdict, results = rejudge({"systems": {"tuned": broken}}, GATES)
    assert verdict == "UNDECIDED" and {r.verdict for r in results} == {"UNDECIDED"}
