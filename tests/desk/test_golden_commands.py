"""`qa golden`: JSON on stdout, narration on stderr, exit codes; bad input told with line and field."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.evaluation.golden import load_golden
from tests.evaluation.parts import live, question, write_rows
from tui.cli.root import run

SHIPPED = locations.configs() / "corpus" / "golden.jsonl"
ITEM = question([["256 GB"]], id="spec-001").as_row()


class Qa:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *args: object) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = run(["golden", *map(str, args)])
        return code, *self.capsys.readouterr()

    def json(self, *args: object) -> Any:
        code, out, err = self(*args, "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def qa(capsys: pytest.CaptureFixture[str]) -> Qa:
    return Qa(capsys)


@pytest.fixture
def team(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "team.jsonl", [ITEM | {"owner": "me"}])


def test_check_of_the_shipped_set(qa: Qa) -> None:
    found = qa.json("check")
    assert (found["ok"], found["n"], found["findings"]) == (True, 241, [])
    assert found["near_duplicates"] == [] and len(found["sha256"]) == 64
    assert qa("check", "--strict")[0] == 0
    alone = qa.json("check", SHIPPED)
    assert alone["n"] == 170 and alone["categories"] == alone["design"]


def test_check_of_a_team_s_set(qa: Qa, team: Path) -> None:
    found = qa.json("check", team)
    assert found["ok"] and {f["kind"] for f in found["findings"]} >= {"balance", "paraphrases"}
    assert qa("check", team, "--strict")[0] == 2
    code, out, err = qa("check", team)
    assert code == 0 and "resource_specs" in out and "findings" in err
    pairs = team.with_name("pairs.jsonl")
    pairs.write_text("{}\n")
    assert qa.json("check", team, "--pairs", pairs)["contamination"]["pairs"] == 0


def test_check_of_a_faulty_file(qa: Qa, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [ITEM, ITEM, ITEM | {"id": "x", "category": "sofware"}])
    code, out, err = qa("check", path, "--json")
    assert code == 2 and "g.jsonl:2: id" in err
    told = json.loads(out)
    assert [(f["line"], f["field"]) for f in told["faults"]] == [(2, "id"), (3, "category")]
    assert "did you mean 'software'?" in told["faults"][1]["try_next"] and not told["ok"]
    assert qa("check", path)[0] == 2
    assert qa("check", tmp_path / "none.jsonl", "--json")[0] == 2


def test_an_id_in_two_mounted_files(qa: Qa, team: Path) -> None:
    code, _, err = qa("check", SHIPPED, "--also", team)
    assert code == 2 and "team.jsonl:1: id" in err and "golden.jsonl:1" in err


def test_list_and_show(qa: Qa, team: Path) -> None:
    listed = qa.json("list", "--set", "canaries")
    assert len(listed["questions"]) == 20 and len(listed["parts"]) == 3
    assert qa.json("list", "--text", "WRENFIELD")["questions"][0]["id"] == "can-001"
    with_paraphrases = qa.json("list", team.with_name("team.jsonl"), "--paraphrases")
    assert [q["id"] for q in with_paraphrases["questions"]] == ["spec-001"]
    code, out, err = qa("list", "--category", "dynamic")
    assert code == 0 and "dyn-062" in out and "62 of 241" in err
    code, _, err = qa("list", "--category", "dynamics")
    assert code == 2 and "did you mean 'dynamic'?" in err
    shown = qa.json("show", "spec-003~2")
    assert (shown["cluster"], shown["wants"]) == ("spec-003", "answer")
    assert "9 nodes" in qa("show", "spec-003")[1]
    assert qa("show", "spec-03")[0] == 2 and "did you mean" in qa("show", "spec-0033")[2]


def test_add_from_options(qa: Qa, team: Path) -> None:
    done = qa.json(
        "add", team, "--category", "software", "--question", "Which version of X has Y?",
        "--answer", "Y listed X 2.1 and 4,096 cores.", "--fact", "X", "--fact", "4,096 cores",
        "--source", "software-discovery:x", "--paraphrase", "X at Y: version?",
    )  # fmt: skip
    assert done["new"] == ["soft-001"]
    first, added = load_golden(team)
    assert first.id == "spec-001" and json.loads(team.read_text().split("\n")[0])["owner"] == "me"
    assert added.key_facts == (["X"], {"type": "number", "value": 4096, "unit": "cores"})
    assert added.citation_expected and added.paraphrases == ("X at Y: version?",)
    code, out, _ = qa("add", team, "--category", "dynamic", "--question", "Is Y up now?",
                      "--answer", "That needs live data.", "--tool", "get_news")  # fmt: skip
    assert (code, out.strip()) == (0, "dyn-001") and load_golden(team)[2].should_defer


def test_add_of_a_wrong_question_changes_nothing(qa: Qa, team: Path) -> None:
    before = team.read_bytes()
    options = ["--answer", "a", "--question", "b?", "--fact", "c"]
    code, _, err = qa("add", team, *options, "--category", "softwear")
    assert code == 2 and "category" in err and "did you mean 'software'?" in err
    code, _, err = qa("add", team, *options)
    assert code == 2 and "category" in err
    asked = ["--question", ITEM["question"].upper(), "--answer", "x", "--category", "software"]
    code, _, err = qa("add", team, *asked)
    assert code == 2 and "asks the same as 'spec-001'" in err
    assert team.read_bytes() == before


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not an object"),
        ('{"category": "software"}', "question: is missing"),
        ('{"category": "software", "category": "dynamic"}', "twice"),
    ],
)
def test_add_from_a_wrong_stdin(
    qa: Qa, team: Path, monkeypatch: pytest.MonkeyPatch, given: str, says: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    code, _, err = qa("add", team)
    assert code == 2 and says in err and "stdin" in err
    assert len(load_golden(team)) == 1


def test_add_from_stdin(qa: Qa, team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {k: v for k, v in live().as_row().items() if k != "id"}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(row, indent=2)))
    assert qa.json("add", team, "--dry-run")["new"] == ["dyn-001"]
    assert len(load_golden(team)) == 1
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(row, indent=2)))
    assert qa.json("add", team)["new"] == ["dyn-001"] and len(load_golden(team)) == 2


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_export_and_import_come_back_exactly(qa: Qa, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"out.{kind}"
    assert qa("export", SHIPPED, "--to", file)[0] == 0
    back = tmp_path / "back.jsonl"
    done = qa.json("import", file, back)
    assert len(done["new"]) == 170 and done["faulty"] == 0
    assert back.read_bytes() == SHIPPED.read_bytes()
    again = qa.json("import", file, back)
    assert (again["new"], again["changed"], len(again["same"])) == ([], [], 170)
    code, out, _ = qa("export", back, "--format", kind)
    assert code == 0 and out.encode() == file.read_bytes()


def test_a_faulty_import_adds_nothing_and_keeps_the_good_rows(
    qa: Qa, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    before = team.read_bytes()
    source = team.with_name("new.csv")
    source.write_text(
        "category,question,expected_answer,key_facts,expected_sources,expected_tools,query_type,"
        "citation_expected\n"
        "software,Where is X?,On Y.,Y,,[],STATIC,false\n"
        "sofware,Where is Z?,On Y.,Y,[],[],STATIC,false\n"
        "software,Where is V?,On W.,W,[],[],STATIC,false\n"
        "software,Where is U?,On W.,[W,[],[],STATIC,false\n"
    )
    code, out, err = qa("import", source, team, "--json")
    told = json.loads(out)
    assert code == 2 and told["faulty"] == 3 and team.read_bytes() == before
    for line, field in ((2, "expected_sources"), (3, "category"), (5, "key_facts")):
        assert f"new.csv:{line}: {field}" in err
    kept = source.with_name("new.good.jsonl")
    assert told["kept"] == str(kept) and [q.id for q in load_golden(kept)] == ["soft-001"]
    # a second try does not overwrite what was kept
    code, _, err = qa("import", source, team)
    assert code == 2 and "--aside" in err and team.read_bytes() == before
    code, _, _ = qa("import", source, team, "--skip-bad")
    assert code == 2 and [q.id for q in load_golden(team)] == ["spec-001", "soft-001"]


def test_import_asks_on_a_terminal(qa: Qa, team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_rows(team.with_name("new.jsonl"), [live().as_row(), {"id": "bad"}])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter([False, True])
    monkeypatch.setattr("typer.confirm", lambda *_, **__: next(answers))
    assert qa("import", source, team)[0] == 2 and len(load_golden(team)) == 1
    assert qa("import", source, team)[0] == 2 and len(load_golden(team)) == 2


def test_import_replaces_only_if_told(qa: Qa, team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    edited = ITEM | {"expected_answer": "256 GB it is."}
    source = write_rows(team.with_name("new.jsonl"), [edited])
    code, _, err = qa("import", source, team)
    assert code == 2 and "--replace" in err
    assert qa.json("import", source, team, "--replace")["changed"] == ["spec-001"]
    assert load_golden(team)[0].expected_answer == "256 GB it is."


def test_import_of_an_unknown_format(qa: Qa, team: Path, tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    code, _, err = qa("import", tmp_path / "x.xlsx", team)
    assert code == 2 and "csv" in err
    assert qa("export", team, "--format", "xlsx")[0] == 2
    assert qa("export", team, "--to", tmp_path / "no" / "x.csv")[0] == 2


def test_hostile_text_never_reaches_the_terminal(qa: Qa, tmp_path: Path) -> None:
    evil = ITEM | {"question": "\x1b[2Jgone \u202e?", "id": "\x9b31m"}
    path = write_rows(tmp_path / "g.jsonl", [evil])
    for args in (["list", path], ["check", path], ["list", path, "--json"],
                 ["show", "\x9b31m", "--file", path], ["show", "x", "--file", path]):  # fmt: skip
        _, out, err = qa(*args)
        assert not set(out + err) & {"\x1b", "\x9b", "\u202e"}, args


def test_check_without_a_corpus(
    qa: Qa, team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_CONFIGS", str(tmp_path / "none"))
    code, out, err = qa("check", team, "--json")
    assert code == 0 and "no training pairs" in err
    assert json.loads(out)["contamination"] is None
    assert qa("check")[0] == 2  # nothing is mounted
