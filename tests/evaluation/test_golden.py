"""The shipped golden set keeps its promises; faulty golden files are refused with a way out."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GoldenError
from core.evaluation.golden import (
    DESIGN_COUNTS,
    GoldenFileError,
    GoldenQuestion,
    category_counts,
    golden_sha256,
    load_golden,
)
from core.evaluation.near_duplicates import (
    content_words,
    near_duplicates,
    near_duplicates_within,
)
from core.locations import project_root

CORPUS = project_root() / "configs" / "corpus"
SHIPPED = CORPUS / "golden.jsonl"
THRESHOLD = 0.75

GOOD: dict[str, Any] = {
    "id": "spec-001",
    "category": "resource_specs",
    "question": "How much memory does a Delta node have?",
    "expected_answer": "256 GB.",
    "key_facts": [{"type": "number", "value": 256, "unit": "GB"}, ["Delta", "NCSA Delta"]],
    "expected_sources": ["compute-resources:delta.ncsa.access-ci.org"],
    "expected_tools": [],
    "query_type": "STATIC",
    "citation_expected": True,
    "forbidden": [],
}


def pairs() -> list[dict[str, Any]]:
    files = sorted(CORPUS.glob("*_qa_pairs.jsonl"))
    assert len(files) == 7
    return [json.loads(line) for f in files for line in f.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def golden() -> list[GoldenQuestion]:
    return load_golden(SHIPPED)


@pytest.fixture(scope="module")
def training_questions() -> list[str]:
    return [m["content"] for p in pairs() for m in p["messages"] if m["role"] == "user"]


@pytest.fixture(scope="module")
def answers_of() -> dict[str, str]:
    """Source id → all trained answers that cite it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for pair in pairs():
        answer = pair["messages"][-1]["content"]
        for source in re.findall(r"<<SRC:(.+?)>>", answer):
            found[source].append(answer)
    return {source: " ".join(answers) for source, answers in found.items()}


SPELLED = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
NUMBER_WORDS = {word: float(n) for n, word in enumerate(SPELLED, start=1)} | {"sixteen": 16.0}


def numbers(text: str) -> set[float]:
    text = text.lower().replace(",", "")
    found = {float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)}
    return found | {NUMBER_WORDS[w] for w in re.findall(r"[a-z]+", text) if w in NUMBER_WORDS}


# --- the shipped set ---------------------------------------------------------------------------


def test_has_the_design_s_categories_and_counts(golden: list[GoldenQuestion]) -> None:
    assert category_counts(golden) == DESIGN_COUNTS
    assert len(golden) == 170 == len({q.id for q in golden})


def test_labels_fit_together(golden: list[GoldenQuestion]) -> None:
    for q in golden:
        assert q.should_defer == (q.category == "dynamic"), q.id
        if q.should_defer:
            assert not q.citation_expected and not q.expected_sources and not q.key_facts, q.id
            assert q.expected_tools and all(t in q.expected_answer for t in q.expected_tools), q.id
        elif q.citation_expected:
            assert q.expected_sources and q.key_facts and not q.expected_tools, q.id
        else:  # invented things and requests to decline
            assert q.category == "edge_cases", q.id
            assert not q.expected_sources and not q.key_facts and q.forbidden, q.id
    assert sum(not q.should_defer and not q.citation_expected for q in golden) == 8


def test_each_expected_answer_has_its_key_facts_and_nothing_forbidden(
    golden: list[GoldenQuestion],
) -> None:
    for q in golden:
        answer = q.expected_answer.lower()
        for fact in q.key_facts:
            if isinstance(fact, dict):
                assert fact["value"] in numbers(answer), (q.id, fact)
            else:
                assert any(text.lower() in answer for text in fact), (q.id, fact)
        assert not [text for text in q.forbidden if text.lower() in answer], q.id


def test_every_number_asked_for_was_trained_under_an_expected_source(
    golden: list[GoldenQuestion], answers_of: dict[str, str]
) -> None:
    checked = 0
    for q in golden:
        trained = " ".join(answers_of[s] for s in q.expected_sources)
        for fact in q.key_facts:
            if isinstance(fact, dict):
                assert fact["value"] in numbers(trained), (q.id, fact)
                checked += 1
    assert checked > 70


