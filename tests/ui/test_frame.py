"""What the app does on every screen: read-only, production, handover, colours, finding, first steps."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.conftest import (
    make_app,
    press,
    running,
    settle,
    shown,
    told,
    until,
    write,
)
from tests.ui.fakes import NOW, FakeDesk
from tui import settings_file, theme
from tui.bindings import PLACES
from tui.desk.api import JobRow, Link, Overview
from tui.preferences import Preferences
from tui.present import strip
from tui.settings_file import AppSettings
from tui.widgets.confirm import Confirm, Page
from tui.widgets.finding import find
from tui.widgets.theme_choice import ThemeChoice


def writes(desk: FakeDesk) -> list[str]:
    names = {c[0] for c in desk.calls}
    return sorted(names & {"run_item", "note_item", "decide", "promote", "start_training"})


# read-only


async def test_read_only_refuses_keys_and_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "ctrl+l")
        assert "READ-ONLY" in shown(app).split("\n")[0]
        await press(pilot, "n", "D", "enter")
        assert len(app.screen_stack) == 1 and writes(desk) == []
        assert "read-only mode: nothing is changed; ctrl+l ends it" in told(app)
        await press(pilot, "6", "p")
        assert len(app.screen_stack) == 1
        await press(pilot, "ctrl+l")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "escape", "1", "n")
        assert app.read_only and len(app.screen_stack) == 1
        await press(pilot, "ctrl+l", "y", "n")
        assert not app.read_only and len(app.screen_stack) == 2


async def test_what_slips_past_a_key_is_refused_by_the_desk(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "n")
        await write(pilot, "seen by hand")
        await press(pilot, "ctrl+l")
        app._set_read_only(True)  # the key waits below the dialog
        await press(pilot, "enter")
        await until(pilot, lambda: "note item: refused in read-only mode" in shown(app))
        assert writes(desk) == []


async def test_started_read_only_stays_read_only(tmp_path: Path) -> None:
    async with running(tmp_path, preferences=Preferences(locked=True)) as (app, pilot, _):
        await press(pilot, "ctrl+l", "y")
        assert app.read_only and "started with --read-only" in told(app)


# production


async def test_production_is_a_word_and_a_colour_on_every_screen(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    desk.production = True
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        for number in ("1", "6", "7"):
            await press(pilot, number)
            await until(pilot, lambda: "PRODUCTION" in shown(app).split("\n")[0])
            assert app.screen.has_class("-production")
        desk.production = False
        await until(pilot, lambda: "PRODUCTION" not in shown(app).split("\n")[0])
        assert not app.screen.has_class("-production")


async def test_the_settings_can_name_a_production_host(tmp_path: Path) -> None:
    chosen = Preferences(AppSettings(production=("gh200",)))
    async with running(tmp_path, preferences=chosen) as (app, _, _):
        assert "PRODUCTION" in shown(app).split("\n")[0]


async def test_a_dialog_that_reaches_users_is_framed_in_another_colour(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "6", "r")
        before = app.screen
        await press(pilot, "enter")
        await until(pilot, lambda: app.screen is not before and "Roll back?" in shown(app))
        assert "PRODUCTION · Roll back?" in shown(app) and app.screen.has_class("-production")
        await press(pilot, "escape", "escape")


async def test_an_unknown_theme_is_told(tmp_path: Path) -> None:
    chosen = Preferences(AppSettings(theme="acess-dark"))
    async with running(tmp_path, preferences=chosen) as (app, _, _):
        assert "no theme 'acess-dark'" in told(app) and app.theme == theme.DEFAULT


# the strip


@pytest.mark.parametrize("width", [1, 8, 20, 40, 60, 80, 100, 120, 200, 300])
def test_the_strip_has_its_width_and_keeps_what_matters(width: int) -> None:
    job = JobRow("train-1", "train", "gh200", "running", progress=0.62, eta_s=250)
    overview = Overview({"production": "access-qa-v1.1.0", "staging": "v2"}, 3, job, queued=2)
    link = Link("up", (), 0.4)
    row = strip.row(
        width,
        host="gh200",
        link=link,
        gauge=None,
        overview=overview,
        production=True,
        read_only=True,
    )
    assert row.cell_len == width
    if width >= 80:
        for part in ("PROD", "gh200", "train 62 %", "prod v1.1.0"):
            assert part in row.plain
    if width >= 120:
        assert "ETA 4:10" in row.plain and "◔" in row.plain and "▲ 3" in row.plain
    if width >= 200:
        assert "◔ queue 2" in row.plain and "▲ 3 unknown sources" in row.plain


def test_the_strip_names_the_operators_own_key() -> None:
    lost = Link("lost", (), 42.0, "gone", "", needs_you=True)
    row = strip.row(120, host="h", link=lost, gauge=None, overview=None, reconnect="f7")
    assert "f7 logs in" in row.plain


async def test_a_click_on_the_strip_leads_to_the_whole_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        for words, mode in (("prod v1.1.0", "versions"), ("▲ 3", "sources"), ("train 62", "train")):
            await pilot.click(offset=(shown(app).split("\n")[0].index(words) + 1, 0))
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            await settle(pilot)


@pytest.mark.parametrize("size", [(20, 5), (80, 24), (300, 80)])
async def test_every_screen_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(tmp_path, size=size) as (app, pilot, _):
        for place in PLACES:
            await press(pilot, place.number)
            assert app.current_mode == place.mode
            if size[0] >= 80:
                assert f"{place.number} {place.name}" in shown(app).split("\n")[1]
        await press(
            pilot, "question_mark", "escape", "exclamation_mark", "escape", "ctrl+t", "escape"
        )
        assert len(app.screen_stack) == 1


# handover


async def test_one_key_writes_the_handover_note(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        app.say("it went wrong", bad=True)
        await press(pilot, "ctrl+n")
        await until(pilot, lambda: "Handover 2026-11-22 14:30" in shown(app))
        await press(pilot, "y")
        (kept,) = (tmp_path / "state" / "handover").iterdir()
        assert kept.name == "2026-11-22-1430.md" and kept.read_text() == app.clipboard
        assert "- 2026-11-22 14:30 it went wrong" in app.clipboard
        assert "is running on gh200, 62 %, 4:10 left" in app.clipboard
        await press(pilot, "escape", "ctrl+n")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        assert len(list(kept.parent.iterdir())) == 2, "a second note never replaces the first"


# copying, going back and forth


async def test_ctrl_y_copies_the_highlighted_row(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "6", "ctrl+y")
        assert app.clipboard == "access-qa-v1.1.0" and "copied: access-qa-v1.1.0" in told(app)


async def test_minus_goes_to_the_last_screen_and_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "minus")
        assert app.current_mode == "pilot"
        await press(pilot, "6", "7", "minus")
        assert app.current_mode == "versions"
        await press(pilot, "minus")
        assert app.current_mode == "sources"


# finding


def test_finding_goes_round_and_skips_headings() -> None:
    rows = ["", "load base model", "sync data", "", "base again"]
    assert find(rows, "BASE", 0) == 1 and find(rows, "base", 2) == 4
    assert find(rows, "base", 5) == 1 and find(rows, "base", 0, -1) == 4
    assert find(rows, "model load", 0) == 1, "every word, in any order"
    assert (
        find(rows, "", 0) is None and find(rows, "nowhere", 0) is None and find([], "x", 0) is None
    )


async def test_slash_finds_in_a_list_and_n_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path, size=(80, 24)) as (app, pilot, _):
        rows = app.screen.query_one("#list")
        before = rows.chosen  # type: ignore[attr-defined]
        await press(pilot, "n")
        assert len(app.screen_stack) == 2, "n is the screen's until something was found"
        await press(pilot, "escape", "slash")
        await write(pilot, "extraction")
        assert rows.chosen == "extract-compute"  # type: ignore[attr-defined]
        await press(pilot, "escape")
        assert rows.chosen == before, "esc goes back to where it was"  # type: ignore[attr-defined]
        await press(pilot, "slash")
        await write(pilot, "extraction")
        await press(pilot, "enter", "n")
        assert rows.chosen == "extract-software"  # type: ignore[attr-defined]
        await press(pilot, "N")
        assert rows.chosen == "extract-compute"  # type: ignore[attr-defined]


# colours


async def test_a_theme_is_tried_kept_and_there_again(tmp_path: Path) -> None:
    chosen = Preferences(remember=True)
    async with running(tmp_path, preferences=chosen) as (app, pilot, _):
        before = app.theme
        await press(pilot, "ctrl+t")
        assert isinstance(app.screen, ThemeChoice)
        await press(pilot, "j")
        assert app.theme == "access-light"
        await press(pilot, "escape")
        assert app.theme == before and not settings_file.path().exists()
        await press(pilot, "ctrl+t", "j", "j", "enter")
        await until(pilot, settings_file.path().exists)
        assert app.theme == "access-colour-blind"
    stored = tomllib.loads(settings_file.path().read_text())
    assert stored == {"theme": "access-colour-blind"}
    again = make_app(FakeDesk(tmp_path / "2"), preferences=Preferences(settings_file.load()[0]))
    assert again.theme == "access-colour-blind"


def test_an_unknown_theme_is_the_default() -> None:
    assert theme.chosen("nope") == theme.chosen("") == theme.DEFAULT
    assert theme.chosen("textual-light") == "textual-light"


@pytest.mark.parametrize("each", theme.THEMES, ids=lambda t: t.name)
def test_every_role_has_a_style_in_every_theme(each: object) -> None:
    styles = theme.roles(each).styles  # type: ignore[arg-type]
    for role in (*theme.ROLES, "dim", "faint", "strong", "loud", "title", "chip", "alarm"):
        assert styles[role]


def test_reduced_motion_by_setting_and_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QA_REDUCED_MOTION", raising=False)
    assert not Preferences().still
    assert Preferences(AppSettings(reduced_motion=True)).still
    for value, still in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("QA_REDUCED_MOTION", value)
        assert Preferences().still is still


async def test_with_reduced_motion_no_cursor_blinks(tmp_path: Path) -> None:
    chosen = Preferences(AppSettings(reduced_motion=True))
    async with running(tmp_path, preferences=chosen) as (app, pilot, _):
        assert app.animation_level == "none"
        await press(pilot, "n")
        assert app.focused is not None and app.focused.cursor_blink is False  # type: ignore[attr-defined]


# first steps


async def test_the_first_steps_are_shown_once_where_there_is_nothing(tmp_path: Path) -> None:
    chosen = Preferences(remember=True)
    async with running(tmp_path, "empty", preferences=chosen) as (app, pilot, _):
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert "Nothing has been trained here yet" in shown(app) and "qa jobs train" in shown(app)
        await press(pilot, "escape")
    async with running(tmp_path, "empty", preferences=chosen) as (app, pilot, _):
        await press(pilot, "7")
        assert len(app.screen_stack) == 1
        app.action_first_steps()
        await settle(pilot)
        assert isinstance(app.screen, Page), "the palette shows them again"


async def test_no_first_steps_where_something_ran(tmp_path: Path) -> None:
    async with running(tmp_path, preferences=Preferences(remember=True)) as (app, pilot, desk):
        await until(pilot, lambda: ("versions",) in desk.calls or ("jobs",) in desk.calls)
        await settle(pilot)
        assert len(app.screen_stack) == 1


# the queue


async def test_waiting_jobs_are_counted(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    waiting = JobRow("train-q", "train", "gh200", "queued", submitted_at=NOW)
    desk.rows["train-q"] = replace(waiting, position=1)
    async with running(tmp_path, desk=desk, size=(200, 60)) as (app, _, _):
        assert "◔ queue 1" in shown(app).split("\n")[0]
