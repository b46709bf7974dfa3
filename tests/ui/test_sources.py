"""The source registry as an operator uses it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.ui import fakes
from tests.ui.conftest import NARROW, press, running, settle, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tui.desk.api import SourcesView
from tui.screens.alias import AliasDialog
from tui.widgets.confirm import Ask
from tui.widgets.lists import RowList
from tui.widgets.login import Questions


async def test_unknown_ids_stand_first_with_their_counts(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "7")
        screen = shown(app)
        assert screen.index("delta9.example.org") < screen.index("delta.ncsa.access-ci.org")
        for part in ("17×", "cited 17 times", "access-qa-v1.1.0", "512 GB of memory", "known",
                     "in stored answers", "How much memory has a GPU", "v1.1.0, 2026-11-22"):  # fmt: skip
            assert part in screen, part


async def test_tab_goes_to_the_known_ones_and_the_keys_are_about_them(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, _):
        await press(pilot, "7")
        assert "cited 17 times" in shown(app)
        await press(pilot, "tab")
        assert "shown as" in shown(app) and "Delta Hardware Specifications" in shown(app)
        await pilot.press("r")
        await until(pilot, lambda: "tab goes to them" in told(app))
        await press(pilot, "shift+tab")
        assert "cited 17 times" in shown(app)


async def test_sorting_and_columns_of_the_sources(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "7", "s")
        await until(
            pilot, lambda: "by id" in app.screen.unknown.state or app.screen.unknown.order.column
        )
        await press(pilot, "c")
        assert "Columns" in shown(app) and "✔ cited" in shown(app)
        await press(pilot, "escape")


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
        await until(pilot, lambda: isinstance(app.screen, AliasDialog))
        rows = app.screen.query_one(RowList)
        await until(pilot, lambda: (rows.chosen or "").startswith("compute-resources:delta"))
        await write(pilot, "guide")
        await until(pilot, lambda: rows.chosen == "doc:allocations-guide.pdf:page-15")
        await pilot.press("enter")
        unknown = "compute-resources:delta9.example.org"
        expected = ("alias_source", unknown, "doc:allocations-guide.pdf:page-15")
        await until(pilot, lambda: expected in desk.calls)


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


async def test_the_filter_narrows_the_list_in_focus_and_escape_ends_it(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, desk):
        await press(pilot, "7", "slash")
        await write(pilot, "gromacs")
        await until(pilot, lambda: "1 · /gromacs" in shown(app))
        assert "delta9" not in shown(app)
        await press(pilot, "enter")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Questions))
        await press(pilot, "escape", "escape")
        await until(pilot, lambda: "delta9" in shown(app))
        assert not [c for c in desk.calls if c[0].endswith("_source")]


async def test_nothing_unknown_leaves_the_room_to_the_registry(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.settled = {u.source_id for u in fakes.UNKNOWN_SOURCES}
        await press(pilot, "7")
        await until(pilot, lambda: app.screen.known.chosen is not None)
        assert "unknown" not in shown(app).splitlines()[2] and "delta.ncsa" in shown(app)
        await pilot.press("a")
        await until(pilot, lambda: "and there is none" in told(app))


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
            assert app.screen.table is getattr(app.screen, name)
            assert not any(c in shown(app) for c in "\x1b\x07\x00\u202e")
            if name == "unknown":
                app.screen.known.focus()
                await settle(pilot)
        await pilot.press("w")
        await until(pilot, lambda: "no http or https address" in told(app))


async def test_the_palette_looks_for_a_source(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await app.jump("sources", "source", "guide")
        await until(pilot, lambda: app.screen.known.state.startswith("1 · /guide"))
        assert app.screen.known.chosen == "doc:allocations-guide.pdf:page-15"
