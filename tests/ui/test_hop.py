"""Letters on the panes: press one, or click on it, to go there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import NARROW, WIDE, press, running, shown
from tui.screens.base import DeskScreen
from tui.widgets.hop import HopScreen, Letter, places


async def test_a_letter_goes_to_its_pane(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        first = app.focused
        await press(pilot, "ctrl+g")
        row = shown(app).split("\n")[5]
        assert " a " in row and " s " in row, "one on each frame"
        assert row.index(" a ") < row.index(" s ")
        await press(pilot, "s")
        assert isinstance(app.screen, DeskScreen)
        assert app.focused is app.screen.query_one("#scroll") and app.focused is not first
        await press(pilot, "ctrl+g", "a")
        assert app.focused is first


@pytest.mark.parametrize("size", [NARROW, (200, 60)])
async def test_every_place_of_every_screen_is_reached(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with running(tmp_path, size=size) as (app, pilot, _):
        for number in "123456789":
            await press(pilot, number)
            found = places(app.screen)
            assert found and len({at for _, at in found}) == len(found)
            assert all(0 <= at.x <= size[0] - 3 and 0 <= at.y < size[1] for _, at in found)
            await press(pilot, "ctrl+g", "asdfghjkl"[len(found) - 1])
            assert app.focused is found[-1][0], number


async def test_a_click_on_a_letter_goes_there_and_one_beside_it_nowhere(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        first = app.focused
        await press(pilot, "ctrl+g")
        letter = list(app.screen.query(Letter))[1]
        await pilot.click(offset=(letter.region.x + 1, letter.region.y))
        assert app.focused is app.screen.query_one("#scroll")
        await press(pilot, "ctrl+g", "a", "ctrl+g")
        await pilot.click(offset=(60, 20))
        await pilot.pause()
        assert not isinstance(app.screen, HopScreen) and app.focused is first


async def test_numbers_go_on_and_all_else_ends_it_without_doing_anything(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await press(pilot, "ctrl+g", "6")
        assert app.current_mode == "versions" and not isinstance(app.screen, HopScreen)
        await press(pilot, "1", "ctrl+g", "q")
        assert not isinstance(app.screen, HopScreen) and app.is_running
        await press(pilot, "ctrl+g", "escape")
        assert isinstance(app.screen, DeskScreen) and app.current_mode == "pilot"


async def test_a_terminal_of_another_size_takes_the_letters_away(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await press(pilot, "ctrl+g")
        await pilot.resize_terminal(*NARROW)
        await pilot.pause()
        await press(pilot)
        assert not isinstance(app.screen, HopScreen)
        assert app.is_running
