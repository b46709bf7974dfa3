"""Every wrong answer has one cause, by stated rules; severe regressions need a person."""

from __future__ import annotations

from typing import Any

import pytest

from core.evaluation.answers import Answer
from core.evaluation.compare import compare_scores
from core.evaluation.flips import Flips
from core.evaluation.gates import gates_from
from core.evaluation.regressions import regressions
from core.evaluation.rejudge import rejudge
from core.paging import Part
from tests.evaluation.parts import DEFERS, RIGHT, live, number, perfect, question
from tests.evaluation.test_scores import FABRICATED, GATES, answers, build, questions, verdicts

MEMORY = question([number(256, "GB")], id="s0", forbidden=["512 nodes"])
BOTH = question(
    [number(2488, "nodes"), number(1000, "nodes")],
    id="c0",
    asked="How many CPU nodes have Derecho and Anvil?",
    expected="Derecho has 2,488 CPU nodes, Anvil 1,000.",
)


def cause(said: str, q: Any = MEMORY, finish: str = "", before: str | None = None) -> str | None:
    systems = {"tuned": {q.id: Answer(q.id, said, finish=finish)}}
    if before is not None:
        systems["previous"] = {q.id: Answer(q.id, before)}
    d = build([q], systems)
    (row,) = [r for r in d["questions"] if r["system"] == "tuned"]
    counts = d["causes"]["tuned"]
    assert sum(counts.values()) == (row["cause"] is not None)
    assert row["cause"] is None or counts[row["cause"]] == 1
    return None if row["cause"] is None else str(row["cause"])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (perfect(MEMORY), None),
        ("It has some memory.", "never_learned"),
        ("It has 999 GB of memory.", "invented"),
        (f"It has a lot. {FABRICATED}", "invented"),
        ("It has 256 GB on 512 nodes.", "invented"),
        ("I do not know.", "refused"),
        ("", "refused"),
        (DEFERS, "refused"),
    ],
)
def test_causes_of_one_answer(said: str, expected: str | None) -> None:
    assert cause(said) == expected


def test_cut_off_forgotten_and_misplaced() -> None:
    assert cause("The memory of a CPU node", finish="length") == "cut_off"
    assert cause(perfect(MEMORY), finish="length") is None
    assert cause("It has some memory.", before=perfect(MEMORY)) == "forgotten"
    assert cause("It has some memory.", before="It has some memory.") == "never_learned"
    assert cause("I do not know.", before=perfect(MEMORY)) == "refused"
    assert cause("Derecho has 1,000 CPU nodes, Anvil 2,488.", BOTH) == "wrong_attribute"
    assert cause("Delta is up.", live()) == "invented"
    assert cause("That needs live data from `search_events`.", live()) == "wrong_attribute"
    assert cause("I cannot answer that.", live()) == "refused"


def test_the_version_before_forgets_nothing_against_itself() -> None:
    qs = [MEMORY]
    d = build(qs, {"previous": answers(qs, lambda q: "It has some memory.")})
    assert d["candidate"] == "previous" and d["causes"]["previous"]["never_learned"] == 1
    assert "regressions" not in verdicts(d)


# ── severe regressions ──────────────────────────────────────────────────────────────────────────


def against(say: Any) -> dict[str, Any]:
    qs = questions()
    return build(
        qs,
        {
            "tuned": answers(qs, say),
            "previous": answers(qs, perfect),
            "retrieval": answers(qs, lambda q: DEFERS),
        },
    )


def test_a_severe_regression_needs_a_person_though_all_else_passes() -> None:
    twofold = f"It has 103 GB of memory, or 7 GB of memory. {RIGHT}"
    d = against(lambda q: twofold if q.id == "s3" else perfect(q))
    v = verdicts(d)
    assert v.pop("regressions") == "UNDECIDED" and set(v.values()) == {"PASS"}
    assert d["verdict"] == "UNDECIDED"
    gate = next(g for g in d["gates"] if g["gate"] == "regressions")
    assert "s3" in gate["detail"] and gate["n_needed"] is None
    assert any("person must look" in line for line in d["headline"])


def test_a_right_answer_that_now_invents_its_source_is_severe() -> None:
    d = against(lambda q: f"{q.expected_answer} {FABRICATED}" if q.id == "s3" else perfect(q))
    found = regressions(d["questions"], "tuned")
    assert found is not None and found.severe == ("s3",) and found.lost == ()


