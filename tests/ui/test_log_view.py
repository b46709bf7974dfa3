"""The log view alone, in an app of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App, ComposeResult

from tests.ui.conftest import until
from tui.widgets.log_view import LogView


class Alone(App[None]):
    def compose(self) -> ComposeResult:
        yield LogView(empty="nothing yet")

    def text(self) -> list[str]:
        view = self.query_one(LogView)
        return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def add(path: Path, start: int, stop: int) -> None:
    with open(path, "a") as out:
        out.writelines(f"line {n}\n" for n in range(start, stop))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "output.log"
    path.touch()
    return path


async def test_follows_the_end_lets_go_on_scroll_up_and_counts(log: Path) -> None:
    app = Alone()
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.query_one(LogView)
        view.show(log)
        await pilot.pause()
        assert app.text()[0] == "nothing yet"

        add(log, 0, 100)
        await until(pilot, lambda: view.lines == 100)
        await until(pilot, lambda: app.text()[-1] == "line 99")
        assert view.scroll_offset.y == 90

        view.focus()
        await pilot.press("k")
        await until(pilot, lambda: not view.following)
        before = app.text()[:-1]
        add(log, 100, 130)
        await until(pilot, lambda: view.new_lines == 30)
        assert app.text()[:-1] == before, "a paused view must not move"
        assert "30 new lines" in app.text()[-1]

        view.follow()
        await until(pilot, lambda: app.text()[-1] == "line 129")
        assert view.new_lines == 0


async def test_scrolling_down_to_the_end_follows_again(log: Path) -> None:
    add(log, 0, 50)
    app = Alone()
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.query_one(LogView)
        view.show(log)
        await until(pilot, lambda: view.lines == 50)
        view.focus()
        await pilot.press("k", "k")
        await until(pilot, lambda: not view.following)
        await pilot.press("j", "j", "j")
        await until(pilot, lambda: view.following)


async def test_top_and_go_to_show_the_right_lines(log: Path) -> None:
    add(log, 0, 5000)
    app = Alone()
    async with app.run_test(size=(40, 11)) as pilot:
        view = app.query_one(LogView)
        view.show(log)
        await until(pilot, lambda: view.lines == 5000)
        view.top()
        await until(pilot, lambda: app.text()[0] == "line 0")
        view.go_to(2500, "2500")
        await until(pilot, lambda: "line 2500" in app.text())
        assert app.text()[5] == "line 2500"


async def test_the_end_of_a_big_file_is_in_sight_before_it_is_counted(log: Path) -> None:
    with open(log, "wb") as out:
        for _ in range(40):
            out.write(b"x" * 99 * 10_000 + b"\n" * 10_000)
        out.write(b"the end\n")
    app = Alone()
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.query_one(LogView)
        view.show(log)
        assert view.file is not None and not view.file.complete
        assert app.text()[-1] == "the end"
        await until(pilot, lambda: view.file is not None and view.file.complete)
        assert view.lines == 400_001


async def test_hostile_lines_are_text(log: Path) -> None:
    log.write_bytes(
        b"\x1b]52;c;AAAA\x07[/nope] [foo\n\x1b[2J\x9b6n\xff\xfe ok\n" + b"[" * 9000 + b"\n"
    )
    app = Alone()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(LogView)
        view.show(log)
        await until(pilot, lambda: view.lines == 3)
        assert app.text()[0] == "[/nope] [foo"
        assert app.text()[1].endswith("ok")
        assert not any("\x1b" in line or "\x9b" in line for line in app.text())


async def test_resizing_keeps_the_end_in_sight(log: Path) -> None:
    add(log, 0, 100)
    app = Alone()
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.query_one(LogView)
        view.show(log)
        for size in ((20, 5), (100, 30), (1, 1), (40, 10)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: view.size.height == app.size.height)
        await until(pilot, lambda: app.text()[-1] == "line 99")
        assert view.following
