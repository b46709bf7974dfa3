"""The commands over pairs, snapshots and search: JSON on stdout, narration on stderr, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.pairs import Message, write_pairs
from core.registry import open_registry, search_index
from tests.core.conftest import make_pair
from tui.cli.root import run


class Qa:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *args: object) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = run([str(a) for a in args])
        return code, *self.capsys.readouterr()

    def json(self, *args: object) -> Any:
        code, out, err = self(*args, "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def qa(capsys: pytest.CaptureFixture[str]) -> Qa:
    return Qa(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, [make_pair(n) for n in range(4)])
    with open(path, "ab") as f:
        f.write(b"{\n")
    return path


def test_from_files_to_a_snapshot_and_back(qa: Qa, file: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    code, out, err = qa("snapshots", "freeze", file, "--rejects", rejects)
    name = out.strip()
    assert code == 0 and "pairs.jsonl:5" in err and "1 rows rejected" in err
    assert rejects.read_bytes() == b"{\n"
    more = tmp_path / "more.jsonl"
    write_pairs(more, [make_pair(n) for n in range(1, 6)])
    second = qa.json("snapshots", "freeze", more, "--parent", name)
    assert (second["parent"], second["qa_pair_count"], second["rejected"]) == (name, 5, 0)
    listed = qa.json("snapshots", "list")
    assert [s["dataset_version"] for s in listed] == [second["dataset_version"], name]
    shown = qa.json("snapshots", "show", name)
    assert shown["qa_pair_ids"] == [make_pair(n).id for n in range(4)]
    assert name in qa("snapshots", "show", name)[1]
    changes = qa.json("snapshots", "diff", name, second["dataset_version"])
    assert (len(changes["added"]), len(changes["removed"]), changes["share_new"]) == (2, 1, 0.4)
    assert changes["by_domain"] == {"compute-resources": {"added": 2, "removed": 1, "changed": 0}}
    assert set(changes["by_entity"]) == {f"compute-resources:r{n}" for n in (0, 4, 5)}
    assert "2 added, 1 removed" in qa("snapshots", "diff", name, second["dataset_version"])[1]
    files = qa.json("snapshots", "export", name, tmp_path / "out")["files"]
    assert all(Path(f).exists() for f in files)
    assert qa("snapshots", "restore", tmp_path / "out")[1].strip() == name
    assert qa.json("snapshots", "restore", tmp_path / "out")["qa_pair_count"] == 4
    assert [v["ok"] for v in qa.json("snapshots", "verify")] == [True, True]


def test_verify_tells_what_is_damaged(qa: Qa, file: Path) -> None:
    name = qa("snapshots", "freeze", file)[1].strip()
    with open_registry() as reg:
        reg.execute("DROP TRIGGER blobs_no_update")
        reg.execute("UPDATE blobs SET body = replace(body, 'answer', 'lie')")
    code, out, _ = qa("snapshots", "verify", name)
    assert code == 5 and "the content of pair_00000 was changed" in out
    code, out, _ = qa("snapshots", "verify", "--json")
    (found,) = json.loads(out)
    assert code == 5 and not found["ok"] and len(found["faults"]) == 4


def test_search(qa: Qa, file: Path) -> None:
    name = qa("snapshots", "freeze", file)[1].strip()
    hit, *_ = qa.json("search", "question", "2")
    keys = "pair_id question answer domain source score tier content_hash full_answer snapshots"
    assert hit.keys() == {*keys.split()}
    assert (hit["pair_id"], hit["snapshots"]) == ("pair_00002", [name])
    assert qa.json("search", "--answers", "--snapshot", name, "r3")[0]["pair_id"] == "pair_00003"
    assert "pair_00001" in qa("search", '"question: 1')[1]
    assert qa("search", "nowhere") == (
        0,
        qa("search", "nowhere")[1],
        "no pair has any of these words\n",
    )
    assert qa("search", "--snapshot", "dataset-x", "question")[0] == 2
    with open_registry() as reg:
        search_index.forget(reg)
    code, out, err = qa("search", "question", "2", "--json")
    assert code == 0 and "building" in err and json.loads(out)[0]["pair_id"] == "pair_00002"


def test_duplicates(qa: Qa, tmp_path: Path) -> None:
    def said(name: str, answer: str, source: str = "mcp_extraction") -> Any:
        turns = (Message("user", "How big is it?"), Message("assistant", answer))
        return make_pair(1, id=name, messages=turns, source=source, metadata={})

    path = tmp_path / "a.jsonl"
    write_pairs(path, [said("a", "Big."), said("b", "big", "user_qa"), said("c", "Small.")])
    found = qa.json("pairs", "duplicates", path)
    (group,) = found["groups"]
    assert (group["keeper"]["id"], group["others"][0]["id"]) == ("b", "a")
    assert [a["ids"] for a in found["conflicts"][0]["answers"]] == [["a", "b"], ["c"]]
    code, out, err = qa("pairs", "duplicates", path, "--threshold", "0.5")
    assert code == 0 and "keep" in out and "drop" in out and "says two things" in err
    assert qa("pairs", "duplicates", path, "--threshold", "2")[0] == 2


def test_contamination(qa: Qa, file: Path, tmp_path: Path) -> None:
    golden = tmp_path / "golden.jsonl"
    row = {
        "id": "g1", "category": "resource_specs", "question": "Question 1?",
        "expected_answer": "answer 1", "key_facts": [["answer 1"]],
        "expected_sources": ["compute-resources:r1"], "expected_tools": [],
        "query_type": "STATIC", "citation_expected": True,
    }  # fmt: skip
    golden.write_text(json.dumps(row) + "\n")
    name = qa("snapshots", "freeze", file)[1].strip()
    found = qa.json("snapshots", "contamination", name, "--golden", golden)
    assert found["strata"]["trained fact, trained wording"] == {"n": 1, "share": 1.0}
    (item,) = found["items"]
    assert item["wordings"][0]["pair_id"] == item["fact_pairs"][0] == "pair_00001"
    code, out, _ = qa("snapshots", "contamination", name, "--golden", golden)
    assert code == 0 and "g1" in out
    assert qa("snapshots", "contamination", name)[0] == 0  # the corpus' own golden set
