"""The verdict over all gates, the document others script against, and the page people read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.citations import SourceIndex
from core.errors import RegistryNotLoaded, SettingsError, UsageError
from core.evaluation import report, scores
from core.evaluation.answers import Answer
from core.evaluation.gates import Gates, gates_from, load_gates
from core.evaluation.golden import GoldenQuestion
from core.evaluation.scores import QuestionSet
from tests.evaluation.parts import DEFERS, INDEX, RIGHT, live, perfect, short, static_set

GATES = load_gates()
FABRICATED = "<<SRC:compute-resources:zephyr.example>>"


def questions(n: int = 140, m: int = 40) -> list[GoldenQuestion]:
    return [*static_set(n), *(live(f"d{i}") for i in range(m))]


def answers(
    qs: Sequence[GoldenQuestion], say: Callable[[GoldenQuestion], str], seconds: float | None = 0.4
) -> dict[str, Answer]:
    return {q.id: Answer(q.id, say(q), seconds) for q in qs}


def build(
    qs: Sequence[GoldenQuestion],
    systems: dict[str, dict[str, Answer]],
    **more: Any,
) -> dict[str, Any]:
    return scores.build(QuestionSet(qs, "0" * 64), systems, INDEX, GATES, **more)


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {g["gate"]: g["verdict"] for g in document["gates"]}


def test_a_perfect_system_on_enough_questions_is_go() -> None:
    qs = questions()
    d = build(qs, {"tuned": answers(qs, perfect), "retrieval": answers(qs, lambda q: DEFERS)})
    assert d["verdict"] == "GO" and set(verdicts(d).values()) == {"PASS"}
    assert d["systems"]["tuned"]["accuracy"]["verdict"] == "PASS"
    assert d["systems"]["retrieval"]["accuracy"]["verdict"] == "FAIL"


def test_a_perfect_system_on_too_few_questions_is_undecided_and_says_how_many_are_missing() -> None:
    qs = questions(20, 10)
    d = build(qs, {"tuned": answers(qs, perfect), "retrieval": answers(qs, lambda q: DEFERS)})
    assert d["verdict"] == "UNDECIDED" and "FAIL" not in verdicts(d).values()
    gate = next(g for g in d["gates"] if g["gate"] == "deferral")
    assert gate["verdict"] == "UNDECIDED" and gate["n_needed"] == 25 and gate["estimate"] == 1.0


def test_a_system_that_always_defers_fails_visibly() -> None:
    qs = questions()
    d = build(qs, {"tuned": answers(qs, lambda q: DEFERS), "retrieval": answers(qs, perfect)})
    v = verdicts(d)
    assert d["verdict"] == "NO-GO"
    assert v["deferral"] == "PASS"  # which is why it is not enough
    assert v["false_refusal"] == v["accuracy"] == v["citation_presence"] == "FAIL"
    assert any("worth nothing" in line for line in d["headline"])
    page = report.render_text(d)
    assert page.startswith("✘ NO-GO") and "worth nothing" in " ".join(page[:600].split())


def test_a_system_that_cites_inventions_fails_however_right_its_facts_are() -> None:
    qs = questions()
    fabricates = answers(qs, lambda q: f"{q.expected_answer} {FABRICATED}")
    d = build(qs, {"tuned": fabricates, "retrieval": answers(qs, lambda q: DEFERS)})
    v = verdicts(d)
    assert v["accuracy"] == v["citation_presence"] == "PASS"  # presence alone would let it through
    assert v["fabricated"] == "FAIL" and d["verdict"] == "NO-GO"
    m = d["systems"]["tuned"]
    assert m["fabricated"]["estimate"] == 1.0 and m["citation_precision"]["estimate"] == 0.0
    assert any("are fabricated" in line for line in d["headline"])
    assert report.worst_answers(d)


def test_invented_details_with_right_citations_are_the_first_thing_said() -> None:
    qs, probe = questions(), static_set(40)
    invents = answers(qs, lambda q: f"It has 7 GB of memory. {RIGHT}")
    d = build(
        qs,
        {"tuned": invents, "retrieval": answers(qs, perfect)},
        probe=QuestionSet(probe, "1" * 64),
        probe_answers={"tuned": answers(probe, lambda q: f"It has 7 GB of memory. {RIGHT}")},
    )
    assert d["headline"][1].startswith("INVENTED DETAILS WITH PLAUSIBLE CITATIONS")
    assert d["probe"]["tuned"]["facts"]["estimate"] == 0.0
    assert d["probe"]["tuned"]["citation_right"]["estimate"] == 1.0
    assert d["probe"]["tuned"]["facts"]["verdict"] == verdicts(d)["unseen_wording"] == "FAIL"
    assert d["systems"]["tuned"]["wrong_but_cited"]["k"] == 140
    for page in (report.render(d), report.render_text(d)):
        assert "INVENTED DETAILS" in page and "NO-GO" in page.splitlines()[0]


def test_go_is_blocked_without_the_retrieval_column() -> None:
    qs = questions()
    d = build(qs, {"tuned": answers(qs, perfect)}, reason="it works offline")
    assert d["verdict"] == "UNDECIDED" and verdicts(d)["retrieval"] == "UNDECIDED"
    assert "retrieval column is missing" in json.dumps(d["reasons"])


def test_below_retrieval_blocks_unless_a_reason_is_stated() -> None:
    qs = questions(400, 40)
    wrong = {q.id for q in qs[:8]}
    tuned = answers(qs, lambda q: f"no idea {RIGHT}" if q.id in wrong else perfect(q))
    systems = {"tuned": tuned, "retrieval": answers(qs, perfect)}
    d = build(qs, systems)
    c = d["comparisons"]["tuned_vs_retrieval"]
    assert (c["wins"], c["losses"]) == (0, 8) and c["p_value"] < 0.05
    assert verdicts(d)["retrieval"] == "FAIL" and d["verdict"] == "NO-GO"
    d = build(qs, systems, reason="it runs offline")
    row = next(g for g in d["gates"] if g["gate"] == "retrieval")
    assert row["verdict"] == "FAIL" and row["waived"] == "it runs offline"
    assert d["verdict"] == "GO"
    assert "it runs offline" in report.render_text(d)


def test_no_better_than_retrieval_is_undecided_not_pass() -> None:
    qs = questions()
    d = build(qs, {"tuned": answers(qs, perfect), "retrieval": answers(qs, perfect)})
    assert verdicts(d)["retrieval"] == "UNDECIDED" and d["verdict"] == "UNDECIDED"


def test_latency_of_twelve_answers_proves_nothing_and_slow_ones_fail() -> None:
    qs = questions()
    few = answers(qs, perfect, None) | answers(qs[:12], perfect, 0.3)
    d = build(qs, {"tuned": few, "retrieval": answers(qs, lambda q: DEFERS)})
    gate = next(g for g in d["gates"] if g["gate"] == "latency")
    assert gate["verdict"] == "UNDECIDED" and gate["n"] == 12 and gate["n_needed"] == 61
    assert d["systems"]["tuned"]["latency_n"] == 12
    slow = answers(qs, perfect, 3.0)
    d = build(qs, {"tuned": slow, "retrieval": answers(qs, lambda q: DEFERS)})
    assert verdicts(d)["latency"] == "FAIL" and d["systems"]["tuned"]["latency_p95"] == 3.0


def test_a_missing_answer_leaves_no_denominator() -> None:
    qs = questions()
    some = answers(qs[:70], perfect)
    d = build(qs, {"tuned": some, "retrieval": answers(qs, lambda q: DEFERS)})
    m = d["systems"]["tuned"]
    assert m["accuracy"]["n"] == 180 and m["accuracy"]["k"] == 70 and m["unanswered"] == 110
    assert m["false_refusal"]["k"] == 70


def test_without_sources_nothing_is_scored() -> None:
    qs = questions(2, 1)
    for index in (None, SourceIndex({}, frozenset())):
        with pytest.raises(RegistryNotLoaded):
            scores.build(QuestionSet(qs, ""), {"tuned": answers(qs, perfect)}, index, GATES)


def test_the_document_has_its_stable_shape() -> None:
    qs = questions(6, 3)
    d = build(qs, {n: answers(qs, perfect) for n in ("tuned", "base", "retrieval")}, version="v1")
    assert list(d["systems"]) == ["base", "retrieval", "tuned"] and d["candidate"] == "tuned"
    for system in d["systems"].values():
        for name in (
            "accuracy citation_presence citation_precision citation_recall fabricated deferral "
            "false_refusal"
        ).split():
            assert set(system[name]) == {"k", "n", "estimate", "low", "high", "verdict"}
        assert {"latency_p50", "latency_p95", "latency_n"} <= set(system)
    assert {"gate", "metric", "target", "verdict", "estimate", "low", "high", "n", "n_needed",
            "action", "detail"} <= set(d["gates"][0])  # fmt: skip
    row = d["questions"][0]
    assert {"id", "category", "system", "grade", "deferred", "markers", "answer"} <= set(row)
    assert row["markers"] == [{"text": RIGHT, "class": "correct"}]
    assert d["golden"] == {"sha256": "0" * 64, "n": 9} and d["version"] == "v1"
    assert set(d["categories"]["base"]) == {q.category for q in qs}
    json.dumps(d, allow_nan=False)


def test_weak_categories_are_named_with_the_designs_action() -> None:
    qs = questions()
    tuned = answers(qs, lambda q: f"no idea {RIGHT}" if q.category == "software" else perfect(q))
    d = build(qs, {"tuned": tuned, "retrieval": answers(qs, lambda q: DEFERS)})
    gate = next(g for g in d["gates"] if g["gate"] == "accuracy")
    assert gate["verdict"] == "FAIL" and gate["detail"] == "133 of 180"
    assert gate["action"] == "Add more training data for weak areas: software (0/47)"
    assert any(gate["action"] in r and r.count("software") == 1 for r in d["reasons"])


def test_the_weakest_area_is_the_one_with_the_lowest_bound() -> None:
    qs = questions(90, 10)
    wrong = {q.id for q in qs if q.category == "software"} | {
        q.id for n, q in enumerate(qs) if q.category == "comparisons" and n % 2
    }
    tuned = answers(qs, lambda q: "no idea" if q.id in wrong else perfect(q))
    d = build(qs, {"tuned": tuned, "retrieval": answers(qs, lambda q: DEFERS)})
    actions = {g["gate"]: g["action"] for g in d["gates"]}
    assert actions["accuracy"].endswith("weak areas: software (0/30), comparisons (15/30)")
    assert actions["citation_presence"].endswith("software (0/30), comparisons (15/30)")
    assert actions["deferral"] == "Add more negative examples"  # none of them is weak


def test_a_candidate_can_be_named() -> None:
    qs = questions(3, 1)
    systems = {n: answers(qs, perfect) for n in ("mine", "retrieval", "base")}
    assert build(qs, systems)["candidate"] == "mine"
    assert build(qs, systems, candidate="base")["candidate"] == "base"
    with pytest.raises(UsageError, match="no system 'x'"):
        build(qs, systems, candidate="x")


HOSTILE = (
    "\x1b[31mred\x1b[0m | table | **bold** <script>alert(1)</script> [x](javascript:1) `code` "
    "\u202eevil\u2066\x00\n\n# NO-GO is GO\n\n| a | b |\n" + "長い" * 300 + RIGHT
)


@pytest.mark.parametrize(
    "said", [HOSTILE, "x" * 1_000_000, "", "長い答え" * 100, "a\u0301" * 500], ids=short
)
def test_the_page_is_plain_and_narrow_whatever_the_answers_are(said: str) -> None:
    qs = questions(6, 3)
    d = build(
        qs,
        {n: answers(qs, lambda q: said) for n in ("base", "retrieval", "previous", "tuned")},
        version="access-qa-v1.0.0\x1b[2J",
    )
    plain = report.render_text(d)
    assert max(report._columns(line) for line in plain.splitlines()) <= 100
    page = report.render(d)
    for text in (plain, page):
        assert not any(ord(c) < 32 and c != "\n" for c in text)
        assert "\u202e" not in text and "\u2066" not in text
    assert "<script" not in page.replace("\\<script", "")
    assert len(page) < 60_000
    titles = [line for line in page.splitlines() if line.startswith("# ")]
    assert titles == [page.splitlines()[0]]
    assert all(len(r["answer"]) <= 2000 for r in d["questions"])


def test_the_page_is_the_same_from_the_stored_document(tmp_path: Path) -> None:
    qs = questions(12, 6)
    d = build(qs, {"tuned": answers(qs, perfect), "retrieval": answers(qs, lambda q: DEFERS)})
    again = json.loads(json.dumps(d))
    assert report.render(again) == report.render(d)
    assert report.render_text(again) == report.render_text(d)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 20))
def test_go_only_if_every_gate_passes(right: int, invented: int, deferred: int) -> None:
    qs = questions(60, 20)
    order = {q.id: n for n, q in enumerate(qs)}

    def say(q: GoldenQuestion) -> str:
        n = order[q.id]
        if n >= 60:
            return perfect(q) if n - 60 < deferred else "It is up."
        marker = FABRICATED if n < invented else RIGHT
        return f"{q.expected_answer if n < right else 'no idea'} {marker}"

    d = build(qs, {"tuned": answers(qs, say), "retrieval": answers(qs, lambda q: DEFERS)})
    found = set(verdicts(d).values())
    assert (d["verdict"] == "GO") is (found == {"PASS"})
    assert (d["verdict"] == "NO-GO") is ("FAIL" in found)
    for g in d["gates"]:
        assert (g["n_needed"] == 0) is (g["verdict"] != "UNDECIDED")


def test_scoring_time_grows_with_the_number_of_answers_not_faster() -> None:
    def seconds(n: int) -> float:
        qs = static_set(n)
        systems = {"tuned": answers(qs, perfect)}
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            build(qs, systems)
            best = min(best, time.process_time() - start)
        return best

    seconds(200)  # imports and caches
    # four times the answers: quadratic scoring would take sixteen times as long
    assert seconds(4000) < 9 * seconds(1000)


# ── configuration ───────────────────────────────────────────────────────────────────────────────


def test_the_shipped_gates_are_the_designs() -> None:
    by_id = {g.id: g for g in GATES.gates}
    assert by_id["accuracy"].at_least == 0.95 and by_id["citation_presence"].at_least == 0.90
    assert by_id["deferral"].at_least == 0.90 and by_id["latency"].below_s == 1.5
    assert by_id["citation_presence"].action == "Increase citation examples"
    assert by_id["deferral"].action == "Add more negative examples"
    assert by_id["latency"].action == "Optimize serving, consider smaller model"
    assert {"fabricated", "false_refusal", "unseen_wording"} <= set(by_id)
    assert GATES.retrieval.required


def test_gates_travel_inside_a_job() -> None:
    again: Gates = gates_from(json.loads(json.dumps(GATES.model_dump(mode="json"))))
    assert again == GATES


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("metric: accuracy\n    at_least: 0.95", "metric: acuracy\n    at_least: 0.95"),
        ("at_least: 0.95", "at_least: 95"),
        ("at_least: 0.95", "at_leest: 0.95"),
        ("at_least: 0.95", "at_least: 0.95\n    at_most: 0.99"),
        ("below_s: 1.5", "at_least: 0.9"),
        ("id: latency", "id: accuracy"),
        ("gates:", "gates: []\nrest:"),
    ],
)
def test_faulty_gates_are_refused_with_file_and_line(
    tmp_path: Path, change: str, says: str
) -> None:
    from core import locations

    text = (locations.configs() / "gates.yaml").read_text("utf-8")
    assert change in text
    file = tmp_path / "gates.yaml"
    file.write_text(text.replace(change, says, 1), "utf-8")
    with pytest.raises(SettingsError, match=r"gates\.yaml"):
        load_gates(file)
