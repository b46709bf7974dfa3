"""The evaluation page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import NARROW, WIDE, press, running, shown, until
from tui.widgets.confirm import Page


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_verdict_loud_sentence_and_all_columns(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(tmp_path, size=size) as (app, pilot, _):
        await press(pilot, "5")
        screen = shown(app)
        for part in ("✘ NO-GO", "INVENTED DETAILS", "base", "retrieval", "tuned", "◌ UNDECIDED",
                     "✔ PASS", "unseen wording", "11 not right", "rs-000"):  # fmt: skip
            assert part in screen, part


async def test_answers_are_shown_with_signed_markers(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "j")
        assert "How much memory does a GPU node of Delta have?" in shown(app)
        assert "delta9.example.org>> ✘" in shown(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, Page)
        assert "no such source" in shown(app)
        await press(pilot, "j", "k", "escape")
        assert len(app.screen_stack) == 1


async def test_categories_and_actions(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "c")
        assert "resource specs" in shown(app) and "software" in shown(app)
        assert "Add more training data for weak areas" in shown(app)
        await press(pilot, "escape")
        assert "How much memory" in shown(app)


async def test_another_version_can_be_chosen_also_one_without_scores(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "5", "v", "enter")
        assert ("scores", "access-qa-v1.1.0") in desk.calls
        await until(pilot, lambda: "v1.1.0   golden" in shown(app))
        await press(pilot, "v", "G", "enter")
        await until(pilot, lambda: "No evaluation of access-qa-v0.9.1 yet" in shown(app))


async def test_evaluating_asks_then_shows_the_job(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "5", "e", "enter")
        assert not any(c[0] == "start_evaluation" for c in desk.calls)
        await press(pilot, "y")
        assert ("start_evaluation", "access-qa-v1.0.0") in desk.calls
        await until(pilot, lambda: app.current_mode == "train")
        await until(pilot, lambda: "eval-20261122-143000-beef" in shown(app))


async def test_empty_says_what_to_do_first(tmp_path: Path) -> None:
    async with running(tmp_path, "empty") as (app, pilot, _):
        await press(pilot, "5")
        assert "No evaluation yet" in shown(app) and "Pilot screen" in shown(app)
        await press(pilot, "e")
        await until(pilot, lambda: "no version to evaluate" in shown(app))
        await press(pilot, "v")
        await until(pilot, lambda: "no version is registered yet" in shown(app))
