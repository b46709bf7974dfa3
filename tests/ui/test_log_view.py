"""The log view alone, in an app of nothing else."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import on
from textual.app import App, ComposeResult
from textual.events import Key, MouseScrollUp
from textual.pilot import Pilot

from remote.segments import Copy
from tests.ui.conftest import until
from tests.ui.test_clean import harmless
from tui.bindings import bindings
from tui.theme import DEFAULT, THEMES, roles
from tui.widgets.log.keys import LOG
from tui.widgets.log.panel import LogPanel
from tui.widgets.log.prompt import LogPrompt
from tui.widgets.log.query import Query
from tui.widgets.log.view import LogView


class Alone(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.went_to: list[tuple[int, str]] = []
        self.changes = 0

    def compose(self) -> ComposeResult:
        yield LogView(empty="nothing yet")

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DEFAULT
        self.console.push_theme(roles(self.current_theme))

    @on(LogView.CursorLine)
    def moved(self, event: LogView.CursorLine) -> None:
        self.went_to.append((event.line_number, event.text))

    @on(LogView.Changed)
    def changed(self) -> None:
        self.changes += 1

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)

    def rows(self) -> list[str]:
        """What the lines' part shows, without the bar."""
        body = self.view.body
        return [body.render_line(y).text[:-1].rstrip() for y in range(body.size.height)]

    def text(self) -> list[str]:
        """The same without the gutter."""
        return [row[2:] for row in self.rows()]

    def screen_text(self) -> str:
        width, _ = self.size
        lines = self.screen._compositor.render_strips()
        return "\n".join("".join(s.text for s in line)[:width].rstrip() for line in lines)


def add(path: Path, start: int, stop: int) -> None:
    with open(path, "a") as out:
        out.writelines(f"line {n}\n" for n in range(start, stop))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "output.log"
    path.touch()
    return path


@asynccontextmanager
async def opened(
    *paths: Path, size: tuple[int, int] = (60, 10)
) -> AsyncIterator[tuple[Alone, LogView, Pilot[Any]]]:
    app = Alone()
    async with app.run_test(size=size) as pilot:
        view = app.view
        view.open_path(paths[0]) if len(paths) == 1 else view.open_merged(paths)
        view.focus()
        await until(pilot, lambda: view.file is not None and view.file.complete, "the counting")
        await pilot.pause()
        yield app, view, pilot


async def enter(pilot: Pilot[Any], key: str, words: str) -> None:
    """Press `key`, type `words` into the prompt, answer it."""
    await pilot.press(key)
    for char in words:
        await pilot.press({" ": "space", "/": "slash", "!": "exclamation_mark", "+": "plus",
                           ":": "colon", "%": "percent_sign", "\\": "backslash"}.get(char, char))  # fmt: skip
    await pilot.press("enter")
    await pilot.pause()


async def test_follows_the_end_lets_go_on_the_way_up_and_counts(log: Path) -> None:
    async with opened(log) as (app, view, pilot):
        assert app.rows()[0] == "nothing yet"
        add(log, 0, 100)
        await until(pilot, lambda: view.lines == 100)
        await until(pilot, lambda: app.text()[-1] == "line 99")
        assert view.top_line == 90

        await pilot.press("k")
        assert not view.following and view.cursor == 98
        before = app.text()[:-1]
        add(log, 100, 130)
        await until(pilot, lambda: view.new_lines == 30)
        assert app.text()[:-1] == before, "a paused view must not move"
        assert "30 new lines" in app.text()[-1]

        await pilot.press("f")
        await until(pilot, lambda: app.text()[-1] == "line 129")
        assert view.new_lines == 0 and view.cursor is None


async def test_below_the_last_line_it_follows_again(log: Path) -> None:
    add(log, 0, 50)
    async with opened(log) as (_, view, pilot):
        await pilot.press("k", "k", "j", "j")
        assert view.cursor == 49 and not view.following
        await pilot.press("j")
        assert view.following


async def test_the_wheel_scrolls_and_follows_at_the_end(log: Path) -> None:
    add(log, 0, 50)
    async with opened(log) as (app, view, pilot):
        await pilot._post_mouse_events([MouseScrollUp], "LogLines", times=2)
        assert not view.following and app.text()[0] == "line 34"
        assert view.cursor is not None and 34 <= view.cursor <= 43
        view.body.scroll_rows(3)
        assert not view.following
        view.body.scroll_rows(3)
        assert view.following


