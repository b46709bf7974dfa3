"""Pairs and snapshots as an operator works with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import NotFound, UsageError
from tests.ui import fakes_data
from tests.ui.conftest import NARROW, press, running, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tui.desk import data_files
from tui.desk.api_data import FileRow, FilesView, FrozenRow, ProblemRow
from tui.desk.workbench import Workbench
from tui.widgets.confirm import Ask, Confirm, Page
from tui.widgets.lists import RowList


async def test_files_problems_and_snapshots_in_one_list(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "2")
        screen = shown(app)
        for part in ("1,467 pairs, 3 rejected", "not-json", "field-notes.jsonl", "1,458"):
            assert part in screen
        await press(pilot, *"jjjjj")
        assert "rejected" in shown(app) and "sd-118" in shown(app)  # the line itself


async def test_a_snapshot_shows_what_is_in_it_and_what_it_trained(tmp_path: Path) -> None:
    async with running(tmp_path, size=(120, 45)) as (app, pilot, _):
        await press(pilot, "2", *"jjj")
        screen = shown(app)
        for part in ("software-discovery", "84 %", "user_qa", "v1.1.0", fakes_data.OLD):
            assert part in screen


async def test_two_marks_compare_the_older_with_the_newer(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, desk):
        await press(pilot, "2", *"jjjmjm")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert ("data.diff", fakes_data.OLD, fakes_data.NEW) in desk.calls
        assert "18.0 % new pairs" in shown(app)


async def test_contamination_names_the_questions_that_are_given_away(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "2", *"jjj", "t")
        await until(pilot, lambda: isinstance(app.screen, Page))
        screen = shown(app)
        assert "4 of 170 questions" in screen and "rs-004" in screen and "0.87" in screen


async def test_freezing_asks_and_shows_the_new_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "2", "f")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Rejected rows stay out" in shown(app)
        await press(pilot, "y")
        await until(pilot, lambda: ("data.freeze",) in desk.calls)
        await until(
            pilot,
            lambda: (app.screen.query_one(RowList).chosen or "").endswith("000000000000"),
        )


async def test_verifying_says_what_is_wrong(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "2", *"jjj", "h")
        await until(pilot, lambda: "every hash was computed again" in told(app))
        desk.data.faults = ("pair cr-1: its content has another hash",)
        await press(pilot, "h")
        await until(pilot, lambda: "another hash" in told(app))


async def test_a_transfer_shows_its_rate_and_can_be_stopped(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    desk.hold.add("data.sync")
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "2")
        await pilot.press("s")
        await until(pilot, lambda: "18.2 MB/s" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: "it is being copied" in told(app))
        await pilot.press("x")
        await until(pilot, lambda: ("data.stop_sync",) in desk.calls)
        desk.release.set()
        await until(pilot, lambda: "2 files copied, 1 were there" in told(app))
        assert "MB/s" not in shown(app)


async def test_a_file_is_added_and_left_out(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "2", "a")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await write(pilot, "/x/more.jsonl")
        await pilot.press("enter")
        await until(pilot, lambda: "more.jsonl" in shown(app))
        await press(pilot, "g", "d")
        await until(pilot, lambda: "a file that was added" in told(app))
        await press(pilot, "j", "j", "j", "d")
        await until(pilot, lambda: ("data.leave_out", "/x/more.jsonl") in desk.calls)


async def test_nothing_frozen_says_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path, "empty", size=NARROW) as (app, pilot, _):
        await press(pilot, "2")
        assert "f freezes the good rows" in shown(app)


async def test_hostile_words_are_text(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07[bold red]x[/]\u202e\x00" * 40
    desk = FakeDesk(tmp_path / "jobs")
    desk.data.view = FilesView(
        (FileRow(evil, evil, 1, 0, 1),), (ProblemRow(evil, 1, evil, evil, evil, False, evil * 99),)
    )
    desk.data.frozen = (FrozenRow(evil, evil, evil, 3, ((evil, 3),), ((evil, 3),), (evil,)),)
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "2")
        for key in ("j", "j", "g"):
            await until(pilot, lambda: "[bold red]x[/]" in shown(app))
            assert not any(c in shown(app) for c in "\x1b\x07\x00\u202e")
            await press(pilot, key)


GOOD = {
    "id": "n-1",
    "source": "user_qa",
    "source_ref": "ticket 7",
    "domain": "compute-resources",
    "messages": [
        {"role": "user", "content": "How much memory has a node of Nine?"},
        {"role": "assistant", "content": "64 GB. <<SRC:compute-resources:nine>>"},
    ],
    "metadata": {},
}


def test_the_real_desk_checks_freezes_compares_and_verifies(tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text(json.dumps(GOOD) + "\n{broken\n")
    bench = Workbench("sandbox")
    try:
        first = bench.data.freeze()
        bench.data.add_file(str(file))
        view = bench.data.files()
        (mine,) = [f for f in view.files if not f.ours]
        assert (mine.name, mine.rows, mine.good, mine.rejected) == ("more.jsonl", 2, 1, 1)
        assert view.problems[0].line == 2 and view.problems[0].text == "{broken\n"
        second = bench.data.freeze()
        newest, oldest = bench.data.snapshots()
        assert (newest.dataset_version, newest.parent) == (second, first)
        assert newest.pairs == oldest.pairs + 1
        found = bench.data.diff(first, second)
        assert (found.added, found.removed, found.changed) == (1, 0, 0)
        assert bench.data.verify(second) == ()
        seen = bench.data.contamination(second)
        assert seen.questions == sum(n for _, n in seen.strata) > 100
    finally:
        bench.close()


def test_files_that_cannot_be_added_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        data_files.add(str(tmp_path / "no.jsonl"))
    with pytest.raises(UsageError, match="no file"):
        data_files.add(str(tmp_path))
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(GOOD) + "\n")
    data_files.add(str(file))
    with pytest.raises(UsageError, match="already"):
        data_files.add(str(file))
    file.unlink()
    view = data_files.read()
    assert [(p.file, p.code, p.usable) for p in view.problems] == [("a.jsonl", "unreadable", False)]
    assert view.files[0].good > 0 and view.files[-1].name == "a.jsonl"
    data_files.leave_out(str(file))
    assert data_files.added() == []
    with pytest.raises(NotFound, match="was not added"):
        data_files.leave_out(str(file))
