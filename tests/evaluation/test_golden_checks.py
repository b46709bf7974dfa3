"""What `check` has to say about a golden set: labels, balance, alike questions, trained wording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.evaluation.golden.checks import Finding, check
from core.evaluation.golden.known import tools_of
from core.evaluation.golden.sets import Mount
from core.pairs import Message
from tests.core.conftest import make_pair
from tests.evaluation.parts import DELTA, live, number, question, write_golden, write_rows

ITEM = question([number(256, "GB")])


def found(tmp_path: Path, *rows: dict[str, Any], **more: Any) -> list[Finding]:
    report = check([Mount(write_rows(tmp_path / "g.jsonl", rows))], **more)
    assert not report.faults
    return [f for f in report.findings if f.kind not in ("balance", "paraphrases")]


def test_a_sound_row_has_no_findings(tmp_path: Path) -> None:
    known = {"sources": {DELTA}, "tools": {"get_infrastructure_news"}}
    assert found(tmp_path, ITEM.as_row(), live().as_row(), **known) == []


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"expected_answer": "It has 128 GB."}, "label", "own expected answer"),
        ({"key_facts": []}, "label", "looser rule"),
        ({"expected_sources": []}, "label", "no source is right"),
        ({"key_facts": [number(256, "GBB")]}, "unit", "no measured unit"),
        ({"key_facts": [number(256, "GB", tolerance=0.5)]}, "tolerance", "50% off"),
        ({"expected_sources": [DELTA + "x"]}, "source", "no source that is known"),
        ({"expected_tools": ["get_infrastructur_news"]}, "tool", "no tool that is known"),
    ],
)
def test_a_weak_label(tmp_path: Path, change: dict[str, Any], kind: str, says: str) -> None:
    row = ITEM.as_row() | change
    findings = found(tmp_path, row, sources={DELTA}, tools={"get_infrastructure_news"})
    (one,) = [f for f in findings if f.kind == kind]
    assert one.id == "q1" and says in one.what and one.try_next
    if kind in ("unit", "source", "tool"):
        assert "did you mean" in one.try_next


def test_a_deferral_without_a_tool(tmp_path: Path) -> None:
    row = live().as_row() | {"expected_tools": []}
    assert [(f.kind, f.id) for f in found(tmp_path, row)] == [("tool", "d1")]


def test_balance_and_paraphrases_are_told(tmp_path: Path) -> None:
    path = write_golden(tmp_path / "g.jsonl", [ITEM])
    report = check([Mount(path)])
    told = {f.kind: f for f in report.findings}
    assert "1 questions in resource_specs, the design asks for 40" in str(report.findings)
    assert told["paraphrases"].id == "q1"
    assert any("too few to decide" in f.what for f in report.findings)
    assert report.contamination is None


def test_alike_questions_inside(tmp_path: Path) -> None:
    twin = ITEM.as_row() | {"id": "q2", "question": "How much memory do CPU nodes of Delta have?"}
    close = ITEM.as_row() | {"paraphrases": ["How much memory has a Delta CPU node?"]}
    (one,) = found(tmp_path, ITEM.as_row(), twin)
    assert (one.kind, one.id) == ("alike", "q1") and "'q2'" in one.what and "drop" in one.try_next
    (one,) = found(tmp_path, close)
    assert (one.kind, one.id) == ("alike", "q1") and "other words" in one.try_next


def pair(asked: str, answer: str, **data: Any) -> Any:
    turns = (Message("user", asked), Message("assistant", answer))
    return make_pair(1, messages=turns, metadata={"source_data": data})


def test_trained_wording_is_found_in_paraphrases_too(tmp_path: Path) -> None:
    row = ITEM.as_row() | {"paraphrases": ["RAM per Delta node?", "Size of main memory at Delta?"]}
    trained = [pair("ram per delta node", f"256 GB. <<SRC:{DELTA}>>")]
    path = write_rows(tmp_path / "g.jsonl", [row])
    report = check([Mount(path)], pairs=trained)
    (one,) = [f for f in report.findings if f.kind == "trained"]
    assert one.id == "q1~1" and trained[0].id in one.what
    assert report.contamination is not None
    assert report.contamination.strata["trained fact, trained wording"] == 1
    (close,) = report.near_duplicates
    assert (close.golden_id, close.training_question) == ("q1~1", "ram per delta node")
    told = json.loads(json.dumps(report.as_json(), default=vars))
    assert told["near_duplicates"][0]["golden"] == 1
    assert [i["golden_id"] for i in told["contamination"]["items"]] == ["q1~1"]


def test_a_canary_whose_every_word_is_trained_is_none(tmp_path: Path) -> None:
    canary = {
        "expected_answer": "I know of no ACCESS resource called Quux.",
        "question": "Cores of Quux?",
        "key_facts": [],
        "expected_sources": [],
        "citation_expected": False,
        "category": "edge_cases",
        "canary": True,
    }
    row = ITEM.as_row() | canary
    harmless = [pair("How many cores has Delta?", "128 cores.")]
    assert found(tmp_path, row, pairs=harmless) == []
    (one,) = found(tmp_path, row, pairs=[*harmless, pair("What?", "Quux is fine.")])
    assert one.kind == "canary" and "training data" in one.what
    (one,) = found(tmp_path, row | {"expected_answer": "Quux has 12 cores."})
    assert one.kind == "canary" and "does not say that it is unknown" in one.what


def test_faults_are_returned_with_the_good_rows_looked_at(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM.as_row(), {"id": "bad"}, ITEM.as_row()])
    report = check([Mount(path), Mount(tmp_path / "gone.jsonl")])
    assert {(f.line, f.field) for f in report.faults} >= {(2, "category"), (3, "id"), (0, "")}
    assert report.as_json()["ok"] is False and report.sha256 == "" and len(report.items) == 1
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    (fault,) = check([Mount(empty)]).faults
    assert "holds no question" in fault.what


def test_tools_are_known_from_pairs() -> None:
    labelled = pair("Is it up?", "Ask.", kind="dynamic", expected_tools=["get_news"])
    said = pair("Is it up?", "That needs live data from `search_events`.", kind="dynamic")
    other = pair("What?", "See `not_a_tool` there.", kind="unknown")
    assert tools_of([labelled, said, other]) == {"get_news", "search_events"}
