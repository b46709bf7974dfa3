"""Reading pairs: every faulty row is found, named and kept aside; good rows go on."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import PairsError
from core.pairs import Pair, Reading, iter_rows, read_pairs, write_pairs
from tests.core.conftest import make_pair

DATA = Path(__file__).parent / "data"
BAD = DATA / "bad_rows.jsonl"
EXPECTED = yaml.safe_load((DATA / "bad_rows.expected.yaml").read_text("utf-8"))


def good_row(**other: Any) -> dict[str, Any]:
    return make_pair(1).to_row() | other


def write(path: Path, *rows: Any) -> Path:
    lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def only_problem(tmp_path: Path, row: Any) -> tuple[str, str | None]:
    (problem,) = read_pairs(write(tmp_path / "a.jsonl", row)).problems
    return problem.code, problem.field


@pytest.mark.parametrize("expected", EXPECTED["lines"], ids=lambda e: f"{e['line']}-{e['code']}")
def test_bad_row(expected: dict[str, Any]) -> None:
    (row,) = [r for r in iter_rows(BAD) if r.line == expected["line"]]
    (problem,) = row.problems
    got = {"code": problem.code, "field": problem.field, "severity": problem.severity}
    assert got == {k: expected[k] for k in got}
    assert (problem.file, problem.line) == (EXPECTED["file"], expected["line"])
    assert problem.usable == (row.pair is not None) == expected["usable"]
    assert problem.what


def test_every_expected_code_is_met_and_no_other() -> None:
    report = read_pairs(BAD)
    assert report.rows == EXPECTED["rows"] == len(report.problems)
    assert {p.code for p in report.problems} == set(EXPECTED["codes"])
    assert [p.id for p in report.pairs] == ["bad_01", "bad_23"]


def test_rejects_are_kept_byte_for_byte(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    report = read_pairs(BAD, rejects=rejects)
    raw = BAD.read_bytes().split(b"\n")
    faulty = {p.line for p in report.problems if not p.usable}
    assert rejects.read_bytes().split(b"\n")[:-1] == [raw[n - 1] for n in sorted(faulty)]
    assert report.rejected == len(faulty) == 23


def test_no_rejects_file_when_all_is_well(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    report = read_pairs(write(tmp_path / "a.jsonl", good_row()), rejects=rejects)
    assert report.good == 1 and not report.problems and not rejects.exists()


def test_round_trip(tmp_path: Path) -> None:
    pairs = [make_pair(n, extra={"reviewer": "ada"}) for n in range(3)]
    assert write_pairs(tmp_path / "a.jsonl", pairs) == 3
    assert read_pairs(tmp_path / "a.jsonl").pairs == pairs


def test_multi_turn_pairs_are_kept(tmp_path: Path) -> None:
    turns = [
        {"role": role, "content": f"{role} {n}"} for n in range(2) for role in ("user", "assistant")
    ]
    row = good_row(messages=turns, metadata={})
    (pair,) = read_pairs(write(tmp_path / "a.jsonl", row)).pairs
    assert (pair.question, pair.answer, len(pair.messages)) == ("user 0", "assistant 1", 4)


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        (good_row(messages=[]), "turn_count", "messages"),
        (good_row(metadata={"has_citation": "yes"}), "wrong_type", "metadata.has_citation"),
        (good_row(metadata={"has_citation": False}), "citation_flag", "metadata.has_citation"),
        (good_row(id=" "), "invalid_value", "id"),
        (good_row(id="a\nb"), "invalid_value", "id"),
        (good_row(source_ref=None), "wrong_type", "source_ref"),
        (good_row(metadata=None), "wrong_type", "metadata"),
        (good_row(metadata={"note": ["\ud800"]}), "invalid_utf8", "metadata.note[0]"),
        (good_row(metadata={"a": {"b": "\x00"}}), "nul_byte", "metadata.a.b"),
        (b'{"id": 1e999}', "invalid_json", None),
        (b'{"id": NaN}', "invalid_json", None),
        (b"[" * 100_000, "invalid_json", None),
        (b'"text"', "not_an_object", None),
    ],
)
def test_other_faults(tmp_path: Path, row: Any, code: str, field: str | None) -> None:
    assert only_problem(tmp_path, row) == (code, field)


@pytest.mark.parametrize(
    ("contents", "code", "field"),
    [
        ((" ", "x"), "empty_question", "messages[0].content"),
        (("x", "see <<SRC:mars:x>>"), "unknown_domain", "messages[1].content"),
        (("x", "see <<SRC:doc:x"), "malformed_marker", "messages[1].content"),
    ],
)
def test_faults_of_contents(
    tmp_path: Path, contents: tuple[str, str], code: str, field: str
) -> None:
    turns = [
        {"role": role, "content": text}
        for role, text in zip(("user", "assistant"), contents, strict=True)
    ]
    row = good_row(messages=turns, metadata={})
    assert only_problem(tmp_path, row) == (code, field)


def test_an_escaped_backslash_is_no_nul(tmp_path: Path) -> None:
    row = good_row(metadata={"note": "\\u0000 and \\ud800 written out"})
    assert read_pairs(write(tmp_path / "a.jsonl", row)).good == 1


def test_domains_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", good_row())
    assert read_pairs(path, domains=["compute-resources"]).good == 1
    assert read_pairs(path, domains=["doc"]).problems[0].code == "unknown_domain"


def test_ids_are_unique_over_files_and_only_good_rows_take_one(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", good_row(source="nobody"), b"", good_row())
    b = write(tmp_path / "b.jsonl", good_row())
    report = read_pairs([a, b])
    assert [(p.file, p.line, p.code) for p in report.problems] == [
        ("a.jsonl", 1, "invalid_value"),
        ("b.jsonl", 1, "duplicate_id"),
    ]
    assert "line 3 of a.jsonl" in report.problems[1].what
    assert [(f["file"], f["rows"], f["good"]) for f in report.as_json()] == [
        ("a.jsonl", 2, 1),
        ("b.jsonl", 1, 0),
    ]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    a = write(tmp_path / "a.jsonl", b"{")
    b = write(tmp_path / "x" / "a.jsonl", b"{")
    assert [p.file for p in read_pairs([a, b]).problems] == [str(a), str(b)]


def test_a_line_without_end_does_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with open(path, "wb") as f:
        f.write(b'{"id": "' + b"x" * (17 << 20) + b'"}\n')
        f.write(json.dumps(good_row()).encode() + b"\n")
    report = read_pairs(path)
    assert [(p.line, p.code) for p in report.problems] == [(1, "row_too_long")]
    assert (report.rows, report.good) == (2, 1)


def test_a_line_too_long_is_kept_aside_to_its_end(tmp_path: Path) -> None:
    path, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.jsonl"
    long = b'{"id": "' + b"x" * (33 << 20) + b'"}'
    path.write_bytes(json.dumps(good_row()).encode() + b"\n" + long + b"\n{\n" + long)
    report = read_pairs(path, rejects=rejects)
    assert [p.code for p in report.problems] == ["row_too_long", "invalid_json", "row_too_long"]
    assert rejects.read_bytes() == long + b"\n{\n" + long + b"\n"


def test_rejects_never_overwrite_what_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"{")
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(PairsError, match="one of the files"):
        read_pairs(path, rejects=tmp_path / "link")
    assert path.read_bytes() == b"{\n"


def test_a_reading_counts_while_it_goes_and_starts_again(tmp_path: Path) -> None:
    seen: list[str] = []
    path = write(tmp_path / "a.jsonl", good_row(), b"{", good_row(id="b"))
    reading = Reading(path, on_problem=lambda p: seen.append(p.code))
    for _ in range(2):
        assert [p.id for p in reading] == ["pair_00001", "b"]
        assert (reading.rows, reading.good, reading.rejected) == (3, 2, 1)
    assert seen == ["invalid_json"] * 2


def test_a_file_that_is_missing_is_told_before_any_is_read(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", good_row())
    with pytest.raises(PairsError, match="no such file"):
        next(iter(Reading([a, tmp_path / "b.jsonl"])))


def test_rows_are_streamed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_pairs(path, (make_pair(n, extra={"pad": "x" * 4000}) for n in range(3000)))
    tracemalloc.start()
    try:
        assert sum(row.pair is not None for row in iter_rows(path)) == 3000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 4


def test_unreadable_files(tmp_path: Path) -> None:
    write(tmp_path / "pairs.jsonl", good_row())
    with pytest.raises(PairsError) as e:
        read_pairs(tmp_path / "pair.jsonl")
    assert "pairs.jsonl" in e.value.try_next
    with pytest.raises(PairsError, match="cannot be read"):
        read_pairs(tmp_path)


def test_require_pairs_says_why_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(PairsError) as e:
        read_pairs(write(tmp_path / "a.jsonl", b"{")).require_pairs()
    assert "invalid_json" in e.value.why


def test_hashes_ignore_scores_and_nothing_else() -> None:
    pair = make_pair(1)
    scored = make_pair(1, metadata={"has_citation": True, "faithfulness_score": 0.9})
    assert scored.content_hash == pair.content_hash
    for name, value in (("id", "other"), ("metadata", {}), ("domain", "doc"), ("extra", {"a": 1})):
        assert make_pair(1, **{name: value}).content_hash != pair.content_hash
    assert make_pair(1, id="other", metadata={}).lesson_hash == pair.lesson_hash
    assert make_pair(2).lesson_hash != pair.lesson_hash


def test_from_row_refuses_a_faulty_row() -> None:
    assert Pair.from_row(good_row()) == make_pair(1)
    with pytest.raises(PairsError, match="nul_byte"):
        Pair.from_row(good_row(source_ref="\x00"))
    with pytest.raises(PairsError, match="missing_field in id"):
        Pair.from_row({})
