"""Panes as large as the operator makes them: borders dragged, moved by keys, kept, and put back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot
from textual.widget import Widget

from tests.ui.conftest import NARROW, WIDE, press, running, settle, shown, told, until
from tui import settings_file, splits
from tui.app import ControlCentre
from tui.preferences import Preferences
from tui.settings_file import AppSettings

BIG = (200, 60)


async def drag(pilot: Pilot[Any], start: tuple[int, int], *to: tuple[int, int]) -> None:
    """Press on a cell of the screen, move over others, let go on the last."""
    app = pilot.app
    steps = [(events.MouseDown, start), *((events.MouseMove, at) for at in to)]
    for kind, (x, y) in [*steps, (events.MouseUp, to[-1])]:
        app.screen._forward_event(
            kind(app.screen, x, y, 0, 0, 1, False, False, False, screen_x=x, screen_y=y)
        )
        await pilot.pause()
        await pilot.pause()


def width(app: ControlCentre, name: str) -> int:
    return app.screen.query_one(name).region.width


async def test_a_border_is_dragged_both_ways_and_stops_at_the_least(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        was = width(app, "#items")
        await drag(pilot, (was - 1, 20), (was + 4, 20), (was + 9, 21))
        assert width(app, "#items") == was + 10
        assert width(app, "#items") + width(app, "#item") == WIDE[0], "nothing is lost between them"
        edge = width(app, "#items")
        await drag(pilot, (edge, 10), (edge - 6, 10))  # held at the frame of the other pane
        assert width(app, "#items") == edge - 6
        await drag(pilot, (width(app, "#items") - 1, 10), (0, 10))
        assert width(app, "#items") == splits.LEAST["width"]
        assert "Week 1" in shown(app)


async def test_what_is_inside_a_frame_is_no_border(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        was = width(app, "#items")
        await drag(pilot, (was - 4, 10), (was + 20, 10))
        assert width(app, "#items") == was and not app.sizes


async def test_keys_move_the_border_beside_the_pane_in_focus(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        was = width(app, "#items")
        await press(pilot, "ctrl+right")
        assert width(app, "#items") == was + splits.STEP["width"]
        await press(pilot, "ctrl+left", "ctrl+left")
        assert width(app, "#items") == was - splits.STEP["width"]
        await press(pilot, "ctrl+up")
        assert "No pane stands above or below" in told(app)
        await press(pilot, "vertical_line")
        assert width(app, "#items") == was and not app.sizes


async def test_rows_of_panes_too_and_a_column_as_a_whole(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await press(pilot, "3")
        curve = app.screen.query_one("#curve-pane")
        was = curve.region.height
        await press(pilot, "ctrl+down", "ctrl+down")
        log = app.screen.query_one("#log-pane").region
        assert app.screen.query_one("#left").region.width + width(app, "#right") == WIDE[0]
        assert curve.region.height == was + 2 and log.bottom == WIDE[1] - 1
        before = width(app, "#left")
        await drag(pilot, (before - 1, 20), (before - 11, 20))
        assert width(app, "#left") == before - 10
        assert curve.region.width == before - 10, "what is in the column goes along"


async def test_another_terminal_keeps_the_shares_and_a_narrow_one_has_its_own(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await press(pilot, "2")
        await drag(pilot, (59, 20), (29, 20))
        assert width(app, "#data") == 30
        await pilot.resize_terminal(*BIG)
        await settle(pilot)
        assert width(app, "#data") == 50, "a quarter stays a quarter"
        await pilot.resize_terminal(*NARROW)
        await settle(pilot)
        data, about = (app.screen.query_one(i).region for i in ("#data", "#about"))
        assert data.width == about.width == 80 and data.bottom == about.y
        await drag(pilot, (20, about.y), (20, about.y + 3))
        assert app.screen.query_one("#data").region.height == data.height + 3
        await pilot.resize_terminal(*BIG)
        await settle(pilot)
        assert width(app, "#data") == 50
        assert app.screen.query_one("#data").region.height == BIG[1] - 3


async def test_one_pane_alone_has_all_the_room_whatever_its_size(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        await press(pilot, "ctrl+left", "ctrl+left", "Z")
        assert width(app, "#items") == WIDE[0]
        await pilot.resize_terminal(*BIG)
        await settle(pilot)
        assert width(app, "#items") == BIG[0]
        await pilot.resize_terminal(*WIDE)
        await press(pilot, "escape")
        await settle(pilot)
        assert width(app, "#items") == 48


async def test_two_clicks_on_a_border_bring_its_own_sizes_back(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        was = width(app, "#items")
        await press(pilot, *["ctrl+right"] * 3)
        edge = width(app, "#items") - 1
        await pilot.click(offset=(edge, 12), times=2)
        await settle(pilot)
        assert width(app, "#items") == was and not app.sizes


async def test_sizes_outlive_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_USER_CONFIG", str(tmp_path / "conf"))
    file = settings_file.path()
    file.parent.mkdir(parents=True)
    file.write_text('theme = "access-light"  # mine\n')
    first = Preferences(settings_file.load()[0], remember=True)
    async with running(tmp_path / "1", size=WIDE, preferences=first) as (app, pilot, _):
        await press(pilot, "escape", "ctrl+right")
        was = width(app, "#items")
        await until(pilot, lambda: "panes" in file.read_text(), "the sizes in the file")
    assert "# mine" in file.read_text()
    again, problems = settings_file.load()
    assert not problems
    async with running(tmp_path / "2", size=WIDE, preferences=Preferences(again)) as (
        app,
        pilot,
        _,
    ):
        assert width(app, "#items") == was


async def test_every_border_of_every_screen_moves(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        for number in "123456789":
            await press(pilot, number)
            found = list(splits.seams(app.screen))
            assert found, f"screen {number} has no border"
            for at in range(len(found)):
                seam = list(splits.seams(app.screen))[at]
                size = getattr(seam.before.region, seam.axis)
                by = (
                    3 if getattr(seam.after.region, seam.axis) > splits.LEAST[seam.axis] + 3 else -2
                )
                region, edge = seam.before.region, seam.at()
                if seam.axis == "width":
                    await drag(pilot, (edge, region.y + 1), (edge + by, region.y + 1))
                else:
                    await drag(pilot, (region.x + 3, edge), (region.x + 3, edge + by))
                assert getattr(seam.before.region, seam.axis) == size + by, (number, seam)


def test_sizes_that_are_none_are_left_out() -> None:
    wrong = [
        "",
        "train.left 4",
        "train.left.width 0",
        "x.y.width -3",
        "a.b.depth 3",
        "a.b.width 9e9",
    ]
    assert splits.read([*wrong, " train.left.width 70 ", "data.about.height@narrow 9"]) == {
        "train.left.width": 70,
        "data.about.height@narrow": 9,
    }
    settings = AppSettings(panes=tuple(wrong))
    assert not splits.read(settings.panes)


SIZED = st.dictionaries(
    st.from_regex(r"[a-z]{1,6}\.[a-z-]{1,8}\.(width|height)(@narrow)?", fullmatch=True),
    st.integers(1, 9999),
)


@given(SIZED)
def test_sizes_are_read_as_they_were_written(sizes: dict[str, int]) -> None:
    assert splits.read(splits.lines(sizes)) == sizes


def test_several_in_a_row_keep_the_newest(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    now = ["a.b.width 1"]

    async def both() -> None:
        await asyncio.gather(
            *(asyncio.to_thread(settings_file.store, "panes", lambda: now, file) for _ in range(8)),
            asyncio.to_thread(settings_file.store, "times", "utc", file),
        )

    now = ["a.b.width 2"]
    asyncio.run(both())
    settings, problems = settings_file.load(file)
    assert settings.panes == ("a.b.width 2",) and settings.times == "utc" and not problems


def test_an_entry_of_several_lines_is_not_broken(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(said := 'panes = [\n  "a.b.width 1",\n]\n')
    with pytest.raises(settings_file.SettingsError, match="could not be stored"):
        settings_file.store("panes", ["a.b.width 2"], file)
    assert file.read_text() == said


def test_a_seam_is_where_two_panes_meet() -> None:
    from textual.geometry import Region

    class At(Widget):
        def __init__(self, region: Region) -> None:
            super().__init__()
            self._at = region

        @property
        def region(self) -> Region:
            return self._at

    seam = splits.Seam(At(Region(0, 2, 40, 10)), At(Region(40, 2, 80, 10)), "width")
    assert [x for x in range(120) if seam.holds(x, 5)] == [39, 40]
    assert [y for y in range(20) if seam.holds(39, y)] == list(range(2, 12))
