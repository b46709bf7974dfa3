"""Deferral as a table: systems that always or never defer stand out; canaries; the right tool."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.evaluation.golden import GoldenQuestion
from tests.evaluation.parts import DEFERS, live, perfect, question, static_set
from tests.evaluation.test_scores import answers, build, verdicts

ANSWERS_ALL = "It has 256 GB of memory and is up."


def canary(n: int) -> GoldenQuestion:
    name = f"Zephyr{n}"
    q = question(
        id=f"can-{n}",
        asked=f"How many GPUs has {name}?",
        expected=f"I know of no ACCESS resource called {name}, so I cannot describe it.",
        category="edge_cases",
        sources=(),
        forbidden=["A100"],
    )
    return replace(q, canary=True)


def golden() -> list[GoldenQuestion]:
    return [*static_set(80), *(live(f"d{i}") for i in range(40)), *map(canary, range(20))]


def document(say: Any) -> dict[str, Any]:
    qs = golden()
    return build(qs, {"tuned": answers(qs, say), "retrieval": answers(qs, lambda q: DEFERS)})


def test_one_that_always_defers_fails_visibly() -> None:
    d = document(lambda q: DEFERS)
    table = d["deferral_table"]["tuned"]
    assert table == {
        "deferred_right": 60,
        "answered_wrongly": 0,
        "false_refusals": 80,
        "answered": 0,
        "balanced": 0.5,
    }
    v = verdicts(d)
    assert v["deferral"] == "PASS" and v["false_refusal"] == v["accuracy"] == "FAIL"
    assert d["verdict"] == "NO-GO" and any("worth nothing" in line for line in d["headline"])
    assert d["causes"]["tuned"]["refused"] == 80


def test_one_that_never_defers_fails_visibly() -> None:
    d = document(lambda q: perfect(q) if q.category != "dynamic" and not q.canary else ANSWERS_ALL)
    table = d["deferral_table"]["tuned"]
    assert (table["deferred_right"], table["answered_wrongly"]) == (0, 60)
    assert (table["false_refusals"], table["answered"]) == (0, 80)
    assert table["balanced"] == 0.5
    assert verdicts(d)["deferral"] == "FAIL" and d["verdict"] == "NO-GO"
    assert any("hand over or decline" in line for line in d["headline"])
    assert d["causes"]["tuned"]["invented"] == 60


def test_one_that_defers_where_it_should_is_told_from_both() -> None:
    d = document(perfect)
    assert d["deferral_table"]["tuned"]["balanced"] == 1.0
    assert verdicts(d)["deferral"] == verdicts(d)["false_refusal"] == "PASS"


def test_canaries_count_inventions_and_leave_accuracy_alone() -> None:
    d = document(lambda q: "It has 4 GPUs." if q.canary else perfect(q))
    assert (d["canaries"]["tuned"]["k"], d["canaries"]["tuned"]["n"]) == (20, 20)
    assert d["canaries"]["retrieval"]["k"] == 0
    assert (d["systems"]["tuned"]["accuracy"]["k"], d["systems"]["tuned"]["accuracy"]["n"]) == (
        120,
        120,
    )
    assert "edge_cases" not in d["categories"]["tuned"]
    assert any("do not exist" in line for line in d["headline"])


@pytest.mark.parametrize(
    ("said", "invents"),
    [
        ("I know of no system called Zephyr.", False),
        ("", False),
        ("Zephyr has four GPUs.", True),
        ("I have no information on Zephyr, but its nodes have A100 cards.", True),
    ],
)
def test_what_an_invention_is(said: str, invents: bool) -> None:
    d = document(lambda q: said if q.canary else perfect(q))
    assert d["canaries"]["tuned"]["k"] == (20 if invents else 0)


def test_the_right_tool_counts_whether_or_not_the_question_is_handed_over() -> None:
    said = {
        "d0": DEFERS,
        "d1": "Call `get_infrastructure_news`.",
        "d2": "That needs live data from `search_events`.",
        "d3": "It is up.",
    }
    qs = [live(i) for i in said]
    d = build(qs, {"tuned": answers(qs, lambda q: said[q.id])})
    assert (d["tool_named"]["tuned"]["k"], d["tool_named"]["tuned"]["n"]) == (2, 4)
    right = d["systems"]["tuned"]["right_tool"]
    assert (right["k"], right["n"]) == (1, 2)  # of those that were handed over