async def test_a_click_moves_the_cursor_two_open_the_line_dragging_selects(log: Path) -> None:
    add(log, 0, 5)
    async with opened(log, size=(100, 12)) as (app, view, pilot):
        await pilot.click("LogLines", offset=(5, 2))
        assert view.cursor == 2 and app.went_to == [(2, "line 2")]
        await pilot.mouse_down("LogLines", offset=(5, 1))
        await pilot.hover("LogLines", offset=(5, 3))
        await pilot.mouse_up("LogLines", offset=(5, 3))
        assert list(view.body.selection) == [1, 2, 3]
        await pilot.press("c")
        assert app.clipboard == "line 1\nline 2\nline 3"
        await pilot.click("LogLines", offset=(5, 4), times=2)
        assert app.query_one(LogPanel).mode == "line"


async def test_the_bar_is_clicked_to_go_anywhere(log: Path) -> None:
    add(log, 0, 1000)
    async with opened(log) as (_, view, pilot):
        await pilot.click("LogLines", offset=(59, 0))
        assert view.top_line == 0 and not view.following
        await pilot.click("LogLines", offset=(59, 5))
        assert 400 < view.top_line < 700
        await pilot.click("LogLines", offset=(59, 9))
        assert view.following


async def test_lines_are_gone_to_without_telling_who_asked(log: Path) -> None:
    add(log, 0, 5000)
    async with opened(log, size=(40, 11)) as (app, view, pilot):
        view.go_to_line(2500)
        await pilot.pause()
        assert app.text()[5] == "line 2500" and app.went_to == []
        await pilot.press("j")
        await until(pilot, lambda: app.went_to == [(2501, "line 2501")])
        await pilot.press("g")
        assert app.text()[0] == "line 0" and view.cursor == 0
        await pilot.press("ctrl+d", "G")
        assert view.following


async def test_the_end_of_a_big_file_is_in_sight_before_it_is_counted(log: Path) -> None:
    with open(log, "wb") as out:
        for _ in range(40):
            out.write(b"x" * 99 * 10_000 + b"\n" * 10_000)
        out.write(b"the end\n")
    app = Alone()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.open_path(log)
        assert app.view.file is not None and not app.view.file.complete
        assert app.text()[-1] == "the end"
        app.view.go_to_line(400_000)
        app.view.focus()
        await until(pilot, lambda: app.view.file is not None and app.view.file.complete)
        assert app.view.lines == 400_001
        await until(pilot, lambda: app.view.cursor == 400_000, "the line that was asked for early")


async def test_hostile_lines_are_text(log: Path) -> None:
    log.write_bytes(
        b"\x1b]52;c;AAAA\x07[/nope] [foo\n\x1b[2J\x9b6n\xff\xfe ok\n" + b"[" * 9000 + b"\n"
        b"nul\x00\n" + "东京 שלום \u202eevil".encode() + b"\n"
    )
    async with opened(log, size=(100, 16)) as (app, _view, pilot):
        assert app.text()[0] == "[/nope] [foo"
        assert app.text()[1].endswith("ok") and "AAAA" not in app.screen_text()
        await pilot.press("k", "k", "k", "enter", "w", "number_sign", "m", "M")
        await pilot.press("escape", "v", "k", "c")
        await enter(pilot, "slash", "evil[")
        await enter(pilot, "ampersand", "[")
        await pilot.pause()
        assert all(harmless(line) for line in app.screen_text().split("\n"))
        assert all(harmless(line) for line in app.clipboard.split("\n"))


async def test_a_search_goes_to_the_newest_counts_and_is_left_where_it_began(log: Path) -> None:
    add(log, 0, 300)
    async with opened(log) as (app, view, pilot):
        await pilot.press("n")
        assert any("nothing was searched yet" in n.message for n in app._notifications)
        await enter(pilot, "slash", "line 10")
        await until(pilot, lambda: view.cursor == 109)
        await until(pilot, lambda: "11/11" in app.screen_text(), "the count")
        await pilot.press("N")
        await until(pilot, lambda: view.cursor == 108 and "10/11" in app.screen_text())
        await pilot.press("n", "n")
        await until(pilot, lambda: view.cursor == 10 and "1/11" in app.screen_text())
        assert "went on from the top" in app.screen_text()
        await enter(pilot, "slash", "nowhere")
        await until(pilot, lambda: "not found" in app.screen_text())
        await pilot.press("escape")
        assert view.following and view.search is None
        assert not view.check_action("close", ()), "esc is the screen's again"


