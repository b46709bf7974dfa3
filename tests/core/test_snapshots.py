"""Snapshots are addressed by their content, differ where it differs, and come back unchanged."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFound, PairsError, Refused, RegistryError
from core.pairs import Message, Pair, read_pairs
from core.registry import Registry, search_index, snapshots
from core.snapshots import Diff, Entry, Snapshot, diff, freeze, parse_manifest
from tests.core.conftest import make_pair

DAY = "2026-11-22T23:30:00+00:00"


def some(*numbers: int) -> list[Pair]:
    return [make_pair(n) for n in numbers]


def test_id_comes_from_day_and_content_alone() -> None:
    a, b = freeze(some(1, 2, 3), created_at=DAY), freeze(some(3, 1, 2), created_at=DAY)
    assert a == b
    assert a.id == f"dataset-2026-11-22-{a.manifest_hash[:12]}"
    assert freeze(some(1, 2), created_at=DAY).id != a.id
    other_zone = freeze(some(1, 2, 3), created_at="2026-11-23T00:30:00+01:00")
    assert (other_zone.id, other_zone.created_at) == (a.id, "2026-11-22T23:30:00.000Z")


def test_breakdowns_and_ids() -> None:
    pairs = [*some(1, 2), make_pair(3, domain="doc", source="user_qa")]
    snapshot = freeze(pairs)
    assert snapshot.pair_ids == ["pair_00001", "pair_00002", "pair_00003"]
    assert snapshot.source_breakdown == {"mcp_extraction": 2, "user_qa": 1}
    assert snapshot.domain_breakdown == {"compute-resources": 2, "doc": 1}


def test_freeze_refuses_nothing_and_two_contents_under_one_id() -> None:
    with pytest.raises(PairsError):
        freeze([])
    with pytest.raises(PairsError, match="twice"):
        freeze([make_pair(1), make_pair(2, id="pair_00001")])
    assert freeze([make_pair(1), make_pair(1)]).pair_count == 1


def test_diff() -> None:
    a = freeze(some(1, 2, 3, 4))
    b = freeze([*some(2, 3), make_pair(4, source_ref="mcp://y"), make_pair(1, id="renamed"),
                *some(5)])  # fmt: skip
    d = diff(a, b)
    assert d.added == ("pair_00005", "renamed")
    assert d.removed == ("pair_00001",)
    assert d.changed == ("pair_00004",)
    # neither a new id nor a new source_ref teaches anything new
    assert (d.new, d.share_new) == (("pair_00005",), 0.2)
    assert diff(None, a).share_new == 1.0


@given(st.sets(st.integers(0, 30), min_size=1), st.sets(st.integers(0, 30), min_size=1))
def test_diff_is_the_difference_of_the_sets(before: set[int], after: set[int]) -> None:
    a, b = freeze(some(*before)), freeze(some(*after))
    d = diff(a, b)
    assert set(d.added) == {make_pair(n).id for n in after - before} == set(d.new)
    assert set(d.removed) == {make_pair(n).id for n in before - after}
    assert not d.changed
    assert d.share_new == len(after - before) / len(after)


@given(st.dictionaries(st.integers(0, 12), st.booleans(), min_size=1),
       st.dictionaries(st.integers(0, 12), st.booleans(), min_size=1))  # fmt: skip
def test_diff_there_and_back(one: dict[int, bool], other: dict[int, bool]) -> None:
    def frozen(numbers: dict[int, bool]) -> Snapshot:
        return freeze(
            make_pair(n, source_ref="mcp://moved" if moved else "mcp://x")
            for n, moved in numbers.items()
        )

    a, b = frozen(one), frozen(other)
    there, back = diff(a, b), diff(b, a)
    assert (there.added, there.removed) == (back.removed, back.added)
    assert set(there.changed) == set(back.changed)
    assert diff(a, a) == Diff((), (), (), (), 0.0)
    ids = (set(a.pair_ids) - set(there.removed)) | set(there.added)
    assert ids == set(b.pair_ids)
    assert (a.manifest_hash == b.manifest_hash) == (
        not (there.added + there.removed + there.changed)
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), min_size=1,
                unique=True))  # fmt: skip
def test_the_manifest_tells_every_id_and_hash(ids: list[str]) -> None:
    snapshot = freeze(make_pair(1, id=i) for i in ids)
    lines = parse_manifest(snapshot.manifest)
    assert lines == [(e.id, e.content_hash) for e in snapshot.entries]
    assert [i for i, _ in lines] == sorted(ids) == snapshot.pair_ids


def test_entries_are_a_sequence() -> None:
    entries = freeze(some(1, 2, 3)).entries
    assert entries[-1] == tuple(entries)[2] == Entry(
        make_pair(3).id, make_pair(3).content_hash, make_pair(3).lesson_hash
    )  # fmt: skip
    assert entries[:2] == tuple(entries)[:2] and len(entries) == 3
    with pytest.raises(IndexError):
        entries[3]
    assert entries != freeze(some(1, 2, 4)).entries and hash(entries) == hash(
        freeze(some(3, 2, 1)).entries
    )


@pytest.mark.parametrize("count", [3, 10])
def test_frozen_in_one_pass_it_is_the_same_snapshot(
    reg: Registry, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Bundles of three: with ten pairs they do not fit in one transaction."""
    monkeypatch.setattr(snapshots, "BUNDLE_PAIRS", 4)
    pairs = some(*range(count))
    snapshot = snapshots.freeze(reg, iter(pairs), created_at=DAY)
    assert snapshot == freeze(pairs, created_at=DAY) == snapshots.load(reg, snapshot.id)
    assert snapshots.pairs(reg, snapshot.id) == tuple(sorted(pairs, key=lambda p: p.id))
    assert snapshots.verify(reg, snapshot.id) == () == search_index.pending(reg)
    assert [p.id for p in snapshots.iter_pairs(reg, snapshot.id, ["pair_00001", "none"])] == [
        "pair_00001"
    ]
    assert snapshots.freeze(reg, pairs, created_at=DAY).id == snapshot.id
    assert len(snapshots.list(reg)) == 1


