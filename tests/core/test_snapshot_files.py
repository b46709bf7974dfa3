"""A snapshot goes out as files and comes back the same; files that were touched do not come back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import EnvironmentProblem, NotFound, PairsError, Refused
from core.pairs import Message, Pair, read_pairs
from core.registry import Registry, open_registry, search_index, snapshots
from core.registry.search import find
from core.registry.snapshot_files import export, restore
from core.snapshots import Snapshot
from tests.core.conftest import make_pair

DAY = "2026-11-22T23:30:00.125+00:00"
ID = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(
    str.strip
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00<"), min_size=1,
               max_size=60).filter(str.strip)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@st.composite
def some_pairs(draw: st.DrawFn) -> list[Pair]:
    out = []
    for pair_id in draw(st.lists(ID, min_size=1, max_size=5, unique=True)):
        texts = draw(st.lists(TEXT, min_size=2, max_size=4))
        texts = texts[: len(texts) // 2 * 2]
        turns = tuple(Message(("user", "assistant")[n % 2], t) for n, t in enumerate(texts))
        data = draw(st.fixed_dictionaries({"source_data": JSON}))
        extra = draw(st.sampled_from([{}, {"reviewer": "ada"}]))
        out.append(make_pair(1, id=pair_id, messages=turns, metadata=data, extra=extra))
    return out


def exported(reg: Registry, path: Path, numbers: range = range(5), **how: Any) -> Snapshot:
    snapshot = snapshots.freeze(reg, [make_pair(n) for n in numbers], created_at=DAY, **how)
    export(reg, snapshot.id, path)
    return snapshot


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "other.db", seed=False) as registry:
        yield registry


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(some_pairs())
def test_there_and_back(reg: Registry, other: Registry, pairs: list[Pair]) -> None:
    snapshot = snapshots.freeze(reg, pairs, created_at=DAY)
    with tempfile.TemporaryDirectory() as folder:
        export(reg, snapshot.id, Path(folder))
        assert restore(other, Path(folder)) == snapshot == snapshots.load(other, snapshot.id)
    assert snapshots.pairs(other, snapshot.id) == snapshots.pairs(reg, snapshot.id)
    assert snapshots.verify(other, snapshot.id) == () == search_index.pending(other)


def test_the_same_bytes_each_time(reg: Registry, tmp_path: Path) -> None:
    snapshot = exported(reg, tmp_path / "one")
    export(reg, snapshot.id, tmp_path / "two")
    export(reg, snapshot.id, tmp_path / "two")  # over the first
    names = ["manifest.txt", "pairs.jsonl", "snapshot.json"]
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    meta = json.loads((tmp_path / "one" / "snapshot.json").read_text())
    design = "dataset_version qa_pair_count source_breakdown domain_breakdown created_at"
    assert {*design.split()} <= meta.keys()
    assert (tmp_path / "one" / "manifest.txt").read_text() == snapshot.manifest
    assert read_pairs(tmp_path / "one" / "pairs.jsonl").good == 5


def test_beside_a_file(reg: Registry, other: Registry, tmp_path: Path) -> None:
    snapshot = exported(reg, tmp_path / "deep" / "x.jsonl")
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == [
        "x.jsonl", "x.manifest.txt", "x.snapshot.json"]  # fmt: skip
    for _ in range(2):  # the second time changes nothing
        assert restore(other, tmp_path / "deep" / "x.jsonl") == snapshot
        assert len(snapshots.list(other)) == 1


def test_domains_of_the_team_come_back(reg: Registry, other: Registry, tmp_path: Path) -> None:
    pair = make_pair(1, domain="mars", metadata={},
                     messages=(Message("user", "q"), Message("assistant", "<<SRC:mars:x>>")))  # fmt: skip
    snapshot = snapshots.freeze(reg, [pair])
    export(reg, snapshot.id, tmp_path / "x")
    assert restore(other, tmp_path / "x").id == snapshot.id


def test_the_parent_comes_first(reg: Registry, other: Registry, tmp_path: Path) -> None:
    first = exported(reg, tmp_path / "1")
    second = exported(reg, tmp_path / "2", range(6), parent=first.id)
    with pytest.raises(Refused, match=first.id):
        restore(other, tmp_path / "2")
    assert restore(other, tmp_path / "2", keep_parent=False).id == second.id
    with open_registry(tmp_path / "third.db", seed=False) as third:
        restore(third, tmp_path / "1")
        assert restore(third, tmp_path / "2") == second


def test_lost_contents_are_put_back(reg: Registry, tmp_path: Path) -> None:
    snapshot = exported(reg, tmp_path / "x")
    reg.execute("DROP TRIGGER blobs_no_delete")
    reg.execute("DELETE FROM blobs WHERE body LIKE '%question 3%'")
    search_index.forget(reg)
    snapshots.build_search(reg)
    assert snapshots.verify(reg, snapshot.id) and not find(reg, "3")
    restore(reg, tmp_path / "x")
    assert snapshots.verify(reg, snapshot.id) == ()
    assert [h.pair_id for h in find(reg, "3", snapshot=snapshot.id)] == ["pair_00003"]


def edit(name: str, old: bytes, new: bytes) -> Callable[[Path], object]:
    def act(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new, 1))

    return act


@pytest.mark.parametrize(
    ("touch", "told"),
    [
        (edit("pairs.jsonl", b"answer 2", b"lie 2"), "first at pair_00002"),
        (edit("pairs.jsonl", b"pair_00002", b"pair_00009"), "first at pair_00002"),
        (edit("pairs.jsonl", b'"id"', b'"ID"'), "missing_field"),
        (edit("manifest.txt", b"pair_00002", b"pair_00007"), "not the manifest that was exported"),
        (edit("snapshot.json", b"2026-11-22T23", b"2026-11-20T23"), "it is dataset-2026-11-20-"),
        (edit("snapshot.json", b"dataset-2026", b"dataset-2025"), "by its content and time it is"),
        (edit("snapshot.json", b"snapshot 1", b"snapshot 9"), "not a snapshot of the format"),
        (edit("snapshot.json", b"{", b"{{"), "not JSON"),
        (edit("snapshot.json", b"2026-11-22T23:30", b"yesterday"), "it is not a time"),
        (lambda f: (f / "manifest.txt").unlink(), ""),
        (lambda f: (f / "snapshot.json").unlink(), ""),
        (lambda f: (f / "pairs.jsonl").unlink(), ""),
        (lambda f: (f / "pairs.jsonl").write_bytes(b""), "at least one pair"),
    ],
)
def test_touched_files_do_not_come_back(
    reg: Registry, other: Registry, tmp_path: Path, touch: Callable[[Path], object], told: str
) -> None:
    exported(reg, tmp_path / "x")
    touch(tmp_path / "x")
    with pytest.raises(PairsError) as e:
        restore(other, tmp_path / "x")
    assert told in f"{e.value.what} {e.value.why}"
    assert snapshots.list(other) == ()
    assert other.value("SELECT count(*) FROM blobs") == 0


def test_export_of_nothing_and_to_nowhere(reg: Registry, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        export(reg, "dataset-2026-01-01-000000000000", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="cannot be"):
        exported(reg, tmp_path / "file" / "x")
