"""The judge: strict verdicts, known kappas, labels checked by line, and no way into a gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.evaluation import judge
from core.evaluation.cli import main
from tests.evaluation.openai_server import Asked, Do, OpenAIServer


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("CORRECT", "correct"),
        (" INCORRECT\n", "incorrect"),
        ("NOT_ATTEMPTED", "not_attempted"),
        ("correct", None),
        ("CORRECT.", None),
        ("CORRECT INCORRECT", None),
        ("The answer is CORRECT", None),
        ("<think>hm</think>CORRECT", None),
        ("", None),
    ],
)
def test_only_the_one_word_is_a_verdict(reply: str, verdict: str | None) -> None:
    assert judge.read_verdict(reply) == verdict


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=200))
def test_the_texts_cannot_forge_the_marks_around_them(q: str, expected: str, answer: str) -> None:
    prompt = judge.prompt_for(q, expected, answer)
    mark = prompt.split("the marks ")[1][: len("<<<0123456789abcdef>>>")]
    assert prompt.count(mark) == 7 and mark not in q + expected + answer
    assert judge.prompt_for(q, expected, answer) == prompt


def test_a_long_answer_is_cut_and_braces_are_text() -> None:
    prompt = judge.prompt_for("{question}", "{x}", "{answer}" + "y" * 10**6)
    assert len(prompt) < 12_000 and "{question}" in prompt and "{answer}y" in prompt


def test_kappa_of_a_known_table() -> None:
    # 20 both yes, 5 and 10 differ, 15 both no: observed 0.7, by chance 0.5
    first = ["y"] * 25 + ["n"] * 25
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    a = judge.agreement(first, second)
    assert a.kappa == pytest.approx(0.4) and a.agree == pytest.approx(0.7) and a.n == 50
    assert a.low is not None and a.high is not None and 0.1 < a.low < 0.4 < a.high < 0.7
    assert judge.agreement(first, second) == a  # the bootstrap is seeded


def test_kappa_at_its_ends() -> None:
    assert judge.agreement(["a", "b"] * 20, ["a", "b"] * 20).kappa == 1.0
    assert judge.agreement(["a", "b"] * 20, ["b", "a"] * 20).kappa == -1.0
    assert judge.agreement(["a"] * 20, ["a"] * 20).kappa is None  # nothing could have differed
    assert judge.agreement([], []) == judge.Agreement(0, None, None, None, None)
    with pytest.raises(ValueError, match="different numbers"):
        judge.agreement(["a"], [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,grade\nq1,correct\n", "no column 'label'"),
        ("label\ncorrect\n", "no column 'id'"),
        ("id,label\nq1,right\n", ":2: unknown label 'right'"),
        ("id,label\nq1,correct\nq1,correct\n", ":3: a second label for q1"),
        ("id,label\n,correct\n", ":2: no id"),
        ("id,label\nq1\n", ":2: unknown label None"),
        ("", "no column 'id'"),
    ],
)
def test_labels_are_refused_by_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(text)
    with pytest.raises(UsageError) as e:
        judge.read_labels(file)
    assert says in e.value.what and str(file) in e.value.what


def test_labels_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text('\ufeffid,note,label\r\nq1,"a, b",Correct\r\nq2,,not attempted\r\n', "utf-8")
    assert judge.read_labels(file) == {("", "q1"): "correct", ("", "q2"): "not_attempted"}


def rows(n: int, grade: Callable[[int], str]) -> list[dict[str, Any]]:
    return [
        {
            "system": "tuned",
            "id": f"q{i}",
            "question": f"What {i}?",
            "expected_answer": "256 GB",
            "answer": f"answer {i}",
            "grade": grade(i),
        }
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("wrong", "n", "trusted"), [(0, 60, True), (18, 60, False), (0, 40, False)]
)
def test_it_is_trusted_only_with_enough_labels_that_agree(
    wrong: int, n: int, trusted: bool
) -> None:
    verdicts: dict[tuple[str, str], Any] = {
        ("tuned", f"q{i}"): "correct" if i % 2 else "incorrect" for i in range(n)
    }
    labels: dict[tuple[str, str], Any] = {
        ("", f"q{i}"): "incorrect" if (i % 2 == 0) != (i < wrong) else "correct" for i in range(n)
    }
    found = judge.summary(rows(n, lambda i: "correct"), verdicts, labels)
    assert found["trusted"] is trusted and found["for"] == "display"
    assert (found["kappa"]["people"]["kappa"] >= judge.TRUSTED) is (wrong == 0)


def test_what_is_no_verdict_is_counted_and_left_out() -> None:
    verdicts: dict[tuple[str, str], Any] = {("tuned", "q0"): "correct", ("tuned", "q1"): None}
    found = judge.summary(rows(3, lambda i: "correct"), verdicts, {})
    assert found["systems"]["tuned"]["unreadable"] == 1
    assert (
        found["systems"]["tuned"]["accuracy"]["k"],
        found["systems"]["tuned"]["accuracy"]["n"],
    ) == (1, 1)
    assert found["kappa"]["key_facts"]["n"] == 1 and found["kappa"]["people"] is None
    assert found["verdicts"] == {"tuned": {"q0": "correct", "q1": None}}


@pytest.fixture
def serve() -> Iterator[Callable[[Do], OpenAIServer]]:
    running: list[OpenAIServer] = []

    def start(do: Do) -> OpenAIServer:
        running.append(OpenAIServer(do).__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__()


def test_the_command_goes_on_and_asks_nothing_twice(
    serve: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def strict(asked: Asked) -> None:
        if "What 3?" in asked.question:
            asked.status(400, "no")
        else:
            asked.answer("CORRECT" if "answer 1\n" in asked.question else "INCORRECT")

    s = serve(strict)
    scores = tmp_path / "scores.json"
    scores.write_text(
        json.dumps({"questions": rows(6, lambda i: "correct" if i == 1 else "incorrect")})
    )
    (tmp_path / "people.csv").write_text("id,label\nq1,correct\nq2,incorrect\n")
    args = ["judge", "--scores", str(scores), "--endpoint", s.url, "--model", "j", "--json"]
    args += ["--labels", str(tmp_path / "people.csv"), "--parallel", "1"]
    assert main(args) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((tmp_path / "judge.json").read_text("utf-8"))
    assert document["systems"]["tuned"]["accuracy"]["k"] == 1
    assert document["kappa"]["key_facts"]["kappa"] == 1.0 and document["kappa"]["people"]["n"] == 2
    assert document["prompt"] == judge.prompt_sha256() and list(document["unanswered"]) == ["q3"]
    assert all(a.body["temperature"] == 0 for a in s.asked)
    s.asked.clear()
    s.do = lambda a: a.answer("CORRECT")
    assert main(args) == 0
    assert len(s.asked) == 1 and "What 3?" in s.asked[0].question
    capsys.readouterr()
    # another judge's verdicts are not mixed with these
    s.asked.clear()
    args[args.index("j")] = "other"
    assert main(args) == 0
    assert len(s.asked) == 6


@pytest.mark.parametrize("text", ["", "[]", '{"questions": [{"id": 1}]}', '{"questions": 5}'])
def test_scores_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "scores.json").write_text(text)
    args = ["judge", "--scores", str(tmp_path / "scores.json"), "--model", "m"]
    assert main([*args, "--endpoint", "http://127.0.0.1:1/v1"]) == 2
    assert "no scores" in capsys.readouterr().err
