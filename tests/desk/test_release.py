"""Comparing two versions: data, configuration, and answers on the same questions."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Refused
from core.evaluation.compare import compare_scores
from core.registry.comparing import differences
from tui.desk.release import headline


def scores(grades: str, golden: str = "g", system: str = "tuned") -> dict[str, Any]:
    rows = [
        {
            "id": f"q{n}",
            "system": system,
            "category": "software",
            "question": f"Q{n}?",
            "answer": f"A{n}{g}",
            "grade": {"+": "correct", "-": "incorrect", "0": "not_attempted"}[g],
        }
        for n, g in enumerate(grades)
    ]
    return {"golden": {"sha256": golden, "n": len(rows)}, "questions": rows}


def test_flips_are_paired_and_regressions_are_listed() -> None:
    result = compare_scores(scores("++--0+"), scores("+--+++"))
    assert result["n"] == 6
    assert (result["accuracy"]["a"]["k"], result["accuracy"]["b"]["k"]) == (3, 4)
    assert [f["id"] for f in result["flips"]["regressions"]] == ["q1"]
    assert [f["id"] for f in result["flips"]["improvements"]] == ["q3", "q4"]
    assert result["p_value"] == pytest.approx(1.0)


def test_ten_regressions_and_no_improvement_are_significant() -> None:
    result = compare_scores(scores("+" * 10), scores("-" * 10))
    assert result["p_value"] == pytest.approx(2 / 2**10)


def test_other_golden_sets_are_not_compared() -> None:
    with pytest.raises(Refused):
        compare_scores(scores("+"), scores("+", golden="h"))


def test_only_what_both_answered_counts() -> None:
    result = compare_scores(scores("+++"), scores("-"))
    assert result["n"] == 1


def test_differences_name_dotted_keys() -> None:
    a = {"lora": {"r": 16, "alpha": 32}, "train": {"epochs": 6}, "old": 1}
    b = {"lora": {"r": 64, "alpha": 32}, "train": {"epochs": 6}, "new": None}
    assert differences(a, b) == {"lora.r": [16, 64], "old": [1, None]}


def test_headline_of_an_evaluation_without_a_tuned_system_is_empty() -> None:
    assert headline({"systems": {"base": {}}}) == {}
    assert headline({"systems": {"tuned": {"accuracy": {"estimate": 0.5}}}})["accuracy"] == 0.5
