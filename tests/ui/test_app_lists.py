"""What the app does with whatever list or pane is in focus: alone, to a file, in an editor, times."""

from __future__ import annotations

import csv
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from core.errors import EnvironmentProblem
from tests.ui.conftest import WIDE, press, running, settle, shown, told, until
from tui import exporting, kept
from tui.exporting import Shown
from tui.present import when, words

TEN = 1_768_384_800.0  # 2026-01-14 10:00 UTC


async def test_one_pane_alone_and_back(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await settle(pilot)
        beside = app.screen.query_one("#detail")
        assert beside.region.width
        await press(pilot, "Z")
        assert not beside.region.width
        assert app.screen.focused is not None and app.screen.focused.region.width > 100
        assert "palette" in shown(app), "the keys stay in sight"
        await press(pilot, "escape")
        assert beside.region.width, "esc brings the others back before it leaves anything"
        await press(pilot, "Z", "Z")
        assert beside.region.width


async def test_a_pane_that_the_screen_shows_itself_is_put_away_too(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await press(pilot, "6")
        assert app.screen.query_one("#panes").region.area
        await press(pilot, "Z")
        away = app.screen.query(".-aside")
        assert away and not any(w.region.area for w in away)
        await press(pilot, "Z")
        assert app.screen.query_one("#panes").region.area


async def test_the_list_in_focus_is_written_to_a_file(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await settle(pilot)
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: "rows written" in told(app))
        (path,) = (tmp_path / "state" / "exports").glob("pilot-*.txt")
        assert "Week 1" in path.read_text("utf-8")
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_table_becomes_csv_that_a_spreadsheet_cannot_run() -> None:
    rows = [["=HYPERLINK(1)", "-0.5"], ['say "no"', "1,234"], ["@x", "two\nlines"]]
    read = list(csv.reader(exporting.as_text(Shown(("a", "b"), rows)).splitlines(keepends=True)))
    assert read == [
        ["a", "b"],
        ["'=HYPERLINK(1)", "-0.5"],
        ['say "no"', "1,234"],
        ["'@x", "two\nlines"],
    ]


def test_no_file_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_STATE", str(tmp_path))
    paths = [kept.keep("exports", "jobs", "txt", str(n), "the list") for n in range(3)]
    assert [p.read_text() for p in paths] == ["0", "1", "2"]


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_STATE", str(tmp_path))
    (tmp_path / "exports").write_text("a file where the folder should be")
    with pytest.raises(EnvironmentProblem, match="the list could not be written"):
        exporting.keep(Shown((), [["row"]]), "jobs", TEN)


async def test_the_file_behind_a_row_opens_in_the_editor_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[list[str]] = []
    monkeypatch.setenv("VISUAL", "vim")
    monkeypatch.setattr("tui.outside.run", opened.append)
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        monkeypatch.setattr(app, "suspend", nullcontext)
        await settle(pilot)
        await press(pilot, "ctrl+o")
        assert opened[-1][:2] == ["vim", "+1"], "to write, not vim -R"
        assert opened[-1][-1].endswith("checklist.yaml")
        await press(pilot, "ctrl+l", "ctrl+o")
        assert opened.pop()[:2] == ["vim", "-R"], "in read-only mode only to look at"
        await press(pilot, "3")
        await settle(pilot)
        await press(pilot, "ctrl+o")
        await until(pilot, lambda: "No file of this machine" in told(app))
        assert len(opened) == 1


async def test_times_as_the_operator_likes_them(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await settle(pilot)
        await press(pilot, "T")
        assert when.way() == "utc" and "UTC" in told(app)
        await press(pilot, "T")
        assert when.way() == "age"
        await press(pilot, "T")
        assert when.way() == "local"


@pytest.mark.parametrize(
    ("way", "written"),
    [("local", "2026-01-14 05:00"), ("utc", "2026-01-14 10:00Z"), ("age", "2.0 s ago")],
)
def test_one_moment_three_ways(way: str, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    when.use(way, lambda: TEN + 2)
    try:
        assert words.moment(TEN) == written
        assert words.moment("2026-01-14T10:00:00Z") == written
        assert words.moment("2026-01-14T10:00:00Z", way="local") == "2026-01-14 05:00"
        assert words.moment("no time at all") == "no time at all"
    finally:
        when.use("local")


def test_a_moment_to_come_has_no_negative_age() -> None:
    when.use("age", lambda: TEN - 3600)
    try:
        assert words.moment(TEN) == "in 60 min"
    finally:
        when.use("local")
