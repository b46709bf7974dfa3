"""Snapshots are addressed by their content, differ where it differs, and come back unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFound, PairsError, Refused, RegistryError
from core.pairs import Pair, read_pairs
from core.registry import Registry, snapshots
from core.snapshots import diff, freeze
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
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid"):
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
