"""Golden rows as CSV and JSONL: exact both ways; rows written by hand; every fault with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UsageError
from core.evaluation.golden import CATEGORIES, GoldenFileError
from core.evaluation.golden.rows import RowReader
from core.evaluation.golden.tables import (
    fact_of,
    format_of,
    read_table,
    row_text,
    write_table,
)
from tests.evaluation.parts import question

ITEM = question([["256 GB"]]).as_row()

texts = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("'=+-@,;\"\r\n\t[]{}~\0\u2028\ufeff")),
    min_size=1,
    max_size=25,
).filter(str.strip)
numbers = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
number_facts = st.fixed_dictionaries(
    {"type": st.just("number"), "value": numbers, "unit": st.sampled_from(["", "GB", "nodes"])},
    optional={"tolerance": st.floats(0, 0.99), "aliases": st.lists(texts, max_size=2)},
)
lists = st.lists(texts, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=5,
)
notes = st.dictionaries(
    st.sampled_from(["reviewed_by", "=note", "Länge", "x,y", "'"]), json_values, max_size=2
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    row = draw(
        st.fixed_dictionaries(
            {
                "id": texts,
                "category": st.sampled_from(CATEGORIES),
                "question": texts,
                "expected_answer": texts,
                "key_facts": st.lists(
                    st.lists(texts, min_size=1, max_size=2) | number_facts, max_size=3
                ),
                "expected_sources": st.just([]) | st.just(["doc:a b", "compute-resources:=x"]),
                "expected_tools": lists,
                "query_type": st.just("STATIC"),
                "citation_expected": st.booleans(),
            },
            optional={"forbidden": lists, "cluster": texts, "set": texts},
        )
    )
    return {**row, **draw(notes)}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@settings(deadline=None, max_examples=150)
@given(st.lists(rows(), min_size=1, max_size=4))
def test_out_and_in_again_is_exact(
    kind: str, tmp_path_factory: pytest.TempPathFactory, given_rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("t") / f"g.{kind}"
    path.write_bytes(write_table(given_rows, kind))
    table = read_table(path)
    assert not table.faults
    assert [r.data for r in table.rows] == given_rows
    questions = [RowReader("", 1).question(r.data) for r in table.rows]
    assert questions == [RowReader("", 1).question(r) for r in given_rows]
    assert write_table([r.data for r in table.rows], kind) == path.read_bytes()


def test_a_cell_that_a_spreadsheet_would_run_is_disarmed(tmp_path: Path) -> None:
    evil = ITEM | {"question": '=HYPERLINK("http://x")', "expected_answer": "'Disk' is full"}
    data = write_table([evil], "csv")
    assert b"'=HYPERLINK" in data and b"''Disk' is full" in data and b"\n=" not in data
    path = tmp_path / "g.csv"
    path.write_bytes(data)
    assert read_table(path).rows[0].data == evil
    # by hand, an apostrophe is just an apostrophe
    path.write_text("id,category,question\na,dynamic,'Disk quota' again?\n")
    assert read_table(path).rows[0].data["question"] == "'Disk quota' again?"


def test_a_csv_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text(
        "\nid,category,question,expected_answer,key_facts,expected_sources,expected_tools,"
        "query_type,citation_expected,owner\r\n"
        "a,software,Which?,It is X 2.1,X; 2.1; 4 nodes; PBS | PBS Pro,doc:a; doc:b,[],STATIC,TRUE,me\r\n"
        ",,,,,,,,,\r\n"
        '"b",dynamic,"Up,\nnow?",ask,[],[],get_news,DYNAMIC,no,12\r\n'
    )
    table = read_table(path)
    assert not table.faults
    a, b = table.rows
    assert (a.line, b.line) == (3, 5)
    assert a.data["key_facts"] == [
        ["X"],
        ["2.1"],
        {"type": "number", "value": 4, "unit": "nodes"},
        ["PBS", "PBS Pro"],
    ]
    assert a.data["expected_sources"] == ["doc:a", "doc:b"] and a.data["owner"] == "me"
    assert b.data["question"] == "Up,\nnow?" and b.data["expected_tools"] == ["get_news"]
    assert (a.data["citation_expected"], b.data["citation_expected"]) == (True, False)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("256 GB", {"type": "number", "value": 256, "unit": "GB"}),
        ("256GB", {"type": "number", "value": 256, "unit": "GB"}),
        ("4,096 cores", {"type": "number", "value": 4096, "unit": "cores"}),
        ("1.5 TB", {"type": "number", "value": 1.5, "unit": "TB"}),
        ("17", {"type": "number", "value": 17, "unit": ""}),
        ("2.14", ["2.14"]),
        ("2.1.3", ["2.1.3"]),
        ("4x A100", ["4x A100"]),
        ("Slurm|SLURM", ["Slurm", "SLURM"]),
        ("1 September 2022", ["1 September 2022"]),
    ],
)
def test_a_key_fact_written_by_hand(text: str, fact: Any) -> None:
    assert fact_of(text) == fact


HEADER = "id,category,question,key_facts,citation_expected\n"


@pytest.mark.parametrize(
    ("text", "line", "field", "says"),
    [
        ("name,value\na,b\n", 1, "", "no header"),
        ("id,category,questoin\na,b,c\n", 1, "questoin", "unknown column"),
        ("id,category,question,id\n", 1, "id", "twice"),
        (HEADER + "a,b,c,d,true,f,g\n", 2, "", "7 cells under 5"),
        (HEADER + "a,b,c,[1,true\n", 2, "key_facts", "not a JSON list"),
        (HEADER + "a,b,c,[],maybe\n", 2, "citation_expected", "neither true nor false"),
        (HEADER + 'a,b,"c"d,[],true\n', 2, "", "not CSV"),
        (HEADER + 'a,b,c,[],true\nb,"open\n', 3, "", "not CSV"),
        (HEADER + '"a\nb",b,c,[],true\nb,c,d,[],perhaps\n', 4, "citation_expected", "neither"),
    ],
)
def test_wrong_csv(tmp_path: Path, text: str, line: int, field: str, says: str) -> None:
    path = tmp_path / "g.csv"
    path.write_text(text)
    (fault,) = read_table(path).faults
    assert (fault.line, fault.field) == (line, field) and says in fault.what and fault.try_next


def test_good_rows_of_a_faulty_file_are_read(tmp_path: Path) -> None:
    csv = tmp_path / "g.csv"
    csv.write_text(HEADER + "a,b,c,[x,true\nb,b,c,[],true\n")
    assert [r.data["id"] for r in read_table(csv).rows] == ["b"]
    jsonl = tmp_path / "g.jsonl"
    jsonl.write_text('{"id": 1\n\n[]\n{"id": "ok"}\n{"id": "x", "id": "y"}\n')
    table = read_table(jsonl)
    assert [(r.line, r.data) for r in table.rows] == [(4, {"id": "ok"})]
    assert [(f.line, f.field) for f in table.faults] == [(1, ""), (3, ""), (5, "id")]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a format"):
        format_of(tmp_path / "g.xlsx")
    with pytest.raises(GoldenFileError, match="no such file"):
        read_table(tmp_path / "none.csv")
    latin = tmp_path / "g.csv"
    latin.write_bytes(b"id,category\nx,\xe9\n")
    with pytest.raises(GoldenFileError, match="not UTF-8"):
        read_table(latin)


def test_a_note_with_half_a_surrogate_pair_can_still_be_written() -> None:
    row = ITEM | {"note": "\ud800"}
    assert json.loads(row_text(row).encode()) == row
    assert write_table([row], "csv")
    with pytest.raises(UsageError, match="export as JSONL"):
        write_table([ITEM | {"\ud800": 1}], "csv")


def test_megabyte_cells(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    big = ITEM | {"question": "why " * 300_000}
    path.write_bytes(write_table([big], "csv"))
    assert read_table(path).rows[0].data == big