def test_every_name_asked_for_was_trained_under_an_expected_source(
    golden: list[GoldenQuestion], answers_of: dict[str, str]
) -> None:
    for q in golden:
        trained = " ".join(answers_of[s] for s in q.expected_sources).lower()
        for fact in q.key_facts:
            if not isinstance(fact, dict):
                assert any(text.lower() in trained for text in fact), (q.id, fact)


def test_tools_are_those_the_deferral_pairs_name_and_all_are_asked_for(
    golden: list[GoldenQuestion],
) -> None:
    trained = {
        tool
        for pair in pairs()
        for tool in (pair["metadata"].get("source_data") or {}).get("expected_tools", ())
    }
    asked = {tool for q in golden for tool in q.expected_tools}
    assert asked == trained


@pytest.mark.parametrize(
    "name", ["zephyr", "halcyon", "molbrewer", "platinum access", "turbo", "b200"]
)
def test_invented_names_are_asked_about_and_never_trained(
    golden: list[GoldenQuestion], name: str
) -> None:
    assert any(name in q.question.lower() for q in golden)
    assert not [p["id"] for p in pairs() if name in json.dumps(p["messages"]).lower()]


def test_no_question_is_a_near_duplicate_of_a_training_question(
    golden: list[GoldenQuestion], training_questions: list[str]
) -> None:
    assert len(training_questions) > 1400
    questions = [q.question for q in golden]
    found = near_duplicates(questions, training_questions, THRESHOLD)
    assert not [(questions[d.golden], training_questions[d.training], d) for d in found]


def test_no_two_golden_questions_are_near_duplicates(golden: list[GoldenQuestion]) -> None:
    assert near_duplicates_within([q.question for q in golden], THRESHOLD) == []


def test_version_is_the_hash_of_the_bytes(tmp_path: Path) -> None:
    assert golden_sha256(SHIPPED) == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    with pytest.raises(GoldenError, match=r"nowhere\.jsonl"):
        golden_sha256(tmp_path / "nowhere.jsonl")


# --- near duplicates ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("golden", "training", "how"),
    [
        ("what is  GROMACS", "What is GROMACS?", "same"),
        ("Ｗhat is GROMACS?", "What is GROMACS?", "same"),
        (
            "Tell me, my dear: how many GPUs are in one node of it, and then every other detail",
            "How many GPUs are in one node of it?",
            "8 words",
        ),
        ("Which interconnect has Delta?", "What is the interconnect of Delta?", "words"),
        ("List Delta node counts", "What is the node count list for Delta?", "words"),
        ("GROMACS installation locations", "GROMACS installations location?", "words"),
        ("Stampede3 purges scratch files when", "Stampedee3 purges scratch files when", "letters"),
    ],
)
def test_near_duplicates_are_found(golden: str, training: str, how: str) -> None:
    found = near_duplicates(["Where is the moon?", golden], ["Unrelated words", training], 0.7)
    assert [(d.golden, d.training, d.how) for d in found] == [(1, 1, how)]
    assert 0.7 <= found[0].similarity <= 1


def test_other_questions_on_the_same_machine_are_not_near_duplicates() -> None:
    assert not near_duplicates(
        ["How many cores does a Delta node have?"], ["How much memory does a Delta node have?"]
    )
    assert not near_duplicates(["", "?!", "What is it?"], ["", "Who are they all?", "the"])


def test_within_gives_each_couple_once() -> None:
    found = near_duplicates_within(["Is Delta up?", "Where is Anvil?", "is delta up"])
    assert [(d.golden, d.training, d.how) for d in found] == [(0, 2, "same")]


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1])
def test_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        near_duplicates(["a"], ["b"], threshold)


phrases = st.lists(st.sampled_from(["gpu", "cpu", "node", "delta", "anvil", "core"]), max_size=6)


@given(
    st.lists(phrases.map(" ".join), max_size=8),
    st.lists(phrases.map(" ".join), max_size=8),
    st.sampled_from([0.2, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 0.8, 1.0]),
)
def test_no_couple_of_alike_word_sets_is_missed(
    golden: list[str], training: list[str], threshold: float
) -> None:
    found = {(d.golden, d.training) for d in near_duplicates(golden, training, threshold)}
    for i, a in enumerate(golden):
        for j, b in enumerate(training):
            x, y = content_words(a), content_words(b)
            if x | y and len(x & y) / len(x | y) >= threshold:
                assert (i, j) in found


