"""The first look at a screen, and text that is told again and again: no work that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from core.jobdir import JobDir, read_events
from tests.ui.conftest import press, running, until
from tui import opening
from tui.app import ControlCentre
from tui.feed import JobFeed
from tui.widgets.steady import Steady


class Told(App[None]):
    CSS = "#fixed { height: 2; } #grows { height: auto; }"

    def compose(self) -> ComposeResult:
        yield Steady(id="grows")
        yield Steady(id="fixed")
        yield Static("below", id="below")


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """One entry for each time a whole screen was laid out."""
    times: list[str] = []
    whole = Screen._refresh_layout

    def counted(self: Screen[None], *args: object, **more: object) -> None:
        times.append(type(self).__name__)
        whole(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Screen, "_refresh_layout", counted)
    yield times


async def test_the_screen_is_laid_out_only_for_another_height(laid_out: list[str]) -> None:
    async with Told().run_test(size=(40, 10)) as pilot:
        grows = pilot.app.query_one("#grows", Steady)
        below = pilot.app.query_one("#below")
        grows.update(Text("one"))
        await pilot.pause()
        laid_out.clear()
        for n in range(5):
            grows.update(Text(f"step {n}"))
            pilot.app.query_one("#fixed", Steady).update(Text("any\nnumber\nof\nrows"))
            await pilot.pause()
        assert not laid_out
        assert "step 4" in str(grows.render())
        grows.update(Text("two\nrows"))
        await pilot.pause()
        assert laid_out and below.region.y == 4


async def test_a_hidden_text_is_as_high_as_it_must_be_once_it_is_shown() -> None:
    async with Told().run_test(size=(40, 10)) as pilot:
        grows = pilot.app.query_one("#grows", Steady)
        grows.display = False
        await pilot.pause()
        grows.update(Text("three\nrows\nnow"))
        await pilot.pause()
        grows.display = True
        await pilot.pause()
        assert grows.size.height == 3


async def all_read(app: ControlCentre, pilot: Pilot[Any]) -> None:
    app._look_ahead()
    paths = [str(p) for p in opening.SCREENS.glob("*.tcss") if p.stem in app.MODES]
    await until(pilot, lambda: all(app.stylesheet.has_source(p, "") for p in paths))


async def test_rules_read_ahead_leave_none_of_the_old_ones_unmatched(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "2")
        line = app.screen.query_one("#moving")
        assert not line.display
        await all_read(app, pilot)
        line.add_class("-on")
        assert line.display, "the first widget that is styled after the reading"


async def test_a_first_look_at_a_screen_parses_no_rule_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[int] = []
    again = Stylesheet.reparse

    def counted(self: Stylesheet) -> None:
        times.append(len(self.source))
        again(self)

    async with running(tmp_path) as (app, pilot, _):
        await all_read(app, pilot)
        monkeypatch.setattr(Stylesheet, "reparse", counted)
        for key in "3648":
            await press(pilot, key)
        assert not times
        app.theme = "access-light"
        await until(pilot, lambda: bool(times))  # other colours: every rule
        times.clear()
        await press(pilot, "3")  # was out of sight meanwhile, and has the old ones
        await until(pilot, lambda: bool(times))


async def test_what_has_its_styles_is_not_styled_again_for_coming_into_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[str] = []
    nodes = ControlCentre.update_styles

    def counted(self: ControlCentre, node: Any, animate: bool = True) -> None:
        if isinstance(node, Screen) and list(node.children):
            whole.append(type(node).__name__)
        nodes(self, node, animate)

    async with running(tmp_path) as (app, pilot, _):
        await all_read(app, pilot)
        monkeypatch.setattr(ControlCentre, "update_styles", counted)
        await press(pilot, "3", "1", "3")
        assert app.screen.has_class("-wide") and not app.screen.has_class("-narrow")
        assert not whole


def test_events_come_by_parts_and_none_is_lost(tmp_path: Path) -> None:
    job = JobDir(tmp_path)
    rows = [
        {"kind": "metric", "step": n, "loss": n / 7, "note": "x" * (n % 300)} for n in range(900)
    ]
    job.events.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"kind": "met')
    found, offset = [], 0
    while True:
        part, offset = read_events(job.events, offset, 1000)
        if not part:
            break
        assert len(part) < 60
        found += part
    assert found == rows
    assert read_events(job.events)[0] == rows
    assert list(JobFeed(job).load().loss.steps) == [row["step"] for row in rows]
