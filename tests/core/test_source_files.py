"""Source registries as files: every format gives back what was written; what is no source is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.citations import SourceIndex, classify
from core.errors import QAError, UsageError
from core.registry import Registry, audit, source_patterns, sources
from core.source_files import FORMATS, fill, pattern_problem, read_sources, write_sources

# CSV cannot tell an empty text from none, and YAML holds no lone control characters: nor does a name.
SIGNS = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\ufeff")
NAMES = st.text(SIGNS, min_size=1, max_size=20)
ENTITIES = st.from_regex(r"[A-Za-z0-9 .:_é-]{1,12}", fullmatch=True).filter(
    lambda e: e == e.strip()
)


@st.composite
def registries(draw: st.DrawFn) -> list[dict[str, Any]]:
    ids = draw(st.lists(ENTITIES, unique=True, min_size=1, max_size=6))
    rows = []
    for entity in ids:
        status = draw(st.sampled_from(["active", "renamed", "tombstoned"]))
        rows.append(
            {
                "source_id": f"doc:{entity}",
                "display_name": draw(NAMES),
                "url": draw(st.sampled_from(["", "https://x.org/a?b=c&d", "http://y.org"])),
                "status": status,
                "renamed_to": draw(st.sampled_from([None, "doc:z"]))
                if status == "renamed"
                else None,
                "checked_at": draw(st.sampled_from([None, "2026-11-22T09:00:00Z"])),
            }
        )
    return rows


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=registries())
def test_what_is_written_is_read_back(
    tmp_path: Path, kind: str, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path / f"sources.{kind}"
    patterns = {"doc": "https://x.org/{entity_id}"}
    text = write_sources(rows, patterns, kind)
    path.write_text(text, "utf-8", newline="")
    got = read_sources(path)
    assert got.faults == []
    assert got.rows == sorted(rows, key=lambda r: str(r["source_id"]))
    assert got.patterns == (patterns if kind in ("yaml", "json") else {})
    assert write_sources(reversed(got.rows), patterns, kind) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.binary(max_size=60), kind=st.sampled_from(FORMATS))
def test_no_bytes_break_the_reader(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / f"odd.{kind}"
    path.write_bytes(data)
    try:
        assert isinstance(read_sources(path).rows, list)
    except QAError as e:
        assert e.what


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"source_id": "nodomain"}, "domain:entity_id"),
        ({"source_id": "doc:a>>b"}, "domain:entity_id"),
        ({"source_id": "doc:a", "status": "gone"}, "status"),
        ({"source_id": "doc:a", "renamed_to": "doc:b"}, "status is active"),
        ({"source_id": "doc:a", "url": "javascript:alert(1)"}, "http"),
        ({"source_id": "doc:a", "url": 3}, "url is not a text"),
        ({"source_id": "doc:a", "uri": "https://x.org"}, "unknown field 'uri'"),
        ("doc:a", "not a mapping"),
    ],
)
def test_a_faulty_row_is_named_and_the_others_are_read(tmp_path: Path, row: Any, says: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps([{"source_id": "doc:good"}, row, {"source_id": "doc:good"}]))
    got = read_sources(path)
    assert [r["source_id"] for r in got.rows] == ["doc:good"]
    assert [f.row for f in got.faults] == [2, 3]
    assert says in got.faults[0].what and "twice" in got.faults[1].what


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, text in (("a.txt", ""), ("a.json", "{"), ("a.csv", "name\nx\n"), ("a.json", "{}")):
        (tmp_path / name).write_text(text)
        with pytest.raises(UsageError):
            read_sources(tmp_path / name)


def test_patterns_fill_in_entities_and_nothing_else() -> None:
    template = "https://x.org/r/{entity_id}?v=1"
    assert pattern_problem("doc", template) is None
    assert fill(template, "a b/../c?d#e") == "https://x.org/r/a%20b%2F..%2Fc%3Fd%23e?v=1"
    for bad in ("https://{entity_id}/", "ftp://x.org/{entity_id}", "https://x.org/", 3):
        assert pattern_problem("doc", bad)
    assert pattern_problem("a b", template)


def test_an_unknown_source_is_settled_in_three_ways(reg: Registry) -> None:
    sources.upsert_many(reg, [{"source_id": "doc:real", "url": "https://x.org/r/real"}])
    source_patterns.set_pattern(reg, "doc", "https://x.org/r/{entity_id}")
    for name in ("doc:new", "doc:other", "doc:wrong"):
        sources.note_unknown(reg, name)
    assert source_patterns.proposed_url(reg, "doc:new") == "https://x.org/r/new"
    assert source_patterns.proposed_url(reg, "web:new") is None
    sources.resolve_unknown(reg, "doc:new", "New", "https://x.org/r/new", who="ada")
    sources.alias_unknown(reg, "doc:other", "doc:real", who="ada")
    sources.dismiss_unknown(reg, "doc:wrong", "never was", who="ada")
    text = "<<SRC:doc:new>> <<SRC:doc:other>> <<SRC:doc:wrong>>"
    index = sources.index(reg)
    assert [c.cls for c in classify(text, index)] == ["known", "stale", "unknown_entity"]
    assert index.resolve("doc:other") == index.by_id["doc:real"]
    assert sources.unknown(reg) == () and audit.verify(reg).ok
    assert source_patterns.astray(reg, SourceIndex.load(sources.rows(reg))) == ("doc:other",)
    for bad in (("doc:new", " ", ""), ("doc:new", "x", "ftp://x")):
        with pytest.raises(UsageError):
            sources.resolve_unknown(reg, *bad)


def test_search_takes_every_sign_literally(reg: Registry) -> None:
    sources.upsert_many(reg, [{"source_id": "doc:a_b%c"}, {"source_id": "doc:aXbYc"}])
    assert [s.source_id for s in sources.search(reg, "A_B%")] == ["doc:a_b%c"]
    assert len(sources.search(reg, "")) == 2 and sources.search(reg, "'; --") == ()
