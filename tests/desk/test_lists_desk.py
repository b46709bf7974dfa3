"""Versions, sources and unknown ids page by page, from a real registry."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import paging
from core.paging import Listing, Part
from core.registry import open_registry
from core.registry import sources as registry_sources
from core.registry.store import Registry
from tui.desk.api import SourceRow, UnknownRow
from tui.desk.api_lists import Wanted
from tui.desk.workbench import Workbench
from tui.present import sources, versions

N = 350


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    monkeypatch.setenv("QA_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("QA_REGISTRY", str(tmp_path / "registry.db"))
    found = Workbench("sandbox")
    yield found
    found.close()


@pytest.fixture
def filled(bench: Workbench) -> Workbench:
    def fill(reg: Registry) -> None:
        rows = [
            {"source_id": f"doc:guide-{n:04}", "display_name": f"Guide {N - n:04}",
             "url": f"https://example.org/{n}"}
            for n in range(N)
        ]  # fmt: skip
        rows.append({"source_id": "doc:old", "display_name": "Old", "url": "", "status": "renamed",
                     "renamed_to": "doc:older"})  # fmt: skip
        rows.append({"source_id": "doc:older", "display_name": "Older", "url": "", "status": "renamed",
                     "renamed_to": "doc:guide-0001"})  # fmt: skip
        registry_sources.upsert_many(reg, rows, why="test")
        for n in range(40):
            registry_sources.note_unknown(
                reg, f"doc:guide-{n:04}x", example=f"answer {n}", occurrences=n + 1
            )

    bench.write(fill)
    return bench


def test_pages_of_sources_are_the_whole_list_in_order(filled: Workbench) -> None:
    lists = filled.lists
    for order, descending in (("id", False), ("id", True), ("name", False), ("address", True)):
        wanted = Wanted("doc:", order, descending)
        total = lists.count("sources", wanted)
        assert total >= N + 2
        found = [
            r for at in range(0, total + 100, 100) for r in lists.rows("sources", wanted, at, 100)
        ]
        assert len(found) == len({r.source_id for r in found}) == total  # type: ignore[union-attr]
        for at in (0, 99, 100, total - 1):
            row = found[at]
            assert isinstance(row, SourceRow)
            assert lists.place("sources", wanted, row.source_id) == at
    assert lists.place("sources", Wanted("guide"), "doc:old") is None


def test_a_renamed_source_leads_where_its_chain_ends(filled: Workbench) -> None:
    (row,) = filled.lists.rows("sources", Wanted("doc:old !older"), 0, 5)
    assert isinstance(row, SourceRow)
    assert (row.leads_to, row.link) == ("doc:guide-0001", "https://example.org/1")


def test_a_circle_of_names_ends(filled: Workbench) -> None:
    rows = [
        {"source_id": f"doc:c{n}", "display_name": "c", "status": "renamed", "renamed_to": f"doc:c{1 - n}"}
        for n in (0, 1)
    ]  # fmt: skip
    filled.write(lambda reg: registry_sources.upsert_many(reg, rows))
    (row,) = filled.lists.rows("sources", Wanted("doc:c0"), 0, 9)
    assert isinstance(row, SourceRow) and row.leads_to == "doc:c1"


def test_unknown_ids_the_most_cited_first_and_settled_ones_go(filled: Workbench) -> None:
    lists, wanted = filled.lists, Wanted(order="cited", descending=True)
    before = lists.stamp()
    first = lists.rows("unknown", wanted, 0, 3)
    assert [r.occurrences for r in first if isinstance(r, UnknownRow)] == [40, 39, 38]
    filled.dismiss_source("doc:guide-0039x", "never existed")
    assert lists.stamp() != before, "another connection's change is seen"
    assert lists.stamp() == lists.stamp()
    assert lists.count("unknown", wanted) == 39
    assert lists.place("unknown", wanted, "doc:guide-0039x") is None


def test_near_offers_the_likest_of_the_same_domain_first(filled: Workbench) -> None:
    found = filled.lists.near("doc:guide-0123x")
    assert found[0].source_id == "doc:guide-0123"
    only = filled.lists.near("doc:guide-0123x", "0200")
    assert [s.source_id for s in only if "guide-0200" in s.source_id] == ["doc:guide-0200"]
    assert filled.lists.near("nowhere:zzz%_", "no such word") == ()


def test_every_column_that_sorts_can_be_asked_for(filled: Workbench) -> None:
    from tui.desk.lists_desk import LISTED

    shown = {"versions": versions.COLUMNS, "sources": sources.KNOWN, "unknown": sources.UNKNOWN}
    for what, columns in shown.items():
        names = {c.name for c in columns if c.sorts}  # type: ignore[attr-defined]
        assert names <= set(LISTED[what][0].orders)
        for name in names:
            assert filled.lists.rows(what, Wanted("", name, True), 0, 5) is not None  # type: ignore[arg-type]


def test_versions_are_ordered_by_number_not_by_letters(bench: Workbench) -> None:
    with open_registry() as reg:
        _versions(reg.conn, 30)
    rows = bench.lists.rows("versions", Wanted(order="version", descending=True), 0, 12)
    names = [r.model_version for r in rows]  # type: ignore[union-attr]
    assert names[:3] == ["access-qa-v1.29.0", "access-qa-v1.28.0", "access-qa-v1.27.0"]
    best = bench.lists.rows("versions", Wanted(order="accuracy", descending=True), 0, 1)[0]
    assert best.headline["accuracy"] == 0.29  # type: ignore[union-attr]
    found = bench.lists.rows("versions", Wanted("snapshot-x"), 0, 10)
    assert found == [] or all("snapshot-x" in str(r) for r in found)
    assert bench.lists.place("versions", Wanted(order="version"), "access-qa-v1.7.0") == 7
    assert [v.model_version for v in bench.versions()][:2] == names[:2]


def _versions(db: sqlite3.Connection, count: int) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    db.executemany(
        "INSERT INTO versions (model_version, major, minor, patch, base_model, dataset_version,"
        " training_config, eval_metrics, created_at, created_by, status, bump_part, bump_reason,"
        " reproducibility, note) VALUES (?, 1, ?, 0, 'base', 'data', '{}', ?, '2026-11-22', 'me',"
        " 'candidate', 'minor', '', '{}', '')",
        ((f"access-qa-v1.{n}.0", n, f'{{"accuracy": {n / 100}}}') for n in range(count)),
    )


# paging, on its own


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    db = sqlite3.connect(tmp_path_factory.mktemp("paging") / "n.db")
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER NOT NULL) WITHOUT ROWID")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((f"{n:05}", n * 7 % 11) for n in range(3000)))
    return db


LISTING = Listing("t", "id", orders={"v": ("v",), "": ("id",)}, searched=("id",))


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 3100), st.integers(1, 300), st.sampled_from(["", "v", "no such order"]),
    st.booleans(), st.sampled_from(["", "1", "1 2", "!0", "zz", "%", "_"]),
)  # fmt: skip
def test_any_page_is_the_slice_of_the_whole(
    numbers: sqlite3.Connection, offset: int, limit: int, order: str, down: bool, words: str
) -> None:
    def read(sql: str, values: object) -> list[tuple[str, int]]:
        return numbers.execute(sql, values).fetchall()  # type: ignore[arg-type]

    part = Part(words, order, down)
    rows = [(f"{n:05}", n * 7 % 11) for n in range(3000)]
    for word in words.split():
        keep = word.removeprefix("!")
        rows = [r for r in rows if (keep in r[0]) != (word != keep)]
    rows.sort(key=lambda r: (r[1], r[0]) if order == "v" else (r[0],), reverse=down)
    assert list(paging.page(read, LISTING, part, offset, limit)) == rows[offset : offset + limit]
    assert paging.count(read, LISTING, part) == len(rows)
    if offset < len(rows):
        assert paging.index_of(read, LISTING, part, rows[offset][0]) == offset


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60),
    st.sampled_from(["", "score"]),
    st.booleans(),
    st.integers(1, 7),
)
@settings(max_examples=60, deadline=None)
def test_pages_beside_a_known_row_are_those_of_their_place(
    scores: list[int], order: str, descending: bool, limit: int
) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY, score INTEGER NOT NULL)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((f"k{n:02}", s) for n, s in enumerate(scores)))
    listing = Listing("t", "id", orders={"": ("id",), "score": ("score", "id")}, searched=("id",))
    part = Part(order=order, descending=descending)

    def read(sql: str, values: object) -> list[tuple[str, int]]:
        return db.execute(sql, values).fetchall()  # type: ignore[arg-type]

    keys = [r[0] for r in paging.page(read, listing, part, 0, 100)]
    for at in range(len(keys)):
        ahead = paging.page(read, listing, part, at + 1, limit, after=keys[at])
        assert [r[0] for r in ahead] == keys[at + 1 : at + 1 + limit]
        if at >= limit:
            behind = paging.page(read, listing, part, at - limit, limit, before=keys[at])
            assert [r[0] for r in behind] == keys[at - limit : at]
    gone = paging.page(read, listing, part, 0, limit, after="no such row")
    assert [r[0] for r in gone] == keys[:limit], "its place is looked for then"


def test_a_walk_gives_each_row_once_while_others_come_and_go() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY)")
    db.executemany("INSERT INTO t VALUES (?)", ((f"k{n:04}",) for n in range(0, 1000, 2)))
    listing = Listing("t", "id", orders={"": ("id",)})

    def read(sql: str, values: object) -> list[tuple[str]]:
        return db.execute(sql, values).fetchall()  # type: ignore[arg-type]

    found: list[str] = []
    while some := paging.page(
        read, listing, Part(), len(found), 50, after=found[-1] if found else ""
    ):
        found += [r[0] for r in some]
        n = len(found)
        db.execute("INSERT INTO t VALUES (?)", (f"a{n:04}-new",))  # before where it reads
        db.execute("DELETE FROM t WHERE id = ?", (found[n // 2],))  # and one that was read
    assert sorted(set(found)) == sorted(found)
    assert {f"k{n:04}" for n in range(0, 1000, 2)} <= set(found)