async def test_hits_of_a_regular_expression_are_found_and_coloured(log: Path) -> None:
    add(log, 0, 300)
    async with opened(log) as (app, view, pilot):
        await enter(pilot, "slash", "/9[5-7]$/")
        await until(pilot, lambda: view.cursor == 297)

        def coloured() -> list[str]:
            plain = view.body.rich_style.bgcolor
            return [
                s.text
                for y in range(view.body.size.height)
                for s in view.body.render_line(y)
                if s.style and s.style.bold and s.style.bgcolor != plain
            ]

        await until(pilot, lambda: coloured() == ["95", "96", "97"])
        await enter(pilot, "slash", "/(/")
        assert any("unterminated" in n.message for n in app._notifications)


async def test_a_filter_follows_combines_with_a_search_and_keeps_the_place(log: Path) -> None:
    add(log, 0, 300)
    async with opened(log) as (app, view, pilot):
        await enter(pilot, "ampersand", "9")
        await until(pilot, lambda: view.filter is not None and len(view.filter) == 57)
        await until(pilot, lambda: "57 of 300 lines" in app.screen_text())
        assert app.text()[-1] == "line 299" and view.following
        add(log, 300, 320)
        await until(pilot, lambda: app.text()[-1] == "line 319", "following under a filter")

        await enter(pilot, "slash", "line 2")
        await until(pilot, lambda: view.cursor == 299)
        await pilot.press("N")
        await until(pilot, lambda: view.cursor == 298)
        await pilot.press("escape", "k", "k")
        here = view.cursor
        await pilot.press("escape")
        assert view.filter is None
        assert view.cursor == here is not None

        view.filter_by("!9")
        await until(pilot, lambda: view.filter is not None and view.filter.done)
        assert not any("9" in row for row in app.text()[:-1])
        view.filter_by("/1[12]$/")
        await until(pilot, lambda: app.text()[:1] == ["line 11"])
        with pytest.raises(ValueError, match="unterminated"):
            view.filter_by("/(/")


async def test_the_cursor_stays_on_its_line_when_a_filter_comes_and_goes(log: Path) -> None:
    add(log, 0, 3000)
    async with opened(log) as (app, view, pilot):
        view.go_to_line(1999)
        view.filter_by("99")
        await until(pilot, lambda: view.filter is not None and view.filter.done)
        await pilot.pause(0.2)
        assert view.cursor == 1999 and "line 1999" in app.text()
        view.filter_by(None)
        assert view.cursor == 1999 and "line 1999" in app.text()


async def test_errors_and_levels(log: Path) -> None:
    lines = [f"INFO step {n}" for n in range(100)]
    lines[20], lines[60], lines[61] = "WARNING hot", "RuntimeError: boom", "ERROR again"
    log.write_text("\n".join(lines) + "\n")
    async with opened(log) as (app, view, pilot):
        await pilot.press("e")
        await until(pilot, lambda: view.cursor == 61)
        await pilot.press("E")
        await until(pilot, lambda: view.cursor == 60)
        assert "✘ RuntimeError: boom" in app.rows()
        await pilot.press("L")
        bad = ["▲ WARNING hot", "✘ RuntimeError: boom", "✘ ERROR again"]
        await until(pilot, lambda: app.rows()[:3] == bad)
        await pilot.press("L")
        await until(pilot, lambda: app.text()[:2] == ["RuntimeError: boom", "ERROR again"])
        await enter(pilot, "ampersand", "boom")
        await until(pilot, lambda: app.text()[:2] == ["RuntimeError: boom", ""], "both at once")
        await pilot.press("L")
        assert view.filter is not None and view.filter.query == Query("boom")


async def test_marks_are_toggled_gone_through_and_listed(log: Path) -> None:
    add(log, 0, 200)
    async with opened(log, size=(100, 12)) as (app, view, pilot):
        await pilot.press("apostrophe")
        assert any("no line is marked" in n.message for n in app._notifications)
        for number in (20, 150, 90):
            view.go_to_line(number)
            await pilot.press("m")
        assert "◆ line 90" in app.rows()
        for want in (150, 20, 90):
            await pilot.press("apostrophe")
            assert view.cursor == want
        await pilot.press("M")
        for row in ("◆ 21  line 20", "◆ 91  line 90", "◆ 151  line 150"):
            assert row in app.screen_text()
        await pilot.press("G", "enter")
        assert view.cursor == 150
        await pilot.press("escape")
        assert app.query_one(LogPanel).mode == ""
        await pilot.press("m")
        assert sorted(view.body.marks) == [20, 90]


