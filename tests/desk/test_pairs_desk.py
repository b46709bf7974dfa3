"""Pairs page by page from a real registry and a real file, and one of them in full."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import Cancelled, NotFound
from core.registry import snapshots
from tests.core.conftest import make_pair
from tui.desk.api_lists import Wanted
from tui.desk.api_pairs import PairsOf
from tui.desk.workbench import Workbench

N = 300


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    for name in ("STATE", "CACHE"):
        monkeypatch.setenv(f"QA_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("QA_REGISTRY", str(tmp_path / "registry.db"))
    found = Workbench("sandbox")
    yield found
    found.close()


def _whole(bench: Workbench, of: PairsOf) -> None:
    bench.pairs.enter(of)
    end = time.monotonic() + 30
    while not bench.pairs.state(of).complete:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_pairs_of_a_snapshot(bench: Workbench) -> None:
    frozen = bench.write(lambda reg: snapshots.freeze(reg, map(make_pair, range(N))))
    of, there = PairsOf("snapshot", frozen.id), bench.pairs
    _whole(bench, of)
    assert there.count(of, Wanted()) == N and there.count(of, Wanted("r299")) == 1
    down = Wanted(order="id", descending=True)
    first = there.rows(of, down, 0, 100)
    following = Wanted(order="id", descending=True, after=str(first[-1].n))
    assert [r.id for r in there.rows(of, following, 100, 2)] == ["pair_00199", "pair_00198"]
    assert there.place(of, down, str(first[7].n)) == 7
    view = there.pair(of, first[0].n)
    assert view.row.id == "pair_00299" and view.source_ref == "mcp://x"
    assert view.turns[1] == ("assistant", "answer 299. <<SRC:compute-resources:r299>>")
    assert "has_citation" in view.more and len(view.content_hash) == 64
    with pytest.raises(NotFound):
        there.pair(of, N + 1)
    there.leave(of)
    with pytest.raises(Cancelled):
        there.count(of, Wanted())
    there.enter(of)
    assert there.state(of).complete, "it is laid out already"
    with pytest.raises(NotFound):
        _whole(bench, PairsOf("snapshot", "dataset-of-nobody"))


def test_the_rows_of_a_file_with_what_is_wrong(bench: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = [json.dumps(make_pair(n).to_row()) for n in range(3)]
    path.write_text("\n".join([lines[0], '{"id": "x"}', *lines[1:]]) + "\n", "utf-8")
    of = PairsOf("file", str(path))
    _whole(bench, of)
    rows = bench.pairs.rows(of, Wanted(), 0, 10)
    assert [r.n for r in rows if r.fault] == [2]
    bad = bench.pairs.pair(of, 2)
    assert bad.text.strip() == '{"id": "x"}' and bad.faults and not bad.turns
    assert bench.pairs.pair(of, 4).turns[0] == ("user", "question 2?")


def test_a_list_stays_until_all_who_read_it_have_left(bench: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(make_pair(n).to_row()) + "\n" for n in range(3)), "utf-8")
    of, there = PairsOf("file", str(path)), bench.pairs
    _whole(bench, of)
    there.enter(of)  # e.g. who writes it to a file
    there.leave(of)
    assert there.count(of, Wanted()) == 3
    there.leave(of)
    with pytest.raises(Cancelled):  # a late answer does not open it again
        there.rows(of, Wanted(), 0, 10)
    path.write_text(json.dumps(make_pair(7).to_row()) + "\n", "utf-8")
    _whole(bench, of)
    assert [r.id for r in there.rows(of, Wanted(), 0, 10)] == ["pair_00007"]


def test_a_file_that_has_changed_shows_no_other_pair(bench: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = [json.dumps(make_pair(n).to_row()) + "\n" for n in range(3)]
    path.write_text("".join(lines), "utf-8")
    of = PairsOf("file", str(path))
    _whole(bench, of)
    assert bench.pairs.pair(of, 2).turns[0] == ("user", "question 1?")
    path.write_text("".join([json.dumps(make_pair(9).to_row()) + "\n", *lines]), "utf-8")
    with pytest.raises(NotFound, match="has changed"):
        bench.pairs.pair(of, 2)


def test_a_long_line_is_read_to_its_end(bench: Workbench, tmp_path: Path) -> None:
    row = make_pair(1).to_row()
    row["metadata"] = {"source_data": {"note": "x" * (1 << 20)}}
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(row) + "\n", "utf-8")
    of = PairsOf("file", str(path))
    _whole(bench, of)
    (listed,) = bench.pairs.rows(of, Wanted(), 0, 10)
    assert not listed.fault
    view = bench.pairs.pair(of, 1)
    assert not view.faults and view.turns[0] == ("user", "question 1?")
