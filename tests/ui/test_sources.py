"""The source registry as an operator uses it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.ui import fakes
from tests.ui.conftest import NARROW, press, running, settle, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tui.desk.api import SourcesView
from tui.widgets.confirm import Ask, Choose
from tui.widgets.lists import RowList
from tui.widgets.login import Questions


async def test_unknown_ids_stand_first_with_their_counts(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "7")
        screen = shown(app)
        assert screen.index("delta9.example.org") < screen.index("delta.ncsa.access-ci.org")
        for part in ("17×", "cited 17 times", "access-qa-v1.1.0", "512 GB of memory", "4 known"):
            assert part in screen


async def test_an_unknown_id_becomes_a_source_with_the_proposed_address(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "7")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Questions))
        await write(pilot, "Delta 9")
        await pilot.press("enter", "enter")
        url = fakes.UNKNOWN_SOURCES[0].proposed_url
        await until(
            pilot,
            lambda: (
                ("resolve_source", "compute-resources:delta9.example.org", "Delta 9", url)
                in desk.calls
            ),
        )
        await until(pilot, lambda: "17×" not in shown(app))
        assert "is a source now" in told(app)


async def test_an_alias_offers_the_nearest_of_the_same_domain_first(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "7")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert "compute-resources:delta" in (app.screen.query_one(RowList).chosen or "")
        await pilot.press("enter")
        await until(pilot, lambda: any(c[0] == "alias_source" for c in desk.calls))


async def test_dismissing_asks_why(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "7")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("enter")
        await write(pilot, "never existed")
        await pilot.press("enter")
        expected = ("dismiss_source", "compute-resources:delta9.example.org", "never existed")
        await until(pilot, lambda: expected in desk.calls)


async def test_the_filter_narrows_both_lists_and_escape_ends_it(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, desk):
        await press(pilot, "7", "slash")
        await write(pilot, "doc:")
        await settle(pilot)
        await until(pilot, lambda: "1 of 4" in shown(app))
        assert "delta9" not in shown(app)
        await press(pilot, "enter")
        await pilot.press("r")
        await until(pilot, lambda: "this is for unknown sources" in told(app))
        await press(pilot, "escape")
        await until(pilot, lambda: "delta9" in shown(app))
        assert not [c for c in desk.calls if c[0].endswith("_source")]


async def test_hostile_sources_are_text(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07[bold red]x[/][@click=app.quit]\u202e\x00"
    desk = FakeDesk(tmp_path / "jobs")
    row, unknown = fakes.KNOWN_SOURCES[0], fakes.UNKNOWN_SOURCES[0]
    bad = SourcesView(
        (
            replace(
                row, source_id="doc:" + evil, display_name=evil * 50, url="javascript:x", link=""
            ),
        ),
        1,
        (replace(unknown, source_id="doc:" + evil, example=evil * 9999, model_version=evil),),
    )
    desk.sources = lambda text="": bad  # type: ignore[method-assign]
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "7")
        for name in ("unknown", "known"):
            await until(pilot, lambda: "[bold red]x[/]" in shown(app))
            assert (app.screen.query_one(RowList).chosen or "").startswith(name)
            assert not any(c in shown(app) for c in "\x1b\x07\x00\u202e")
            if name == "unknown":
                await press(pilot, "j")
        await pilot.press("w")
        await until(pilot, lambda: "no http or https address" in told(app))
