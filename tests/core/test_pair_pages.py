"""Pairs laid out for paging: of a snapshot, of a file with faulty rows, used again, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import paging, pair_pages
from core.errors import Cancelled, EnvironmentProblem
from core.paging import Part
from core.registry import open_registry, snapshots
from tests.core.conftest import make_pair

N = 4500  # more than two bundles


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def snapshot(tmp_path: Path) -> tuple[Path, str]:
    reg = open_registry(tmp_path / "registry.db")
    found = snapshots.freeze(reg, [make_pair(n) for n in range(N)])
    return reg.path, found.id


def _of(snapshot: tuple[Path, str]) -> pair_pages.PairPages:
    path, name = snapshot
    return pair_pages.of_snapshot(lambda: open_registry(path), name)


def test_every_pair_of_a_snapshot_in_the_order_of_its_ids(snapshot: tuple[Path, str]) -> None:
    pages = _of(snapshot)
    state = pages.wait()
    assert (state.rows, state.share, state.complete) == (N, 1.0, True)
    listing, found, after = pair_pages.LISTING, [], ""
    while some := paging.page(pages.rows, listing, Part(), len(found), 700, after=after):
        found += some
        after = str(found[-1][0])
    assert [r[1] for r in found] == [f"pair_{n:05}" for n in range(N)]
    assert found[4321][4] == "question 4321?"
    assert paging.count(pages.rows, listing, Part("4321?")) == 1
    reg = open_registry(snapshot[0])
    body = reg.value("SELECT body FROM blobs WHERE hash = ?", (pair_pages.place_of(pages, "4322"),))
    assert json.loads(body)["id"] == "pair_04321"


def test_a_table_that_is_there_is_used_again_and_a_broken_one_is_made_again(
    snapshot: tuple[Path, str],
) -> None:
    first = _of(snapshot)
    first.wait()
    again = pair_pages.PairPages(snapshot[1], lambda db, told: pytest.fail("laid out again"))
    assert again.state().complete and again.path == first.path
    first.path.write_bytes(b"SQLite format 3\0 and then nothing")
    assert _of(snapshot).wait().rows == N


def test_rows_can_be_read_while_it_is_laid_out_and_closing_stops_it(tmp_path: Path) -> None:
    gate, reached = threading.Event(), threading.Event()

    def fill(db, told):  # type: ignore[no-untyped-def]
        row = ("x", "d", "s", "q", "a", "", "here")
        for n in range(1, 100):
            db.execute("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (n, *row))
            told(1, n / 100)
            if n == 3:
                reached.set()
                assert gate.wait(30)

    pages = pair_pages.PairPages("growing", fill)
    pages.state()
    assert reached.wait(30)
    assert not pages.state().complete and pages.state().rows == 3
    assert len(pages.rows("SELECT n FROM pairs")) == 3
    pages.close()
    gate.set()
    with pytest.raises(Cancelled):
        pages.wait()
    assert list(pair_pages.folder().iterdir()) == [], "nothing half-made is left"


def test_a_file_shows_its_rejected_rows_at_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    good = [json.dumps(make_pair(n).to_row()) for n in range(3)]
    path.write_text("\n".join([good[0], "", '{"id": ', good[1], good[0], good[2]]) + "\n")
    pages = pair_pages.of_file(path)
    pages.wait()
    rows = pages.rows("SELECT n, id, fault FROM pairs ORDER BY n")
    assert [r[0] for r in rows] == [1, 3, 4, 5, 6]
    assert [r[2] for r in rows] == ["", "invalid_json", "", "duplicate_id", ""]
    offset, size = map(int, pair_pages.place_of(pages, "6").split())
    assert json.loads(path.read_bytes()[offset : offset + size])["id"] == "pair_00002"
    path.write_text(good[2] + "\n")
    changed = pair_pages.of_file(path)
    assert changed.path != pages.path and changed.wait().rows == 1
    with pytest.raises(EnvironmentProblem):
        pair_pages.of_file(tmp_path / "none.jsonl")


def test_only_the_tables_used_last_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_pages, "KEPT", 2)
    for n in range(4):
        path = tmp_path / f"{n}.jsonl"
        path.write_text(json.dumps(make_pair(n).to_row()) + "\n")
        pages = pair_pages.of_file(path)
        pages.wait()
        pages.close()
    assert len(list(pair_pages.folder().glob("*.db"))) == 2


OTHER = """
import sys, threading
from core import pair_pages

def fill(db, told):
    row = ("x", "d", "s", "q", "a", "", "here")
    db.execute("INSERT INTO pairs VALUES (1, ?, ?, ?, ?, ?, ?, ?)", row)
    told(1, 0.5)
    if sys.argv[1] == "half":
        print("ready", flush=True)
        sys.stdin.read()

pages = pair_pages.PairPages("other", fill)
pages.wait()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["whole", "half"])
def other_app(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another app of the same user that reads a table, or lays one out."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, request.param],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as app:  # fmt: skip
        assert app.stdout is not None and app.stdout.readline() == "ready\n"
        yield app
        app.kill()


def test_what_another_app_uses_stays_until_that_app_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_app: subprocess.Popen[str]
) -> None:
    monkeypatch.setattr(pair_pages, "KEPT", 1)
    (theirs,) = pair_pages.folder().iterdir()

    def lay_one_out(name: str) -> None:
        pages = pair_pages.PairPages(name, lambda db, told: told(0, 1.0))
        pages.wait()
        pages.close()

    os.utime(theirs, (0, 0))
    lay_one_out("mine")
    assert theirs.exists(), "it is in use, however old"
    other_app.kill()
    other_app.wait(30)
    lay_one_out("mine-too")
    assert not theirs.exists(), "its owner is dead"


def test_a_pair_that_was_missing_is_read_once_it_is_back(snapshot: tuple[Path, str]) -> None:
    damaged = _of(snapshot)
    damaged.wait()
    damaged.close()
    with contextlib.closing(sqlite3.connect(damaged.path)) as db:  # as from a registry with a gap
        db.execute("UPDATE pairs SET fault = 'missing', question = '' WHERE n = 7")
        db.commit()
    mended = _of(snapshot)
    mended.wait()
    assert mended.rows("SELECT fault, question FROM pairs WHERE n = 7") == [("", "question 6?")]


def test_leaving_while_somebody_waits_for_it_to_be_complete() -> None:
    gate, reached, ended = threading.Event(), threading.Event(), threading.Event()

    def fill(db, told):  # type: ignore[no-untyped-def]
        reached.set()
        assert gate.wait(30)
        told(0, 0.5)

    pages = pair_pages.PairPages("left", fill)

    def wait() -> None:
        with pytest.raises(Cancelled):
            pages.wait()
        ended.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert reached.wait(30)
    pages.close()
    gate.set()
    waiting.join(30)
    assert ended.is_set()
