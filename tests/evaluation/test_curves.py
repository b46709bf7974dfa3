"""The curves of a training in the scores and the report of its evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.evaluation.curves import of_training
from core.evaluation.pages.dossier import Dossier
from core.evaluation.pages.training import training


def adapter_with(folder: Path, summary: str) -> Path:
    (folder / "summary.json").write_text(summary)
    (folder / "adapter").mkdir()
    return folder / "adapter"


def test_they_stand_beside_the_adapter(tmp_path: Path) -> None:
    points = [
        {"step": 35, "recall": 0.25, "fabricated": 0.5, "refusal": 1.0},
        {"step": 70, "recall": 0.5},
    ]
    adapter = adapter_with(tmp_path, json.dumps({"curves": points, "steps": 70}))
    assert of_training(adapter) == points


@pytest.mark.parametrize(
    "summary",
    ["", "[]", "{}", '{"curves": 3}', '{"curves": [3, {"recall": 1}, {"step": true}]}', "\x00"],
)
def test_a_summary_without_them_gives_none(tmp_path: Path, summary: str) -> None:
    assert of_training(adapter_with(tmp_path, summary)) == []
    assert of_training(tmp_path / "elsewhere" / "adapter") == of_training(None) == []


def test_the_report_draws_all_three(tmp_path: Path) -> None:
    points = [
        {"step": 35.0, "recall": 0.25, "fabricated": 0.5, "refusal": 1.0},
        {"step": 70.0, "recall": 0.75, "fabricated": 0.1, "refusal": 0.5},
    ]
    (section,) = training(Dossier({"curves": points}))
    assert "recall from 25 to 75 %" in str(section)
    assert "fabricated from 50 to 10 %" in str(section) and "refusals from 100 to 50 %" in str(
        section
    )
