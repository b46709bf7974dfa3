"""`&` in a list leaves the rows that hold the words; the count says how many are hidden."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Offset

from tests.ui.conftest import WIDE, press, running, settle, shown, write
from tui.present import words
from tui.present.words import text
from tui.widgets.finding import passes
from tui.widgets.lists import RowList
from tui.widgets.pane import Pane

HOSTILE = "[bold]x[/] \x1b[31mred\x1b[0m \u202eabc [@click=app.quit]q[/]"


async def test_a_filter_is_seen_while_typed_kept_counted_and_ended_with_esc(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        rows = app.screen.query_one(RowList)
        await press(pilot, "ampersand")
        await write(pilot, "extraction")
        assert "Run extraction on software" in shown(app) and "Week 4" not in shown(app)
        assert "Week 2" in shown(app), "the heading of what is left stays"
        assert "2 of 16 &extraction" in shown(app)
        await press(pilot, "enter", "j")
        assert rows.chosen == "extract-software"
        await press(pilot, "escape")
        assert "Week 4" in shown(app) and "of 16 &" not in shown(app)
        assert rows.chosen == "extract-software", "the place stays"
        await press(pilot, "escape")
        assert app.current_mode == "pilot"


async def test_without_a_word_nothing_matching_and_back(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        rows = app.screen.query_one(RowList)
        await press(pilot, "ampersand")
        await write(pilot, "training !full")
        listed = rows.shown().rows
        assert any("Run first training" in row[0] for row in listed)
        assert not any("Run full training" in row[0] for row in listed)
        await write(pilot, " nowhere")
        assert "No row holds this" in shown(app) and "0 of 16" in shown(app)
        await press(pilot, "escape")
        assert "Run full training" in shown(app), "esc in the field leaves it as it was"


async def test_what_is_gone_to_by_name_is_never_hidden(tmp_path: Path) -> None:
    async with running(tmp_path, size=WIDE) as (app, pilot, _):
        rows = app.screen.query_one(RowList)
        rows.filter("extraction")
        await settle(pilot)
        app.screen.redraw()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "2 of 16" in shown(app), "news does not end a filter"
        rows.choose("full-training")
        await settle(pilot)
        assert rows.chosen == "full-training" and "of 16 &" not in shown(app)


class Alone(App[None]):
    """A list of rows whose words are anything."""

    def compose(self) -> ComposeResult:
        with Pane():
            yield RowList()

    def on_mount(self) -> None:
        self.query_one(RowList).fill([
            (None, partial(words.fit, text("many"))),
            *((f"r{n}", partial(words.fit, text(f"row {n} of many"))) for n in range(60)),
        ])  # fmt: skip
        self.query_one(RowList).focus()
        self.query_one(Pane).title("the name")


async def test_a_click_chooses_a_row_and_the_wheel_scrolls() -> None:
    app = Alone()
    async with app.run_test(size=(60, 20)) as pilot:
        rows = app.query_one(RowList)
        await pilot.click(offset=Offset(6, 5))
        assert rows.chosen == "r3"
        await pilot._post_mouse_events([events.MouseScrollDown], RowList)
        await pilot.pause()
        assert rows.scroll_y > 0


async def test_hostile_words_of_a_filter_are_text() -> None:
    app = Alone()
    async with app.run_test(size=(60, 20)) as pilot:
        app.query_one(RowList).filter(HOSTILE)
        await pilot.pause()
        title = app.query_one(Pane)._border_title
        assert title is not None and "\x1b" not in title.plain and "\u202e" not in title.plain
        assert title.plain.startswith("the name · 0 of 60 &")
        app.query_one(RowList).filter("x" * 1_000_000)
        await pilot.pause()
        app.query_one(RowList).filter("row 7")
        await pilot.pause()
        assert app.query_one(Pane)._border_title.plain == "the name · 6 of 60 &row 7"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("needle", "held"),
    [
        ("", True),
        ("DELTA gpu", True),
        ("gpu !cpu", True),
        ("!gpu", False),
        ("!", True),
        ("x", False),
    ],
)
def test_words_and_words_that_are_not_there(needle: str, held: bool) -> None:
    assert passes("Delta has a GPU", needle) is held


@given(st.text(max_size=30), st.text("ab !", max_size=8))
def test_a_longer_filter_never_shows_more(value: str, needle: str) -> None:
    if passes(value, f"{needle} a"):
        assert passes(value, needle)
