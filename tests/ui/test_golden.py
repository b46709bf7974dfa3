"""The golden set's editor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import TextArea

from core.errors import GoldenError, NotFound
from core.evaluation.golden import load_golden
from tests.ui import fakes_questions
from tests.ui.conftest import NARROW, press, running, shown, told, until, write
from tests.ui.fakes import FakeDesk
from tui.desk.workbench import Workbench
from tui.screens.golden import GoldenEditor, GoldenScreen
from tui.widgets.confirm import Confirm, Page
from tui.widgets.lists import RowList


async def test_questions_by_category_with_what_the_design_asks_for(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "s")
        await until(pilot, lambda: "resource specs" in shown(app))
        screen = shown(app)
        for part in ("2 of 40 asked for", "rs-001", "256 GB.", "team", "6 questions, 1 of them"):
            assert part in screen
        await press(pilot, "escape")
        assert not isinstance(app.screen, GoldenScreen)


async def test_an_edit_is_stored_in_the_file_the_question_stands_in(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, desk):
        await press(pilot, "5", "s")
        await until(pilot, lambda: isinstance(app.screen, GoldenScreen))
        await until(pilot, lambda: app.screen.query_one(RowList).chosen == "rs-001")
        app.screen.query_one(RowList).choose("tm-001")
        await press(pilot, "e")
        await until(pilot, lambda: isinstance(app.screen, GoldenEditor))
        area = app.screen.query_one(TextArea)
        area.text = area.text.replace("Who is Pat?", "Who is Sam?")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, GoldenScreen))
        call = next(c for c in desk.calls if c[0] == "questions.save")
        assert "Who is Sam?" in call[1] and call[2] == fakes_questions.TEAM
        await until(pilot, lambda: app.screen.query_one(RowList).chosen == "tm-001")
        assert "Who is Sam?" in shown(app)


async def test_a_faulty_question_is_told_and_stays_open(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "5", "s")
        await until(pilot, lambda: isinstance(app.screen, GoldenScreen))
        await until(pilot, lambda: app.screen.query_one(RowList).chosen == "rs-001")
        await press(pilot, "a")
        await until(pilot, lambda: isinstance(app.screen, GoldenEditor))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "question: it is empty" in shown(app))
        area = app.screen.query_one(TextArea)
        area.text = area.text.replace('"question": ""', '"question": "What is Delta?"')
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await press(pilot, "escape")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, GoldenScreen))
        await until(pilot, lambda: "What is Delta?" in shown(app))


async def test_check_find_and_remove(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "5", "s")
        await until(pilot, lambda: isinstance(app.screen, GoldenScreen))
        await until(pilot, lambda: app.screen.query_one(RowList).chosen == "rs-001")
        await press(pilot, "c")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert "its wording is trained" in shown(app)
        await press(pilot, "escape", "slash")
        await write(pilot, "gromacs")
        await press(pilot, "enter")
        await until(pilot, lambda: app.screen.query_one(RowList).chosen == "sw-001")
        await press(pilot, "d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await press(pilot, "y")
        await until(pilot, lambda: ("questions.remove", "sw-001") in desk.calls)


async def test_read_only_and_hostile_text(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07[bold red]x[/]\u202e\x00" * 40
    desk = FakeDesk(tmp_path / "jobs")
    row = fakes_questions.ROWS[0]
    desk.questions.rows = (replace(row, question=evil, answer=evil, set=evil, file=evil),)
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        app.read_only = True
        await press(pilot, "5", "s")
        await until(pilot, lambda: "[bold red]x[/]" in shown(app))
        assert not any(c in shown(app) for c in "\x1b\x07\x00\u202e")
        await press(pilot, "d")
        assert "read-only" in told(app) and isinstance(app.screen, GoldenScreen)


def test_the_real_set_is_edited_in_its_file(tmp_path: Path) -> None:
    from core import locations

    file = tmp_path / "golden.jsonl"
    file.write_bytes((locations.configs() / "corpus" / "golden.jsonl").read_bytes())
    before = load_golden(file)
    bench = Workbench("sandbox", golden=file)
    try:
        view = bench.questions.listed()
        assert len(view.rows) == len(before) and sum(n for _, n, _ in view.counts) == len(before)
        first = view.rows[0]
        row = json.loads(bench.questions.text(first.id))
        row["expected_answer"] += " Indeed."
        with pytest.raises(GoldenError):  # somebody else's item of that id
            bench.questions.save(json.dumps(row), first.file)
        assert bench.questions.save(json.dumps(row), first.file, first.id) == first.id
        assert load_golden(file)[0].expected_answer.endswith("Indeed.")
        assert bench.questions.listed().version != view.version
        new = json.loads(bench.questions.blank("software"))
        with pytest.raises(GoldenError):
            bench.questions.save(json.dumps(new), str(file))
        with pytest.raises(GoldenError):
            bench.questions.save("{broken", str(file))
        bench.questions.remove(first.id)
        assert len(load_golden(file)) == len(before) - 1
        with pytest.raises(NotFound):
            bench.questions.text(first.id)
        assert all(c.what for c in bench.questions.check())
    finally:
        bench.close()
