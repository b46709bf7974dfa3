"""`qa eval label`, `labels` and `judge` as a script uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import ChangedUnderYou
from core.registry import open_registry
from tests.desk.test_memory_commands import qa
from tests.evaluation.openai_server import OpenAIServer
from tests.evaluation.test_opinions import scores


@pytest.fixture
def version() -> str:
    from core.registry import evaluations, snapshots, versions
    from tests.core.conftest import make_pair

    with open_registry(seed=False) as reg:
        frozen = snapshots.freeze(reg, [make_pair(0)])
        name = versions.register(
            reg, base_model="b", dataset_version=frozen.id, training_config={}
        ).model_version
        evaluations.save(reg, name, scores(4, 2))
        return name


def test_a_label_is_kept_and_listed(capsys: pytest.CaptureFixture[str], version: str) -> None:
    code, out, _ = qa(capsys, "eval", "label", version, "q0", "Not attempted", "--who", "ann")
    assert code == 0 and "q0  not_attempted  (tuned, by ann)" in out
    code, out, _ = qa(capsys, "eval", "labels", version, "--json")
    found = json.loads(out)
    assert [(r["id"], r["label"], r["who"]) for r in found["rows"]] == [
        ("q0", "not_attempted", "ann")
    ]
    assert found["opinions"]["labels"] == 1
    code, out, err = qa(capsys, "eval", "labels", version, "--todo")
    assert code == 0 and "q1" in out and "q0 " not in out and "1 answer is labelled" in err


def test_a_question_worded_anew_makes_its_label_stale_and_asks_for_it_again(
    capsys: pytest.CaptureFixture[str], version: str
) -> None:
    from core.registry import evaluations
    from core.registry.store import utc_now

    assert qa(capsys, "eval", "label", version, "q0", "correct", "--who", "ann")[0] == 0
    given = utc_now()
    while utc_now() <= given:
        pass  # an evaluation of the same millisecond could not be told from the one before
    s = scores(4, 2)
    for row in s["questions"]:
        if row["id"] == "q0":
            row["question"] = "What 0, in other words?"
    with open_registry(seed=False) as reg:
        evaluations.save(reg, version, s)
    code, out, _ = qa(capsys, "eval", "labels", version, "--json")
    (row,) = json.loads(out)["rows"]
    assert code == 0 and row["stale"] and json.loads(out)["opinions"] == {}
    code, out, err = qa(capsys, "eval", "labels", version, "--todo")
    assert code == 0 and "q0" in out and "correct (stale)" in out and "ann" in out
    assert "No answer of this evaluation is labelled yet" in err
    (row, *_) = json.loads(qa(capsys, "eval", "labels", version, "--todo", "--json")[1])["rows"]
    assert (row["id"], row["label"], row["stale"]) == ("q0", "correct", True)
    assert qa(capsys, "eval", "label", version, "q0", "incorrect")[0] == 0
    (row,) = json.loads(qa(capsys, "eval", "labels", version, "--json")[1])["rows"]
    assert (row["label"], row["stale"]) == ("incorrect", False)


def test_a_text_that_was_not_read_is_not_labelled(version: str) -> None:
    from core.registry import evaluations, judging

    with open_registry(seed=False) as reg:
        s = scores(4, 2)
        row = next(r for r in s["questions"] if (r["system"], r["id"]) == ("tuned", "q0"))
        key, seen = ("tuned", "q0"), judging.digest(row)
        row["answer"] = "quite another answer"
        evaluations.save(reg, version, s)
        with pytest.raises(ChangedUnderYou, match="not the one you read") as refused:
            judging.give(reg, version, {key: "correct"}, read={key: seen})
        assert "again" in refused.value.try_next and judging.labels(reg, s["questions"]) == {}
        assert judging.give(reg, version, {key: "correct"}, read={key: judging.digest(row)})


def test_what_is_no_label_is_refused_whole(
    capsys: pytest.CaptureFixture[str], version: str, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("id,label\nq1,correct\nq99,correct\n")
    for given, code in (
        (("q0", "nice"), 2),
        (("q0",), 2),
        (("q0", "correct", "--file", str(people)), 2),
        (("--file", str(people)), 2),
        (("q0", "correct", "--system", "nobody"), 2),
    ):
        assert qa(capsys, "eval", "label", version, *given)[0] == code, given
    code, out, err = qa(capsys, "eval", "labels", version)
    assert code == 0 and out == "" and "No answer of this evaluation is labelled yet" in err
    people.write_text("id,label\nq1,correct\nq2,incorrect\n")
    code, out, _ = qa(capsys, "eval", "label", version, "--file", str(people), "--json")
    assert code == 0 and [r["question_id"] for r in json.loads(out)] == ["q1", "q2"]


def test_a_judge_is_kept_and_shown_in_the_report(
    capsys: pytest.CaptureFixture[str], version: str
) -> None:
    qa(capsys, "eval", "label", version, "q0", "incorrect")
    with OpenAIServer(lambda asked: asked.answer("CORRECT")) as server:
        given = ("eval", "judge", version, "--endpoint", server.url, "--model", "j")
        code, out, _ = qa(capsys, *given, "--json")
        assert code == 0 and json.loads(out)["kappa"]["key_facts"]["n"] == 4
        asked = len(server.asked)
        assert qa(capsys, *given)[0] == 0 and len(server.asked) == asked  # nothing is asked twice
    code, out, _ = qa(capsys, "report", version)
    assert code == 0 and "SECOND OPINIONS" in out.upper()
    assert "never gates below a kappa of 0.6" in " ".join(out.split())