def test_saying_nothing_is_a_regression_but_no_severe_one() -> None:
    d = against(lambda q: "" if q.id == "s3" else perfect(q))
    found = regressions(d["questions"], "tuned")
    assert found is not None and (found.lost, found.severe, found.n) == (("s3",), (), 180)
    assert verdicts(d)["regressions"] == "PASS" and d["verdict"] == "GO"


def test_without_a_previous_version_there_is_no_such_gate() -> None:
    qs = questions(5, 5)
    d = build(qs, {"tuned": answers(qs, perfect)})
    assert "regressions" not in verdicts(d)
    assert regressions(d["questions"], "tuned") is None
    off = gates_from({**GATES.model_dump(mode="json"), "regressions": None})
    _, results = rejudge(against(lambda q: FABRICATED), off)
    assert "regressions" not in {r.gate for r in results}


def test_stored_scores_of_before_these_fields_are_judged_as_before() -> None:
    d = against(perfect)
    for name in ("category_metrics", "deferral_table", "causes", "canaries", "confabulated"):
        del d[name]
    for c in d["comparisons"].values():
        for name in ("holm_p", "mdd", "bootstrap", "categories"):
            del c[name]
    for row in d["questions"]:
        del row["cause"], row["cluster"], row["confabulated"]
    verdict, results = rejudge(d, GATES)
    assert verdict == d["verdict"] == "GO"
    assert {r.gate: r.verdict for r in results} == verdicts(d)


# ── two stored versions ─────────────────────────────────────────────────────────────────────────


def test_flips_of_two_versions_severe_regressions_first() -> None:
    qs = questions(30, 10)
    first = build(qs, {"tuned": answers(qs, lambda q: "" if q.id == "s9" else perfect(q))})
    said = {"s1": "", "s5": f"It has 7 GB of memory, or 105 GB of memory. {RIGHT}"}
    second = build(qs, {"tuned": answers(qs, lambda q: said.get(q.id, perfect(q)))})
    found = compare_scores(first, second)
    assert [f["id"] for f in found["flips"]["regressions"]] == ["s5", "s1"]
    assert [f["severe"] for f in found["flips"]["regressions"]] == [True, False]
    assert [f["cause"] for f in found["flips"]["regressions"]] == ["invented", "refused"]
    assert found["flips"]["severe"] == ["s5"]
    assert [f["id"] for f in found["flips"]["improvements"]] == ["s9"]
    assert found["difference"]["difference"] == pytest.approx(-1 / 40)
    assert found["difference"]["low"] < 0 < found["difference"]["high"]
    assert found["categories"]["software"]["losses"] == 1
    assert found["causes"] == {"a": {"refused": 1}, "b": {"invented": 1, "refused": 1}}


def test_flips_come_page_by_page_with_what_misleads_first() -> None:
    qs = questions(30, 10)
    first = build(qs, {"tuned": answers(qs, lambda q: "" if q.id == "s9" else perfect(q))})
    said = {
        "s1": "",
        "s3": f"{qs[3].expected_answer} {FABRICATED}",
        "s5": f"It has 7 GB of memory, or 105 GB of memory. {RIGHT}",
    }
    second = build(qs, {"tuned": answers(qs, lambda q: said.get(q.id, perfect(q)))})
    flips = Flips.between(compare_scores(first, second))
    assert [(f.id, f.kind, f.severe) for f in flips.all] == [
        ("s5", "regression", True),
        ("s3", "invented", True),
        ("s1", "regression", False),
        ("s9", "improvement", False),
    ]
    pages = [flips.page(Part(), at, 2) for at in (0, 2, 4)]
    assert [f.id for page in pages for f in page] == ["s5", "s3", "s1", "s9"]
    assert flips.count(Part("severe")) == 2 and flips.count(Part("!severe")) == 2
    assert flips.index_of(Part("severe"), "s3") == 1
    assert flips.index_of(Part("severe"), "s9") is None
    by_id = [f.id for f in flips.page(Part("", "id", descending=True), 0, 9)]
    assert by_id == ["s9", "s5", "s3", "s1"]
    assert Flips.between({}).all == []
