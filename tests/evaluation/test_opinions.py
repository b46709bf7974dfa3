"""People's labels and a judge beside the key facts: what agrees, and that it never decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.errors import NotFound, UsageError
from core.evaluation.opinions import opinions
from core.evaluation.pages import gather
from core.evaluation.pages.compose import compose
from core.evaluation.pages.html import html
from core.evaluation.pages.markdown import markdown
from core.registry import audit, evaluations, judging, open_registry, snapshots, versions
from core.registry.store import utc_now
from core.snapshots import freeze
from tests.core.conftest import make_pair
from tests.evaluation.report_parts import full


def scores(n: int = 60, wrong: int = 20) -> dict[str, Any]:
    return {
        "verdict": "NO-GO",
        "candidate": "tuned",
        "systems": {"tuned": {}, "base": {}},
        "questions": [
            {"system": system, "id": f"q{i}", "question": f"What {i}?", "expected_answer": "x",
             "answer": f"answer {i}", "grade": "incorrect" if i < wrong else "correct"}
            for system in ("base", "tuned")
            for i in range(n)
        ],
    }  # fmt: skip


def grades(s: dict[str, Any], flipped: int = 0) -> dict[str, Any]:
    """As key facts grade the candidate, but for the first `flipped`."""
    rows = [r for r in s["questions"] if r["system"] == "tuned"]
    return {r["id"]: "correct" if i < flipped else r["grade"] for i, r in enumerate(rows)}


def judged(s: dict[str, Any], flipped: int = 0) -> dict[str, Any]:
    return {"judge": "j", "prompt": "ab" * 32, "temperature": 0, "judged_at": "2026-11-22T14:30:00Z",
            "verdicts": {"tuned": grades(s, flipped)}, "unanswered": {"q9": "status 400"}}  # fmt: skip


def of_tuned(given: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {("tuned", name): said for name, said in given.items()}


def page(found: dict[str, Any]) -> str:
    return markdown(compose(replace(full(), opinions=found)))


def test_nothing_is_said_where_nobody_looked() -> None:
    assert opinions(scores(), {}, None) == {}
    assert "Second opinions" not in page({})


def test_labels_alone_tell_how_far_key_facts_hold() -> None:
    s = scores()
    found = opinions(s, of_tuned(grades(s, 6)), None)
    people = found["facts_people"]
    assert found["labels"] == people["n"] == 60 and people["agree"] == pytest.approx(0.9)
    assert people["low"] < people["kappa"] < people["high"] and found["judge"] is None
    assert "60 answers are labelled by people. No judge model was asked." in page(found)


def test_one_answer_of_two_systems_counts_once() -> None:
    s = scores()
    both = {(r["system"], r["id"]): r["grade"] for r in s["questions"]}
    assert opinions(s, both, None)["labels"] == 60


@pytest.mark.parametrize(
    ("labelled", "flipped", "said"),
    [
        (60, 18, "this one reaches 0."),
        (40, 0, "only 40 of at least 50 labels are there"),
        (0, 0, "only 0 of at least 50 labels are there"),
    ],
)
def test_a_judge_that_is_not_trusted_decides_nothing(
    labelled: int, flipped: int, said: str
) -> None:
    s = scores()
    people = dict(list(of_tuned(grades(s)).items())[:labelled])
    found = opinions(s, people, judged(s, flipped))
    assert found["judge"]["trusted"] is False
    text = page(found)
    assert "A judge never gates below a kappa of 0.6" in text and said in text
    assert "its grades decide nothing" in text and "judge and key facts" in text
    assert ("judge and people" in text) is (labelled > 0)
    assert "1 not answered" in text and "temperature 0" in text


def test_even_a_trusted_judge_is_no_gate() -> None:
    s = scores()
    found = opinions(s, of_tuned(grades(s)), judged(s, 1))
    assert found["judge"]["trusted"] is True and "No gate reads it even so" in page(found)
    assert "judge and people" in html(compose(replace(full(), opinions=found)))


def test_labels_are_kept_with_who_and_when_and_found_by_the_answer() -> None:
    with open_registry() as reg:
        pairs = [make_pair(n) for n in range(3)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        name = versions.register(
            reg, base_model="b", dataset_version=snapshot.id, training_config={}
        ).model_version
        with pytest.raises(NotFound, match="has not been evaluated"):
            judging.give(reg, name, {("", "q0"): "correct"})
        s = scores(4, 2)
        stored = evaluations.save(reg, name, s)
        for given, error in (
            ({("", "q0"): "correct", ("", "q9"): "correct"}, NotFound),
            ({("", "q0"): "correct", ("", "q1"): "fine"}, UsageError),
        ):
            with pytest.raises(error):
                judging.give(reg, name, given)
        assert judging.labels(reg, s["questions"]) == {}  # all of them, or none
        (first,) = judging.give(reg, name, {("", "q0"): "incorrect"}, who="ann")
        assert (first.label, first.system, first.who) == ("incorrect", "tuned", "ann")
        judging.give(reg, name, {("tuned", "q0"): "correct"}, who="ben")
        found = judging.labels(reg, s["questions"])
        assert found["tuned", "q0"].who == "ben" and found["tuned", "q0"].label == "correct"
        assert found["base", "q0"].label == "correct"  # the same text
        changed = [dict(r, answer=r["answer"] + "!") for r in s["questions"]]
        assert judging.labels(reg, changed) == {}  # another answer is not labelled
        (last,) = audit.entries(reg, limit=1)
        assert (last.action, last.who) == ("answer.label", "ben")
        assert gather.opinions_of(reg, s, stored.scores_sha256)["labels"] == 1
        judging.keep(reg, stored.scores_sha256, judged(s), model_version=name)
        d = gather.gather(reg, name)
        assert d.opinions["judge"]["kappa"]["key_facts"]["n"] == 4
        for sql in ("UPDATE answer_labels SET label = 'correct'", "DELETE FROM judgements"):
            with pytest.raises(Exception, match=r"stays|kept"):
                reg.execute(sql)


@pytest.mark.parametrize("field", ["question", "expected_answer"])
def test_a_label_of_other_wording_is_stale_and_counts_no_more(field: str) -> None:
    with open_registry() as reg:
        pairs = [make_pair(n) for n in range(3)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        name = versions.register(
            reg, base_model="b", dataset_version=snapshot.id, training_config={}
        ).model_version
        s = scores(4, 2)
        evaluations.save(reg, name, s)
        given, _ = judging.give(reg, name, {("", "q0"): "correct", ("", "q1"): "correct"})
        while utc_now() <= given.at:
            pass  # an evaluation of the same millisecond could not be told from the one before
        changed = [dict(r, **{field: "other"}) if r["id"] == "q0" else r for r in s["questions"]]
        later = evaluations.save(reg, name, {**s, "questions": changed})
        found = judging.labels(reg, changed)
        assert found["tuned", "q0"].stale and not found["tuned", "q1"].stale
        assert not judging.labels(reg, s["questions"])["tuned", "q0"].stale
        assert judging.counted(found).keys() == {("tuned", "q1"), ("base", "q1")}
        assert gather.opinions_of(reg, later.scores, later.scores_sha256)["labels"] == 1
        judging.give(reg, name, {("", "q0"): "incorrect"})
        assert not judging.labels(reg, changed)["tuned", "q0"].stale
        assert gather.opinions_of(reg, later.scores, later.scores_sha256)["labels"] == 2
