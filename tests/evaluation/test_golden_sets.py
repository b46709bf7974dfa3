"""Optional fields, paraphrases, several files as one set with one version."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from core.evaluation.golden import GoldenFileError, load_golden
from core.evaluation.golden.sets import Mount, beside, load_set, mounts
from tests.evaluation.parts import live, question, write_golden, write_rows

ITEM = question([["256 GB"]]).as_row()


def faults_of(path: Path, **change: Any) -> list[tuple[int, str]]:
    with pytest.raises(GoldenFileError) as caught:
        load_golden(write_rows(path / "g.jsonl", [ITEM | {"id": "other"}, ITEM | change]))
    assert all(f.try_next for f in caught.value.faults)
    return [(f.line, f.field) for f in caught.value.faults]


def test_optional_fields_come_back(tmp_path: Path) -> None:
    canary = {"key_facts": [], "expected_sources": [], "citation_expected": False, "canary": True}
    rows = [
        ITEM | {"paraphrases": ["Delta: RAM of a node?", "How big is it?"], "set": "ours"},
        ITEM | canary | {"id": "can-1", "cluster": "cans"},
    ]
    loaded = load_golden(write_rows(tmp_path / "g.jsonl", rows))
    assert [(q.cluster, q.canary, q.set) for q in loaded] == [
        ("q1", False, "ours"),
        ("cans", True, ""),
    ]
    assert [json.loads(json.dumps(q.as_row())) for q in loaded] == rows


def test_paraphrases_become_questions_in_the_cluster_of_their_item(tmp_path: Path) -> None:
    rows = [ITEM | {"paraphrases": ["Delta: RAM of a node?", "How big is it?"]}, live().as_row()]
    path = write_rows(tmp_path / "g.jsonl", rows)
    assert [q.id for q in load_golden(path)] == ["q1", "d1"]
    found = load_golden(path, paraphrases=True)
    assert [(q.id, q.cluster) for q in found] == [
        ("q1", "q1"),
        ("q1~1", "q1"),
        ("q1~2", "q1"),
        ("d1", "d1"),
    ]
    assert found[1].question == "Delta: RAM of a node?" and found[1].key_facts == found[0].key_facts
    # a set that was written out with its paraphrases is read as the same questions
    assert [q.cluster for q in load_golden(write_golden(tmp_path / "x.jsonl", found))] == [
        q.cluster for q in found
    ]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"paraphrases": "one"}, ["paraphrases"]),
        ({"paraphrases": ["a b", ""]}, ["paraphrases[1]"]),
        ({"paraphrases": ["a b", 7]}, ["paraphrases[1]"]),
        ({"paraphrases": ["how much memory does a CPU node of delta have"]}, ["paraphrases[0]"]),
        ({"paraphrases": ["a b", "A, b!"]}, ["paraphrases[1]"]),
        ({"canary": "yes"}, ["canary"]),
        ({"canary": True}, ["key_facts", "expected_sources", "citation_expected"]),
        ({"cluster": ""}, ["cluster"]),
        ({"cluster": 3}, ["cluster"]),
        ({"set": None}, ["set"]),
        ({"paraphrase": ["a"]}, ["paraphrase"]),
        ({"canari": True}, ["canari"]),
    ],
)
def test_wrong_optional_field(tmp_path: Path, change: dict[str, Any], fields: list[str]) -> None:
    assert faults_of(tmp_path, **change) == [(2, f) for f in fields]


def test_a_dynamic_canary_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [live().as_row() | {"canary": True}])
    with pytest.raises(GoldenFileError) as caught:
        load_golden(path)
    assert [f.field for f in caught.value.faults] == ["expected_tools", "query_type"]


def test_an_id_that_a_paraphrase_will_have(tmp_path: Path) -> None:
    rows = [ITEM | {"paraphrases": ["How big is it?"]}, ITEM | {"id": "q1~1"}]
    path = write_rows(tmp_path / "g.jsonl", rows)
    assert len(load_golden(path)) == 2
    with pytest.raises(GoldenFileError) as caught:
        load_golden(path, paraphrases=True)
    assert (caught.value.line, caught.value.field) == (2, "id")


def test_two_files_make_one_set(tmp_path: Path) -> None:
    ours = write_rows(tmp_path / "ours.jsonl", [ITEM])
    theirs = write_rows(
        tmp_path / "theirs.jsonl", [live().as_row(), ITEM | {"id": "x", "set": "own"}]
    )
    found = load_set([ours, Mount(theirs, "team")])
    assert [(q.id, q.set) for q in found.questions] == [("q1", ""), ("d1", "team"), ("x", "own")]
    assert [(p.name, p.items) for p in found.parts] == [("", 1), ("team", 2)]


def test_the_version_is_of_everything_used_and_nothing_else(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "1.jsonl", [ITEM])
    two = write_rows(tmp_path / "2.jsonl", [live().as_row()])
    alone = load_set(one).sha256
    assert alone == hashlib.sha256(one.read_bytes()).hexdigest()
    versions = {
        alone,
        load_set(two).sha256,
        load_set([one, two]).sha256,
        load_set([two, one]).sha256,
        load_set(one, paraphrases=True).sha256,
    }
    assert len(versions) == 5 and {len(v) for v in versions} == {64}
    absent = Mount(tmp_path / "none.jsonl", optional=True)
    assert load_set([Mount(one), absent]).sha256 == alone
    both = load_set([one, two]).sha256
    two.write_bytes(two.read_bytes() + b"\n")
    assert load_set([one, two]).sha256 != both


def test_an_id_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "1.jsonl", [live().as_row(), ITEM])
    two = write_rows(tmp_path / "2.jsonl", [ITEM | {"question": "Another?"}])
    with pytest.raises(GoldenFileError) as caught:
        load_set([one, two])
    error = caught.value
    assert (error.file, error.line, error.field) == (str(two), 1, "id")
    assert f"{one}:2" in error.what


def test_faults_of_all_files_are_told(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "1.jsonl", [{"id": "a"}])
    with pytest.raises(GoldenFileError) as caught:
        load_set([one, tmp_path / "gone.jsonl"])
    assert {f.file for f in caught.value.faults} == {str(one), str(tmp_path / "gone.jsonl")}


def test_the_configuration_names_what_is_mounted(tmp_path: Path) -> None:
    config = tmp_path / "golden.yaml"
    main = write_rows(tmp_path / "main.jsonl", [ITEM])
    assert [m.path.name for m in mounts(config)] == ["golden.jsonl"]  # without a file: the main set
    config.write_text(
        "golden:\n  - {file: main.jsonl, set: design}\n  - {file: more.jsonl, optional: true}\n"
    )
    assert [(m.path, m.name, m.optional) for m in mounts(config)] == [
        (main, "design", False),
        (tmp_path / "more.jsonl", "", True),
    ]
    assert load_set(mounts(config)).questions[0].set == "design"
    assert load_set(main, config=config).questions[0].set == "design"
    assert beside(main, config) == ()
    write_rows(tmp_path / "more.jsonl", [live().as_row()])
    assert [m.path.name for m in beside(main, config)] == ["more.jsonl"]
    assert beside(tmp_path / "foreign.jsonl", config) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("golden: [\n", "not valid YAML"),
        ("golden:\n  - {fiel: x}\n", "fiel"),
        ("golden:\n  - {file: x, optinal: true}\n", "optinal"),
        ("sets: []\n", "golden"),
    ],
)
def test_wrong_configuration(tmp_path: Path, text: str, says: str) -> None:
    config = tmp_path / "golden.yaml"
    config.write_text(text)
    with pytest.raises(SettingsError) as caught:
        mounts(config)
    assert says in str(caught.value) and "golden.yaml" in str(caught.value)


def test_a_configuration_that_mounts_nothing(tmp_path: Path) -> None:
    config = tmp_path / "golden.yaml"
    config.write_text("golden: []\n")
    with pytest.raises(GoldenFileError, match="mounts no golden file"):
        mounts(config)