async def test_going_to_a_time_a_line_a_share(log: Path) -> None:
    with open(log, "w") as out:
        for n in range(7200):
            out.write(time.strftime("2026-11-23 %H:%M:%S", time.gmtime(50_000 + n)) + f" s{n}\n")
    async with opened(log) as (app, view, pilot):
        for words, want in (("14:02", 520), ("+5m", 820), ("-1m", 760), ("100", 99), ("50%", 3600)):
            await enter(pilot, "t", words)
            assert view.cursor == want, words
        await enter(pilot, "t", "later")
        assert any("a time such as" in n.message for n in app._notifications)
        assert view.timeline is not None
        view.go_to_time(view.timeline.time_of(42) or 0)
        assert view.cursor == 42
    add(log.with_name("other"), 0, 5)
    async with opened(log.with_name("other")) as (_, view, _pilot):
        view.go_to_time(1e9)
        assert view.following, "it tells no times"


async def test_a_line_in_full_with_its_json(log: Path) -> None:
    value = {"ts": 1_795_357_800, "level": "error", "metrics": {"loss": 0.4, "[b]x": [1, None]}}
    log.write_text("first\nINFO " + json.dumps(value) + "\nlast\n")
    async with opened(log, size=(120, 20)) as (app, view, pilot):
        await pilot.press("k", "enter")
        await pilot.pause()
        shown = app.screen_text()
        assert '"metrics": {' in shown and '"[b]x": [' in shown and "✘ error" not in shown
        assert "2026-11-22 14:30:00" in shown and view.has_focus_within
        await pilot.press("k")
        await until(pilot, lambda: "line 1 " in app.screen_text(), "the panel goes with the cursor")
        await pilot.press("escape")
        assert "line 1 " not in app.screen_text()


async def test_wrapping_shows_all_of_a_line_and_keeps_the_cursor_in_sight(log: Path) -> None:
    log.write_text("\n".join(f"{n}:" + "abcdefgh" * (n % 4 * 10) for n in range(40)) + "\n")
    async with opened(log, size=(43, 12)) as (app, view, pilot):
        await pilot.press("w")
        await pilot.pause()
        assert "".join(row[2:] for row in app.rows()).endswith("39:" + "abcdefgh" * 30)
        for _ in range(30):
            await pilot.press("k")
            mark = f"{view.cursor}:"
            assert any(row[2:].startswith(mark) for row in app.rows()), mark
        for _ in range(20):
            await pilot.press("j")
            mark = f"{view.cursor}:"
            assert any(row[2:].startswith(mark) for row in app.rows()), mark


async def test_the_end_of_a_line_of_100_mb_is_reached_at_once(log: Path) -> None:
    with open(log, "wb") as out:
        out.write(b"before\n")
        for _ in range(100):
            out.write(b"0123456789abcdef" * 65_536)
        out.write(b"THE END\nafter\n")
    async with opened(log) as (app, view, pilot):
        began = time.process_time()
        await pilot.press("k", "dollar_sign")
        assert app.text()[1].endswith("THE END")
        await pilot.press("h", "h", "w", "w", "0", "l", "enter", "escape")
        await enter(pilot, "slash", "the end")
        await until(pilot, lambda: view.cursor == 1)
        assert time.process_time() - began < 20
        assert all(len(drawn.text) < 100_000 for drawn, _ in view.body._cache.values())


async def test_two_logs_by_time_with_their_letters(tmp_path: Path) -> None:
    for name, minute in (("one.log", 0), ("two.log", 1)):
        with open(tmp_path / name, "w") as out:
            out.writelines(f"2026-11-23 14:{n:02}:30 {name} {n}\n" for n in range(minute, 40, 2))
    async with opened(tmp_path / "one.log", tmp_path / "two.log") as (app, view, pilot):
        await until(pilot, lambda: view.lines == 40)
        await until(pilot, lambda: app.rows()[-1].endswith("two.log 39"))
        assert app.rows()[-1].startswith("b▏") and app.rows()[-2].startswith("a▏")
        assert "one.log + two.log" in view.title().plain
        with open(tmp_path / "one.log", "a") as out:
            out.write("2026-11-23 14:45:30 one.log 45\n")
        await until(pilot, lambda: app.rows()[-1].endswith("one.log 45"), "following both")
        await enter(pilot, "ampersand", "two")
        await until(pilot, lambda: view.filter is not None and view.filter.done)
        await until(pilot, lambda: all("two.log" in row for row in app.rows()[:-1]))
        await enter(pilot, "t", "14:21")
        assert view.cursor is not None and view.text(view.cursor).endswith("two.log 21")