# --- loading -----------------------------------------------------------------------------------


def write(path: Path, *rows: object) -> Path:
    file = path / "golden.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def refused(file: Path) -> GoldenFileError:
    with pytest.raises(GoldenError) as caught:
        load_golden(file)
    error = caught.value
    assert isinstance(error, GoldenFileError)
    assert error.exit_code == 2 and error.file == str(file) and error.try_next
    return error


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    other = GOOD | {
        "id": "dyn-1",
        "category": "dynamic",
        "query_type": "DYNAMIC",
        "citation_expected": False,
        "key_facts": [],
        "expected_tools": ["get_chart_data"],
        "question": "¿Está Delta en línea? \u2028 <<SRC:a:b>>",
    }
    file = write(tmp_path, GOOD, "", other)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    loaded = load_golden(str(file))
    assert [q.should_defer for q in loaded] == [False, True]
    assert loaded[0].key_facts == tuple(GOOD["key_facts"])
    assert [json.loads(json.dumps(q.as_row())) for q in loaded] == [GOOD, other]
    assert load_golden(write(tmp_path, *[q.as_row() for q in loaded])) == loaded
    assert category_counts(loaded) == dict.fromkeys(DESIGN_COUNTS, 0) | {
        "resource_specs": 1,
        "dynamic": 1,
    }


def test_own_fields_are_passed_over_and_forbidden_may_be_left_out(tmp_path: Path) -> None:
    row = {k: v for k, v in GOOD.items() if k != "forbidden"} | {"reviewed_by": "me"}
    assert load_golden(write(tmp_path, row))[0].forbidden == ()


@pytest.mark.parametrize("name", [k for k in GOOD if k != "forbidden"])
def test_missing_label(tmp_path: Path, name: str) -> None:
    error = refused(
        write(tmp_path, GOOD | {"id": "x"}, {k: v for k, v in GOOD.items() if k != name})
    )
    assert (error.line, error.field) == (2, name)
    assert "missing" in error.what and name in error.try_next


NUMBER = {"type": "number", "value": 1, "unit": "GB"}


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"id": ""}, "id", "empty"),
        ({"id": 7}, "id", "not a text"),
        ({"question": None}, "question", "not a text"),
        ({"question": " \t"}, "question", "empty"),
        ({"expected_answer": "\ud800"}, "expected_answer", "surrogate"),
        ({"category": "resource_spec"}, "category", "resource_spec"),
        ({"category": []}, "category", "not a text"),
        ({"query_type": "static"}, "query_type", "static"),
        ({"citation_expected": "yes"}, "citation_expected", "true or false"),
        ({"citation_expected": 1}, "citation_expected", "true or false"),
        ({"query_type": "DYNAMIC"}, "citation_expected", "DYNAMIC"),
        ({"expected_sources": "doc:x"}, "expected_sources", "not a list"),
        ({"expected_sources": ["delta"]}, "expected_sources[0]", "source id"),
        ({"expected_sources": ["a:b", ":x"]}, "expected_sources[1]", "source id"),
        ({"expected_sources": ["a b:x"]}, "expected_sources[0]", "source id"),
        ({"expected_sources": ["<<SRC:a:b>>"]}, "expected_sources[0]", "source id"),
        ({"expected_tools": [""]}, "expected_tools[0]", "empty"),
        ({"expected_tools": {}}, "expected_tools", "not a list"),
        ({"forbidden": [1]}, "forbidden[0]", "not a text"),
        ({"key_facts": {}}, "key_facts", "not a list"),
        ({"key_facts": ["256 GB"]}, "key_facts[0]", "neither"),
        ({"key_facts": [["a"], []]}, "key_facts[1]", "no alternative"),
        ({"key_facts": [["a", 1]]}, "key_facts[0]", "not a text"),
        ({"key_facts": [NUMBER | {"type": "date"}]}, "key_facts[0].type", "date"),
        ({"key_facts": [NUMBER | {"value": "1"}]}, "key_facts[0].value", "finite number"),
        ({"key_facts": [NUMBER | {"value": True}]}, "key_facts[0].value", "finite number"),
        ({"key_facts": [NUMBER | {"value": float("nan")}]}, "key_facts[0].value", "finite"),
        ({"key_facts": [NUMBER | {"value": 10**400}]}, "key_facts[0].value", "finite"),
        ({"key_facts": [NUMBER | {"unit": None}]}, "key_facts[0].unit", "no text"),
        ({"key_facts": [NUMBER | {"tolerance": 1}]}, "key_facts[0].tolerance", "0…1"),
        ({"key_facts": [NUMBER | {"aliases": "x"}]}, "key_facts[0].aliases", "not a list"),
        ({"key_facts": [NUMBER | {"aliases": [" "]}]}, "key_facts[0].aliases[0]", "empty"),
        ({"key_facts": [NUMBER | {"units": "GB"}]}, "key_facts[0].units", "unknown"),
    ],
)
def test_wrong_label(tmp_path: Path, change: dict[str, Any], field: str, says: str) -> None:
    error = refused(write(tmp_path, GOOD | {"id": "x"}, GOOD | change))
    assert (error.line, error.field) == (2, field)
    assert len(error.faults) == 1
    assert says in error.what
    assert f"{error.file}:2: {field}" in error.what


