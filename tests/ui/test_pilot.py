"""The pilot checklist as an operator uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import LinkLost
from tests.ui.conftest import NARROW, press, running, settle, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tui.widgets.confirm import Problem
from tui.widgets.lists import RowList


async def test_all_items_of_all_weeks_are_listed(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, _, desk):
        screen = shown(app)
        for week in ("Week 1 · Environment", "Week 2 · Data", "Week 3 · Training", "Week 4"):
            assert week in screen
        assert "10 of 16" in screen
        assert app.screen.query_one(RowList).chosen == "full-training", "starts at the next item"
        assert "CUDA out of memory" in screen
        rows = app.screen.query_one(RowList)
        assert rows.option_count == len(desk.checklist) + 4


async def test_running_a_check_shows_its_lines_live_and_stores_evidence(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.hold = {"run_item"}
        await press(pilot, "j")  # the item after the failed one
        await pilot.press("enter")
        await until(pilot, lambda: "240 of 240 valid" in shown(app))
        assert "running" in shown(app)

        await pilot.press("enter")  # a second one is refused, with the reason
        await until(pilot, lambda: "one check at a time" in told(app))
        assert [c for c in desk.calls if c[0] == "run_item"] == [("run_item", "metrics")]

        desk.release.set()
        await until(pilot, lambda: "240 of 240 pairs are valid" in shown(app))
        await until(pilot, lambda: "11 of 16" in shown(app))


async def test_a_failed_call_is_a_dialog_with_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.fail["run_item"] = LinkLost("the link broke", why="no answer", try_next="ctrl+r")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Problem))
        for part in ("the link broke", "no answer", "ctrl+r"):
            assert part in shown(app)
        await press(pilot, "escape")
        assert "10 of 16" in shown(app)


async def test_a_note_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "n")
        await pilot.press("enter")  # empty: nothing happens
        await write(pilot, "seen by two people")
        await press(pilot, "enter")
        await until(pilot, lambda: "seen by two people" in shown(app))
        assert ("note_item", "full-training", "seen by two people") in desk.calls


@pytest.mark.parametrize(("down", "word"), [((), "GO"), (("j",), "NO-GO")])
async def test_the_decision_needs_a_reason(
    tmp_path: Path, down: tuple[str, ...], word: str
) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "D", *down, "enter")
        await press(pilot, "enter")
        assert not any(c[0] == "decide" for c in desk.calls), "no reason, no decision"
        await write(pilot, "all gates seen")
        await press(pilot, "enter")
        await until(pilot, lambda: f"decision {'✔' if word == 'GO' else '✘'} {word}" in shown(app))
        assert ("decide", word, "all gates seen") in desk.calls


async def test_esc_leaves_a_dialog_without_an_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "D", "enter", "escape")
        assert len(app.screen_stack) == 1
        assert not any(c[0] == "decide" for c in desk.calls)


async def test_o_opens_the_job_of_the_evidence_and_esc_leads_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "o")
        await until(pilot, lambda: app.current_mode == "train")
        await until(pilot, lambda: "OutOfMemoryError" in shown(app))
        await press(pilot, "escape")
        assert app.current_mode == "pilot"


async def test_a_refresh_keeps_the_place(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "j", "j")
        rows = app.screen.query_one(RowList)
        before = rows.chosen
        desk.note_item("create-repo", "changed elsewhere")
        app.screen.reload()  # type: ignore[attr-defined]
        await settle(pilot)
        assert rows.chosen == before == "qa-eval"


async def test_narrow_and_empty(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs", "empty")
    async with running(tmp_path, size=NARROW, desk=desk) as (app, _, __):
        assert "0 of 16" in shown(app)
        assert "next: Create access-qa-training repo" in shown(app)
        assert "enter" in shown(app) and "runs the check" in shown(app)
