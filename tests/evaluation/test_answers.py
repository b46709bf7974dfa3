"""Answer files: read strictly, written so that a kill costs at most one answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import UsageError
from core.evaluation.answers import Answer, AnswerLog, Trace, read_answers, read_meta
from core.evaluation.shared_answers import SharedAnswers

ABOUT = {"base_model": "tiny", "max_new_tokens": 8}


def test_rows_round_trip(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "a.jsonl", ABOUT)
    said = "line\u2028separator, \x00 and half a surrogate \ud800"
    log.add(Answer("q1", said, 0.25, 7, "stop"), "What?")
    log.add(Answer("q2", ""), "Why?")
    log.close()
    back = read_answers(tmp_path / "a.jsonl")
    assert back["q1"] == Answer("q1", said, 0.25, 7, "stop")
    assert back["q2"] == Answer("q2", "")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"answer": "x"}', "'id'"),
        ('{"id": 1, "answer": "x"}', "'id'"),
        ('{"id": "q"}', "'answer'"),
        ('{"id": "q", "answer": null}', "'answer'"),
        ('{"id": "q", "answer": "x", "latency_s": "fast"}', "latency_s"),
        ('{"id": "q", "answer": "x", "latency_s": NaN}', "latency_s"),
        ('{"id": "q", "answer": "x", "latency_s": true}', "latency_s"),
        ('{"id": "q", "answer": "x", "latency_s": 1' + "0" * 400 + "}", "latency_s"),
        ('{"id": "first", "answer": "again"}', "second answer"),
    ],
)
def test_a_faulty_row_is_named_by_line(tmp_path: Path, line: str, what: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": "first", "answer": "x"}\n\n' + line + "\n")
    with pytest.raises(UsageError) as e:
        read_answers(file)
    assert f"{file}:3" in e.value.what and what in e.value.what


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_answers(tmp_path / "none.jsonl")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_answers(tmp_path / "binary")


def test_a_killed_run_goes_on_after_the_last_whole_answer(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    log = AnswerLog(file, ABOUT)
    for n in range(3):
        log.add(Answer(f"q{n}", f"answer {n}"), f"question {n}")
    log.close()
    whole = file.read_bytes()
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut])
        again = AnswerLog(file, ABOUT)
        done = whole[:cut].count(b"\n")
        assert [again.has(f"q{n}", f"question {n}") for n in range(3)] == [
            n < done for n in range(3)
        ]
        for n in range(done, 3):
            again.add(Answer(f"q{n}", f"answer {n}"), f"question {n}")
        again.close()
        assert file.read_bytes() == whole


def test_a_changed_question_is_asked_again(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "a.jsonl", ABOUT)
    log.add(Answer("q1", "x"), "old wording")
    assert log.has("q1", "old wording") and not log.has("q1", "new wording")


def test_answers_of_another_model_are_put_aside_not_mixed(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    log = AnswerLog(file, ABOUT)
    log.add(Answer("q1", "x"), "q")
    log.close()
    other = AnswerLog(file, {**ABOUT, "adapter": "abc"})
    assert not other.done and file.read_bytes() == b""
    assert "q1" in (tmp_path / "a.old-1.jsonl").read_text()
    assert read_meta(file) == {**ABOUT, "adapter": "abc"}


def test_shared_answers_are_found_by_model_and_wording(tmp_path: Path) -> None:
    with SharedAnswers(tmp_path, {**ABOUT, "retrieval": {"top": 3}}) as shared:
        shared.add("same", Answer("q1", "x", 0.5, 3, "stop", Trace("prompt", "raw")))
        shared.add("in a batch", Answer("q2", "y"))
    # the pairs that were searched do not matter: what they gave stands in the wording
    with SharedAnswers(tmp_path, ABOUT) as shared:
        found = shared.find("same", timed=True)
        assert found is not None and (found["answer"], found["latency_s"]) == ("x", 0.5)
        assert found["prompt"] == "prompt" and "id" not in found and "asked" not in found
        assert shared.find("in a batch") is not None and shared.find("Same") is None
        assert shared.find("in a batch", timed=True) is None
        # given alone since: that one is the better
        shared.add("in a batch", Answer("q2", "y", 1.5))
        assert shared.find("in a batch", timed=True) is not None
    with SharedAnswers(tmp_path, {**ABOUT, "adapter": "abc"}) as shared:
        assert shared.find("same") is None
    with SharedAnswers(tmp_path, ABOUT) as shared:
        assert (shared.find("in a batch") or {})["latency_s"] == 1.5


def test_a_time_counts_only_on_the_machine_it_was_taken_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "gh042")
    with SharedAnswers(tmp_path, ABOUT) as shared:
        shared.add("same", Answer("q1", "x", 0.5))
        assert shared.find("same", timed=True) is not None
    monkeypatch.setattr("platform.node", lambda: "gh043")
    with SharedAnswers(tmp_path, ABOUT) as shared:
        assert shared.find("same", timed=True) is None
        assert (shared.find("same") or {})["answer"] == "x"


def test_what_is_taken_over_is_marked_and_stays_so_after_a_stop(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "a.jsonl", ABOUT)
    log.take("q1", "What?", {"answer": "x", "latency_s": 0.5, "prompt": "p", "reused": True})
    log.add(Answer("q2", "y"), "Who?")
    log.close()
    again = AnswerLog(tmp_path / "a.jsonl", ABOUT)
    assert again.has("q1", "What?") and again.done["q1"].latency_s == 0.5
    assert again.reused == {"q1"}


def test_rows_tie_an_answer_to_its_wording(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "a.jsonl", ABOUT)
    log.add(Answer("q1", "x"), "What?", batch=4)
    row = json.loads((tmp_path / "a.jsonl").read_text())
    assert row["batch"] == 4 and len(row["question"]) == 16


def test_a_log_that_something_else_wrote_into_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    AnswerLog(path, {"model": "m"}).close()
    path.write_bytes(b'{"id": "q", "answer": "\xff"}\n')
    with pytest.raises(UsageError, match=r"base\.jsonl: not UTF-8"):
        AnswerLog(path, {"model": "m"})
