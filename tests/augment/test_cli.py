"""`qa data`: files in, a file out, counts on stdout, and an exit code that means something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.corpus import corpus_dir, pilot_selection
from core.pairs import Pair, read_pairs, write_pairs
from tests.augment.conftest import make_pair
from tests.evaluation.openai_server import Asked, OpenAIServer
from tui.cli.root import run

DATA = str(corpus_dir() / "affinity-groups_qa_pairs.jsonl")
DEFERRALS = str(corpus_dir() / "deferrals_qa_pairs.jsonl")


def qa(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = run([str(a) for a in args])
    out, err = capsys.readouterr()
    return code, out, err


def test_augment_writes_the_same_file_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "new" / "b.jsonl"
    for out in (a, b):
        code, text, err = qa(capsys, "data", "augment", DATA, "--out", out, "--forms", 6, "--json")
        assert code == 0, err
    assert a.read_bytes() == b.read_bytes()
    told = json.loads(text)
    assert told["rows"] == len(a.read_text().splitlines()) and told["pairs"] == 50
    assert not list(tmp_path.glob(".*"))  # nothing half written is left


def test_coverage_of_the_built_pilot(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: list[Pair]
) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pilot_selection(corpus).train)
    out = tmp_path / "rows.jsonl"
    assert qa(capsys, "data", "augment", tmp_path / "pairs.jsonl", "--out", out)[0] == 0
    code, text, _ = qa(capsys, "data", "coverage", out, "--json")
    assert (code, json.loads(text)["findings"]) == (0, [])
    code, text, err = qa(capsys, "data", "coverage", tmp_path / "pairs.jsonl")
    assert code == 2 and "fewer than 5 wordings" in err and "wordings a fact, least" in text


def test_a_held_out_file_is_honoured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = tmp_path / "a.jsonl"
    qa(capsys, "data", "augment", DATA, "--out", first)
    built = next(p for p in read_pairs(first).pairs if "#" in p.id)
    question = {
        "id": "held", "category": "resource_specs", "question": built.question,
        "expected_answer": "x", "key_facts": [["x"]], "expected_sources": [], "expected_tools": [],
        "query_type": "STATIC", "citation_expected": False,
    }  # fmt: skip
    golden = tmp_path / "golden.jsonl"
    golden.write_text(json.dumps(question) + "\n")
    again = tmp_path / "b.jsonl"
    code, _, err = qa(capsys, "data", "augment", DATA, "--out", again, "--held-out", golden)
    assert code == 0, err
    assert built.question not in {p.question for p in read_pairs(again).pairs}


def test_replay_is_mixed_in(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    code, text, err = qa(
        capsys, "data", "augment", DATA, "--out", out, "--forms", 2, "--deferrals", 0,
        "--replay", DEFERRALS, "--replay-share", 0.25, "--json",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(text)
    assert told["replayed"] == round(told["rows"] * 0.25)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--forms", "0"], "forms a fact"),
        (["--deferrals", "0.9"], "deferrals"),
        (["--replay", DEFERRALS, "--replay-share", "0.01"], "replay share"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--held-out", "/no/such.jsonl"], "no such file"),
    ],
)
def test_what_cannot_be_done_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, args: list[str], says: str
) -> None:
    out = tmp_path / "a.jsonl"
    code, text, err = qa(capsys, "data", "augment", DATA, "--out", out, *args)
    assert code != 0 and says in err and "try" in err and text == ""
    assert not out.exists()


def test_hostile_text_is_shown_as_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pair = make_pair("Tern\x1b[31m\u202e", "Who \x1b]0;x\x07runs Tern?", "Tern is \x1b[2Jours.")
    write_pairs(tmp_path / "a.jsonl", [pair])
    for json_too in ([], ["--json"]):
        _, text, err = qa(capsys, "data", "coverage", tmp_path / "a.jsonl", *json_too)
        assert "\x1b" not in text + err and "\u202e" not in text + err


def test_a_served_model_words_questions_anew(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its good lines are trained, its bad ones are counted on stderr, and it is asked by name."""

    def reword(asked: Asked) -> None:
        asked.answer(
            "1. What size of memory has Tern?\n2. Does Tern have 256 GB?\n3. Tern <<SRC:a:b>>?"
        )

    write_pairs(tmp_path / "a.jsonl", [make_pair()])
    out = tmp_path / "b.jsonl"
    with OpenAIServer(reword, ["writer"]) as server:
        code, text, err = qa(
            capsys, "data", "augment", tmp_path / "a.jsonl", "--out", out, "--endpoint", server.url,
            "--forms", 64, "--json",
        )  # fmt: skip
    assert code == 0, err
    assert server.asked[0].body["model"] == "writer"
    assert json.loads(text)["families"]["model"] == 1
    assert "gave 1 wordings that pass, 2 that do not" in err and "gives the answer away" in err
    assert "What size of memory has Tern?" in {p.question for p in read_pairs(out).pairs}


def test_a_server_that_refuses_leaves_no_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_pairs(tmp_path / "a.jsonl", [make_pair()])
    out = tmp_path / "b.jsonl"
    with OpenAIServer(lambda asked: asked.status(401), ["writer"]) as server:
        code, _, err = qa(
            capsys, "data", "augment", tmp_path / "a.jsonl", "--out", out, "--endpoint", server.url
        )  # fmt: skip
    assert code != 0 and "401" in err and not out.exists()