def test_freezing_nothing_stores_nothing(reg: Registry) -> None:
    with pytest.raises(PairsError):
        snapshots.freeze(reg, [])
    with pytest.raises(PairsError, match="twice"):
        snapshots.freeze(reg, [make_pair(1), make_pair(2, id="pair_00001")])
    with pytest.raises(NotFound):
        snapshots.freeze(reg, some(1), parent="dataset-2026-01-01-000000000000")
    assert snapshots.list(reg) == () and reg.value("SELECT count(*) FROM blobs") == 0


def test_memory_does_not_grow_with_the_text(reg: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times the pairs, each of 8 kB: what is added is ids and hashes."""
    for module in (snapshots, search_index):
        monkeypatch.setattr(module, "BUNDLE_CHARS", 400_000)

    def peak(count: int) -> int:
        long = "much text " * 800
        pairs = (
            make_pair(n, messages=(Message("user", f"q {n}"), Message("assistant", long + str(n))))
            for n in range(count)
        )
        tracemalloc.start()
        try:
            snapshots.freeze(reg, pairs)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    snapshots.freeze(reg, some(0))  # imports
    small = peak(300)
    assert peak(900) - small < 600 * 1000
    assert small > 300 * 1000  # the measure does see the text of some bundles


def test_stored_and_restored(reg: Registry, tmp_path: Path) -> None:
    pairs = [*some(2, 1), make_pair(3, metadata={"relevance_score": 1, "complexity": "simple"})]
    snapshot = freeze(pairs, created_at=DAY)
    for _ in range(2):
        assert snapshots.save(reg, snapshot, pairs) == snapshot.id
    assert snapshots.load(reg, snapshot.id) == snapshot
    assert [row.dataset_version for row in snapshots.list(reg)] == [snapshot.id]
    assert snapshots.write_jsonl(reg, snapshot.id, tmp_path / "out.jsonl") == 3
    restored = read_pairs(tmp_path / "out.jsonl")
    assert not restored.problems
    assert freeze(restored.pairs, created_at=DAY) == snapshot
    assert snapshots.verify(reg, snapshot.id) == ()


def test_content_is_stored_once(reg: Registry) -> None:
    first = freeze(some(1, 2, 3), created_at=DAY)
    snapshots.save(reg, first, some(1, 2, 3))
    second = freeze(some(1, 2, 4), first, DAY)
    snapshots.save(reg, second, some(1, 2, 4))
    assert reg.value("SELECT count(*) FROM blobs") == 4
    assert snapshots.row(reg, second.id).parent == first.id


def test_save_refuses_other_pairs_and_unknown_parents(reg: Registry) -> None:
    with pytest.raises(Refused, match="not those"):
        snapshots.save(reg, freeze(some(1, 2)), some(1, 3))
    with pytest.raises(NotFound):
        snapshots.save(reg, freeze(some(1), "dataset-2026-01-01-000000000000"), some(1))
    assert reg.value("SELECT count(*) FROM blobs") == 0


def test_a_snapshot_cannot_be_changed(reg: Registry) -> None:
    snapshots.save(reg, freeze(some(1)), some(1))
    for table in ("snapshots", "blobs"):
        changes = [f"DELETE FROM {table}"] + [
            f"UPDATE {table} SET {column['name']} = {column['name']}"
            for column in reg.rows(f"PRAGMA table_info({table})")
        ]
        for sql in changes:
            with pytest.raises(RegistryError, match="refused"):
                reg.execute(sql)


def test_verify_finds_a_changed_and_a_missing_pair(reg: Registry) -> None:
    snapshot = freeze(some(1, 2))
    snapshots.save(reg, snapshot, some(1, 2))
    for trigger in ("blobs_no_update", "blobs_no_delete"):
        reg.execute(f"DROP TRIGGER {trigger}")
    first, second = (e.content_hash for e in snapshot.entries)
    reg.execute("UPDATE blobs SET body = replace(body, 'answer', 'lie') WHERE hash = ?", (first,))
    reg.execute("DELETE FROM blobs WHERE hash = ?", (second,))
    assert snapshots.verify(reg, snapshot.id) == (
        "the content of pair_00001 was changed",
        "the content of pair_00002 is missing",
    )
    with pytest.raises(RegistryError, match="missing"):
        snapshots.pairs(reg, snapshot.id)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE blobs SET lesson = '0000000000000000' WHERE rowid = 2",
         "the hash of what pair_00002 teaches was changed"),
        ("UPDATE snapshots SET pair_count = 7", "3 lines in the manifest, 7 pairs counted"),
        ("UPDATE snapshots SET manifest = x'00'", "the manifest cannot be read"),
        ("UPDATE snapshots SET manifest = substr(manifest, 1, length(manifest) - 12)",
         "the manifest cannot be read"),
        ("UPDATE snapshots SET manifest_hash = 'a'", "not the one the snapshot is named after"),
        ("UPDATE snapshots SET source_breakdown = '{}'", "the counts by source"),
    ],
)  # fmt: skip
def test_verify_finds_every_damage(reg: Registry, damage: str, told: str) -> None:
    snapshot = freeze(some(1, 2, 3))
    snapshots.save(reg, snapshot, some(1, 2, 3))
    for table in ("blobs", "snapshots"):
        reg.execute(f"DROP TRIGGER {table}_no_update")
    reg.execute(damage)
    assert told in snapshots.verify(reg, snapshot.id)[0]