async def test_a_log_that_turns_over_stays_readable(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "output.log")
    copy.write(b"before 1\nbefore 2\n", 0)
    async with opened(tmp_path / "output.log", size=(120, 10)) as (app, view, pilot):
        copy.turn("truncated")
        copy.write(b"after\n", 0)
        await until(pilot, lambda: view.lines == 4)
        assert app.text()[:2] == ["before 1", "before 2"] and app.text()[3] == "after"
        assert "cut short on the host" in app.text()[2]
        await pilot.press("k", "m")
        os.truncate(tmp_path / "output.log", 0)
        await until(pilot, lambda: "what was before is gone" in "".join(app.text()))
        assert not view.body.marks, "the marked line is gone"
    copy.close()


async def test_the_pager_gets_the_file_and_the_line(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(log, 0, 100)
    pager = log.parent / "my pager.py"
    pager.write_text("import sys, pathlib\npathlib.Path(sys.argv[1]).write_text(sys.argv[-1])\n")
    told = log.parent / "told"
    monkeypatch.setenv("PAGER", f"{sys.executable} '{pager}' '{told}'")
    async with opened(log) as (app, view, pilot):
        monkeypatch.setattr(app._driver.__class__, "can_suspend", True)
        view.go_to_line(40)
        await pilot.press("P")
        await until(pilot, told.exists)
        assert told.read_text() == str(log)
        monkeypatch.setenv("PAGER", str(log.parent / "nothing"))
        await pilot.press("P")
        await until(
            pilot, lambda: any("cannot be started" in n.message for n in app._notifications)
        )


async def test_resizing_keeps_the_end_and_the_cursor_in_sight(log: Path) -> None:
    add(log, 0, 100)
    async with opened(log, size=(40, 10)) as (app, view, pilot):
        for size in ((20, 5), (100, 30), (1, 1), (40, 10)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: view.body.size.height == app.size.height)
        await until(pilot, lambda: app.text()[-1] == "line 99")
        assert view.following
        await pilot.press("k")
        await pilot.resize_terminal(40, 4)
        await until(pilot, lambda: "line 98" in app.text())


async def test_an_idle_log_is_not_drawn_again_and_a_flood_not_often(log: Path) -> None:
    add(log, 0, 100)
    async with opened(log) as (_, view, pilot):
        drawn: list[int] = []
        plain = view.body.redraw
        view.body.redraw = lambda: (drawn.append(1), plain())[1]  # type: ignore[method-assign, func-returns-value]
        for _ in range(10):
            view.tick()
        assert drawn == [], "nothing new, nothing drawn"
        add(log, 100, 50_000)
        view.tick()
        view.tick()
        assert len(drawn) <= 2
        await until(pilot, lambda: view.lines == 50_000)


async def test_the_prompt_is_left_with_escape_and_shows_what_it_takes(log: Path) -> None:
    add(log, 0, 10)
    async with opened(log, size=(80, 10)) as (app, view, pilot):
        await pilot.press("t")
        await pilot.pause()
        assert "14:02 · +5m" in app.screen_text()
        await pilot.press("escape")
        assert not app.query_one(LogPrompt).open and view.has_focus_within
        await pilot.press("k")
        assert view.cursor == 8, "the keys are the log's again"


async def test_keys_that_come_all_at_once_are_typed_into_the_prompt(log: Path) -> None:
    add(log, 0, 300)
    async with opened(log) as (_, view, pilot):
        for key in ["slash", *"line", "space", *"120", "enter"]:
            pilot.app.post_message(
                Key(key, " " if key == "space" else key if len(key) == 1 else None)
            )
        await until(pilot, lambda: view.cursor == 120)
        assert view.search is not None and view.search.query.text == "line 120"
        await until(pilot, lambda: view.body.has_focus)


def test_every_key_has_one_meaning_and_an_id() -> None:
    ids = [key.id for key in LOG]
    assert len(set(ids)) == len(ids) and all(i.startswith("log.") for i in ids)
    names = [name for key in LOG for name in key.key.split(",")]
    assert len(set(names)) == len(names)
    for key in LOG:
        action = key.action.partition("(")[0]
        owner = LogView if hasattr(LogView, f"action_{action}") else LogView().body.__class__
        assert hasattr(owner, f"action_{action}"), key
    assert len(bindings(LOG)) == len(LOG)
