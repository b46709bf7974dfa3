"""Long lists over a screen: pairs, an audit trail, flips; and writing all of one to a file."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

import pytest

from core.errors import NotFound
from tests.ui import fakes_data
from tests.ui.conftest import NARROW, press, running, settle, shown, told, until, write
from tests.ui.fakes_pairs import SNAPSHOT
from tui.desk.api_lists import Wanted
from tui.desk.api_pairs import LaidOut, PairsOf
from tui.screens.data_pairs import PairsScreen
from tui.screens.version_trail import TrailScreen
from tui.widgets.writing import Writing

OF = PairsOf("snapshot", fakes_data.NEW)


async def _open(pilot: Any, *keys: str) -> Any:
    await press(pilot, *keys)
    await until(pilot, lambda: hasattr(pilot.app.screen, "look"))
    screen = pilot.app.screen
    await until(pilot, lambda: screen.table.row is not None)
    await settle(pilot)
    return screen


@pytest.mark.parametrize("size", [NARROW, (200, 60)])
async def test_enter_on_a_snapshot_lists_its_pairs(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(tmp_path, size=size) as (app, pilot, desk):
        screen = await _open(pilot, "2", *"jjj", "enter")
        assert isinstance(screen, PairsScreen) and screen.of == OF
        await until(pilot, lambda: "assistant" in shown(app))
        page = shown(app)
        for part in (fakes_data.NEW, "1,458", "cr-00001", "How much memory", "512 GB"):
            assert part in page, part
        await press(pilot, "G")
        await until(pilot, lambda: screen.table.row.id == "cr-01458")
        await until(pilot, lambda: "partition 1458?" in shown(app))
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1 and desk.pairs.left == [OF]


async def test_pairs_are_found_by_their_words_and_esc_ends_the_filter_first(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as (app, pilot, _):
        screen = await _open(pilot, "2", *"jjj", "enter")
        await press(pilot, "slash")
        await write(pilot, "delta 0078")
        await until(pilot, lambda: "11 · /delta 0078" in shown(app))
        assert "cr-00785" in shown(app)
        await press(pilot, "enter", "escape")
        await until(pilot, lambda: screen.table.total == len(SNAPSHOT))
        assert app.screen is screen
        await press(pilot, "q")
        assert len(app.screen_stack) == 1


async def test_a_problem_leads_to_its_row_of_the_file(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "2")
        rows = app.screen.query_one("#list")
        rows.choose("problem 2")  # type: ignore[attr-defined]
        screen = await _open(pilot, "enter")
        assert screen.of == PairsOf("file", "/home/jsmith/field-notes.jsonl")
        await until(pilot, lambda: screen.table.chosen == "3")
        await until(pilot, lambda: "rejected: not-json" in shown(app))
        assert "a comma is missing" in shown(app)
        assert screen.file_behind() == (Path("/home/jsmith/field-notes.jsonl"), 3)


async def test_a_list_that_is_being_laid_out_grows_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.pairs.laid_out = LaidOut(40, 0.3, False)
        screen = await _open(pilot, "2", *"jjj", "enter")
        await until(pilot, lambda: "reading… 30 % · 40" in shown(app))
        await press(pilot, "j", "j")
        desk.pairs.laid_out = LaidOut(1458, 1.0, True)
        await until(pilot, lambda: "1,458" in shown(app) and "reading" not in shown(app))
        assert screen.table.row.n == 3, "the cursor stays"


async def test_the_row_to_go_to_is_gone_to_when_it_comes(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.pairs.laid_out = LaidOut(2, 0.1, False)
        await press(pilot, "2")
        app.screen.query_one("#list").choose("problem 2")  # type: ignore[attr-defined]
        screen = await _open(pilot, "enter")
        await until(pilot, lambda: screen.table.chosen == "1")
        desk.pairs.laid_out = LaidOut(12, 1.0, True)
        screen.table._poll()
        await until(pilot, lambda: screen.table.chosen == "3")


async def test_a_list_is_written_whole_though_it_still_grows_and_is_closed(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.pairs.laid_out = LaidOut(40, 0.3, False)
        await _open(pilot, "2", *"jjj", "enter")
        await until(pilot, lambda: "reading… 30 % · 40" in shown(app))
        await pilot.press("ctrl+s", "q")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert "written" not in told(app)
        desk.pairs.laid_out = LaidOut(1458, 1.0, True)
        await until(pilot, lambda: "1,458 rows written" in told(app))


async def test_a_list_of_which_rows_are_missing_is_not_written(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await _open(pilot, "2", *"jjj", "enter")
        desk.pairs.count = lambda of, wanted: 1500
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "1,500 rows, but 1,458 could be read" in shown(app))
        assert list((tmp_path / "state" / "exports").iterdir()) == []


async def test_a_row_that_cannot_be_read_says_so_beside_the_list(tmp_path: Path) -> None:
    def gone(of: PairsOf, n: int) -> Any:
        raise NotFound("pairs.jsonl has changed since this list was made")

    async with running(tmp_path) as (app, pilot, desk):
        desk.pairs.pair = gone
        screen = await _open(pilot, "2", *"jjj", "enter")
        await until(pilot, lambda: "has changed since this list" in shown(app))
        await press(pilot, "j", "j")
        assert app.screen is screen and screen.table.row.n == 3


async def test_the_audit_trail_of_a_version(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        screen = await _open(pilot, "6", "l")
        assert isinstance(screen, TrailScreen)
        assert ("trail", "access-qa-v1.1.0") in desk.calls
        for part in ("audit trail of access-qa-v1.1.0", "version.promote", "first version",
                     "production", "automation", '"model_version"'):  # fmt: skip
            assert part in shown(app), part


async def test_every_flip_is_listed_regressions_first(tmp_path: Path, monkeypatch: Any) -> None:
    def flip(n: int, severe: bool = False) -> dict[str, Any]:
        said = {"question": f"What of {n}?", "before": f"before {n}", "after": f"after {n}"}
        return {"id": f"q-{n:04}", "category": f"c{n % 3}", "severe": severe, **said}

    worse = [flip(400, True), *(flip(n) for n in range(400))]
    found = {"a": "access-qa-v1.0.0", "b": "access-qa-v1.1.0", "n": 900, "p_value": 0.5,
             "flips": {"regressions": worse, "invented": [flip(800, True)],
                       "improvements": [flip(n) for n in range(500, 700)]}}  # fmt: skip
    monkeypatch.setattr("tui.desk.report_page.flips_of", lambda desk, scores: found)
    async with running(tmp_path) as (app, pilot, _):
        screen = await _open(pilot, "5", "f")
        said = "401 worse, 1 right but invents a source, 200 better of 900"
        for part in ("v1.0.0 → v1.1.0", said, "▲ severe", "q-0400", "▲ invents", "q-0800"):
            assert part in shown(app), part
        await press(pilot, "j")
        assert screen.table.row.id == "q-0800"
        await press(pilot, "j")
        assert screen.table.row.id == "q-0000" and "✘ worse" in shown(app)
        await press(pilot, "G")
        await until(pilot, lambda: "✔ better" in shown(app) and "after 699" in shown(app))
        screen.table.filter("better !c0")
        await until(pilot, lambda: screen.table.total == 133)
        screen.table.sort("question")
        await until(pilot, lambda: screen.table.rows.order.column == "question")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "133 rows written" in told(app))


# the focus


async def test_unknown_ids_that_arrive_leave_the_focus_where_it_is(tmp_path: Path) -> None:
    from tests.ui import fakes

    async with running(tmp_path) as (app, pilot, desk):
        desk.settled = {u.source_id for u in fakes.UNKNOWN_SOURCES}
        await press(pilot, "7")
        screen = app.screen
        await until(pilot, lambda: screen.known.chosen is not None)
        await press(pilot, "j")
        before = screen.known.chosen
        desk.settled = set()
        screen.unknown.reload()
        await until(pilot, lambda: screen.query_one("#unknown").display)
        await settle(pilot)
        assert screen.known.has_focus_within and screen.known.chosen == before
        assert screen.table is screen.known, "the keys are still about the row they were about"
        await press(pilot, "shift+tab")
        assert screen.table is screen.unknown


async def test_unknown_ids_that_arrive_do_not_end_a_filter_that_is_being_typed(
    tmp_path: Path,
) -> None:
    from tests.ui import fakes

    async with running(tmp_path) as (app, pilot, desk):
        desk.settled = {u.source_id for u in fakes.UNKNOWN_SOURCES}
        await press(pilot, "7")
        screen = app.screen
        await until(pilot, lambda: screen.known.chosen is not None)
        await press(pilot, "slash")
        await write(pilot, "gro")
        desk.settled = set()
        screen.unknown.reload()
        await until(pilot, lambda: screen.query_one("#unknown").display)
        await write(pilot, "macs")
        await until(pilot, lambda: screen.known.text == "gromacs")


# writing


async def test_ctrl_s_writes_every_row_that_passes_in_the_order_in_sight(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        screen = await _open(pilot, "2", *"jjj", "enter")
        screen.table.filter("software")
        screen.table.sort("id")
        await until(pilot, lambda: screen.table.order.column == "id" and screen.table.total == 729)
        screen.table.sort("id")
        await until(pilot, lambda: screen.table.order.descending)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "729 rows written" in told(app))
        (path,) = (tmp_path / "state" / "exports").glob("pairs-*.csv")
        head, *rows = list(csv.reader(path.open(encoding="utf-8", newline="")))
        assert head == ["row", "id", "domain", "kind", "question", "answer"]
        assert [r[1] for r in rows] == [f"cr-{n:05}" for n in range(1457, 0, -2)]


async def test_writing_a_long_list_shows_how_far_it_is_and_esc_leaves_no_file(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("tui.widgets.writing.SHORT", 100)
    monkeypatch.setattr("tui.widgets.pull_table.source.AT_ONCE", 200)
    gate = threading.Event()
    async with running(tmp_path) as (app, pilot, desk):
        await _open(pilot, "2", *"jjj", "enter")
        rows = desk.pairs.rows

        def slow(of: PairsOf, wanted: Wanted, offset: int, limit: int) -> Any:
            if offset >= 400:
                gate.wait(30)
            return rows(of, wanted, offset, limit)

        monkeypatch.setattr(desk.pairs, "rows", slow)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Writing))
        await until(pilot, lambda: "400 of 1,458 rows" in shown(app))
        await pilot.press("enter")  # it goes on behind the app; the key shows it again
        await until(pilot, lambda: not isinstance(app.screen, Writing))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Writing))
        await pilot.press("escape")
        gate.set()
        await until(pilot, lambda: "the list is not written" in told(app))
        assert list((tmp_path / "state" / "exports").iterdir()) == []
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "1,458 rows written" in told(app))
        await until(pilot, lambda: not isinstance(app.screen, Writing), "it closes by itself")
