"""What holds on every screen: link states, errors, help, palette, themes, sizes, hostile text."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.errors import RegistryNewer
from tests.ui.conftest import (
    NARROW,
    WIDE,
    make_app,
    press,
    running,
    settle,
    shown,
    told,
    until,
    write,
)
from tests.ui.fakes import FakeDesk, hostile
from tui import theme
from tui.bindings import PLACES
from tui.widgets.confirm import Confirm, Page, Problem

NUMBERS = [p.number for p in PLACES]


async def test_connects_by_itself_after_the_first_frame(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs", "off")
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await until(pilot, lambda: ("connect",) in desk.calls)
        await until(pilot, lambda: "jump 12 ms ━ gh200 31 ms" in shown(app))


async def test_a_connection_that_hangs_holds_up_neither_the_app_nor_leaving(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs", "off")
    desk.hold = {"connect"}
    app = make_app(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: ("connect",) in desk.calls)
        await pilot.press("6")
        await until(pilot, lambda: "v1.1.0" in shown(app))
        desk.rows.clear()
        await until(pilot, lambda: app.overview is not None and app.overview.active_job is None)
        await pilot.press("q")
    assert not desk.release.is_set()
    assert "connect" in desk.holding, "the call still hangs, and the app has left"
    desk.release.set()


async def test_no_route_says_what_why_and_what_next(tmp_path: Path) -> None:
    async with running(tmp_path, "failed") as (app, pilot, desk):
        await until(pilot, lambda: isinstance(app.screen, Problem))
        for part in ("gh200 behind it does not", "connection refused", "then ctrl+r"):
            assert part in shown(app)
        await press(pilot, "escape")
        assert "no route" in shown(app)
        desk.state = "up"
        await press(pilot, "ctrl+r")
        await until(pilot, lambda: "gh200 31 ms" in shown(app))


async def test_losing_the_link_is_said_once_and_its_return_too(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.route = "lost"
        await until(pilot, lambda: "link lost" in shown(app))
        await until(pilot, lambda: "Jobs on the host go on" in told(app))
        await press(pilot, "3")
        await until(pilot, lambda: "42 s old" in shown(app))
        await until(pilot, lambda: "last known" in shown(app))
        assert told(app).count("Jobs on the host go on") == 1
        desk.route = "up"
        await until(pilot, lambda: "The link is back" in told(app))


async def test_errors_of_polls_are_said_once_not_every_second(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.fail["overview"] = RegistryNewer("registry.db is newer", try_next="update the program")
        await until(pilot, lambda: "registry.db is newer" in told(app))
        asked = desk.calls.count(("overview",))
        await until(pilot, lambda: desk.calls.count(("overview",)) >= asked + 2)
        assert told(app).count("registry.db is newer") == 1


async def test_a_defect_becomes_a_dialog_and_a_trace_in_the_log(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    app = make_app(desk)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        desk.fail["scores"] = ZeroDivisionError("oops")
        await press(pilot, "5")
        await until(pilot, lambda: isinstance(app.screen, Problem))
        assert "ZeroDivisionError: oops" in shown(app)
    assert len(app.defects) == 1
    assert "ZeroDivisionError" in (tmp_path / "state" / "errors.log").read_text()


async def test_q_leaves_at_once_without_a_job(tmp_path: Path) -> None:
    async with running(tmp_path, "finished") as (app, pilot, _):
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_q_says_that_a_running_job_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "q")
        assert isinstance(app.screen, Confirm)
        assert "goes on on gh200 without this app" in shown(app)
        await press(pilot, "enter", "q", "escape")
        assert len(app.screen_stack) == 1 and not app._exit
        await press(pilot, "q")
        await pilot.press("y")
        await until(pilot, lambda: app._exit)


async def test_esc_never_quits(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        for number in NUMBERS:
            await press(pilot, number, "escape", "escape", "escape")
        assert not app._exit


@pytest.mark.parametrize("place", PLACES, ids=lambda p: p.mode)
async def test_help_explains_the_screen(tmp_path: Path, place: Any) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, place.number, "question_mark")
        assert isinstance(app.screen, Page)
        assert place.purpose in shown(app) and place.keys[0].help in shown(app)
        await press(pilot, "escape")
        assert app.current_mode == place.mode


@pytest.mark.parametrize(
    ("keys", "title", "there", "not_there"),
    [
        (("4", "enter"), "The log in focus", "The next marked line", "Twice as many steps"),
        (("3", "p"), "The curve in focus", "Twice as many steps", "The next marked line"),
        (("4",), "Jobs", "Show only rows with these words", "The next marked line"),
    ],
)
async def test_help_tells_the_keys_of_the_pane_in_focus(
    tmp_path: Path, keys: tuple[str, ...], title: str, there: str, not_there: str
) -> None:
    async with running(tmp_path, size=(120, 160)) as (app, pilot, _):
        await press(pilot, *keys, "question_mark")
        assert title in shown(app) and there in shown(app)
        assert not_there not in shown(app)


async def test_the_palette_runs_keys_and_finds_rows(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "colon")
        await write(pilot, "Go to Versions")
        await until(pilot, lambda: "What exists" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "versions")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await settle(pilot)
        await press(pilot, "ctrl+p")
        await write(pilot, "Version: v0.9.1")
        await until(pilot, lambda: "Version: access-qa-v0.9.1" in shown(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen.version.model_version == "access-qa-v0.9.1"  # type: ignore[attr-defined]
                    if app.current_mode == "versions" and len(app.screen_stack) == 1 else False)  # fmt: skip


async def test_a_click_on_the_key_bar_presses_the_key(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        line = shown(app).split("\n")[-1]
        await pilot.click(offset=(line.index("? help") + 2, app.size.height - 1))
        await until(pilot, lambda: isinstance(app.screen, Page))
        await press(pilot, "escape")
        tabs = shown(app).split("\n")[1]
        await pilot.click(offset=(tabs.index("6 Versions") + 3, 1))
        await until(pilot, lambda: app.current_mode == "versions")


@pytest.mark.parametrize("name", [t.name for t in theme.THEMES] + ["ansi-dark", "textual-light"])
async def test_every_theme_draws_every_screen(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as (app, pilot, _):
        app.theme = name
        await pilot.pause()
        for number in NUMBERS:
            await press(pilot, number)
        assert "v1.1.0" in shown(app)


async def test_a_theme_changes_the_colours_of_rows_already_drawn(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):

        def tick_colours() -> set[Any]:
            lines = app.screen._compositor.render_strips()
            return {s.style.color for line in lines for s in line if s.style and "✔" in s.text}

        before = tick_colours()
        app.theme = "access-colour-blind"
        await until(pilot, lambda: tick_colours() and not tick_colours() & before)


@pytest.mark.parametrize("size", [(1, 1), (40, 10), (200, 60)])
async def test_any_size_and_back(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(tmp_path) as (app, pilot, _):
        for number in NUMBERS:
            await press(pilot, number)
            await pilot.resize_terminal(*size)
            await pilot.pause()
            await pilot.resize_terminal(*WIDE)
            await settle(pilot)
        await press(pilot, "1")
        assert "Week 4 · Evaluation" in shown(app)


HOSTILE = {
    "signs": " [/nope] [foo [@click=app.quit]x[/]"
    " \x1b]52;c;AAAA\x07\x1b[2J\x1b[6n\x9b6n \u202e\u2066\ud800\x00"
    " 東京 مرحبا 👩\u200d👩\u200d👧 e\u0301\u0301\u0301",
    "long": "x" * 1_000_000,
    "lines": "\n" * 5000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
async def test_hostile_text_in_every_field_is_text(
    tmp_path: Path, text: str, size: tuple[int, int]
) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    desk.mapped = _everywhere(hostile(text))
    desk.says = [f"said{text}"]
    async with running(tmp_path, size=size, desk=desk) as (app, pilot, _):
        await press(pilot, "enter")  # runs a check, whose lines are hostile too
        for keys in (("1",), ("5", "c", "c", "j", "enter", "escape"), ("6", "j"), ("3", "o"),
                     ("ctrl+p", "escape")):  # fmt: skip
            await press(pilot, *keys)
            screen = shown(app)
            assert not any(c in screen for c in "\x1b\x9b\x07\u202e\u2066\ud800")
        assert len(app.screen_stack) == 1
        app.say(f"notice{text}", title=f"title{text}", bad=True)
        await settle(pilot)
        app.report(RegistryNewer(f"what{text}", why=f"why{text}", try_next=f"try{text}"))
        await settle(pilot)
        assert "what" in shown(app)
        app.screen.dismiss()
        await settle(pilot)


def _everywhere(change: Any) -> Any:
    """`change` for the strings of frozen rows too, except what the app uses as a name."""
    from dataclasses import fields, is_dataclass, replace

    names = {"id", "model_version", "week", "state", "live", "live_in"}

    def apply(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            new = {
                f.name: apply(getattr(value, f.name)) for f in fields(value) if f.name not in names
            }
            return replace(value, **new)
        if isinstance(value, list | tuple):
            return type(value)(apply(v) for v in value)
        if isinstance(value, dict):
            return {k: v if k in names else apply(v) for k, v in value.items()}
        return change(value)

    return apply


async def test_threads_are_reused_and_a_stuck_one_blocks_nobody() -> None:
    import threading

    from tui.threads import Threads

    threads, stuck = Threads(4), threading.Event()
    first = [await threads.run(threading.get_ident) for _ in range(20)]
    assert len(set(first)) <= 4
    waiting = asyncio.create_task(threads.run(stuck.wait))
    assert await asyncio.wait_for(threads.run(lambda: 7), 10) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)
    stuck.set()
    assert await waiting is True