def test_near_category_is_suggested(tmp_path: Path) -> None:
    error = refused(write(tmp_path, GOOD | {"category": "edge_case"}))
    assert "did you mean 'edge_cases'?" in error.try_next and "comparisons" in error.try_next


def test_misspelt_optional_field_is_no_note(tmp_path: Path) -> None:
    row = {("forbiden" if k == "forbidden" else k): v for k, v in GOOD.items()}
    error = refused(write(tmp_path, row))
    assert error.field == "forbiden" and "forbidden" in error.try_next


def test_repeated_id_names_both_lines(tmp_path: Path) -> None:
    error = refused(write(tmp_path, GOOD, "", GOOD | {"question": "Another one?"}))
    assert (error.line, error.field) == (3, "id")
    assert "line 1" in error.what


def test_repeated_key_in_one_object(tmp_path: Path) -> None:
    row = json.dumps(GOOD)[:-1] + ', "category": "software"}'
    error = refused(write(tmp_path, row))
    assert error.field == "category" and "twice" in error.what


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "x",', "not JSON at column"),
        ("nonsense", "not JSON at column 1"),
        ("[1]", "a list, not an object"),
        ("null", "a NoneType, not an object"),
        ("[" * 200_000, "cannot be read"),
        ("9" * 5_000, "cannot be read"),
    ],
)
def test_line_that_is_no_object(tmp_path: Path, line: str, says: str) -> None:
    error = refused(write(tmp_path, GOOD, line))
    assert error.line == 2 and says in error.what


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff \n"])
def test_empty_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "golden.jsonl"
    file.write_text(content, "utf-8")
    error = refused(file)
    assert error.line == 0 and "holds no question" in error.what


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nowhere.jsonl").what
    assert "cannot be read" in refused(tmp_path).what
    file = write(tmp_path, GOOD)
    file.write_bytes(file.read_bytes() + b'{"id": "\xff"}\n')
    error = refused(file)
    assert error.line == 2 and "UTF-8" in error.what


def test_all_faults_are_told_but_not_a_flood(tmp_path: Path) -> None:
    error = refused(write(tmp_path, *[{"id": f"q{n}"} for n in range(30)]))
    assert len(error.faults) == 30 * 8
    assert "and 234 more faults" in error.why and len(str(error)) < 2000


def test_hostile_values_are_shown_escaped_and_short(tmp_path: Path) -> None:
    evil = "\x1b[2J\u202e" + "x" * 100_000
    error = refused(write(tmp_path, GOOD | {"category": evil}))
    assert "\x1b" not in str(error) and "\u202e" not in str(error) and len(str(error)) < 500
    error = refused(
        write(
            tmp_path,
            '{"'
            + "\\u001bforbidden"
            + '": 1, '
            + json.dumps(GOOD)[1:-1].replace('"forbidden": []', '"x": 1')
            + "}",
        )
    )
    assert "\x1b" not in str(error)
