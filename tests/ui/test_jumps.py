"""Going anywhere by name from the palette."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import press, running, settle, shown, until, write
from tests.ui.fakes import FakeDesk
from tui import jumps
from tui.screens.base import DeskScreen
from tui.screens.train import TrainScreen


@pytest.mark.parametrize(
    ("typed", "word", "rest"),
    [
        ("job 142", "job", "142"),
        ("run 142", "job", "142"),
        ("V  1.0.1 ", "version", "1.0.1"),
        ("at 2026-01-14", "at", "2026-01-14"),
        ("ask which queue has GPUs", "ask", "which queue has GPUs"),
    ],
)
def test_the_first_word_says_what(typed: str, word: str, rest: str) -> None:
    found = jumps.parse(typed)
    assert found is not None and (found[0].words[0], found[1]) == (word, rest)


def test_other_words_are_left_to_the_commands() -> None:
    assert jumps.parse("theme") is None and jumps.parse("") is None


def test_every_word_has_to_be_there_and_the_whole_name_comes_first() -> None:
    names = [("train-20-smoke", ""), ("train-2", ""), ("evaluate-2", ""), ("train-2-b", "")]
    found = [n for n, _ in jumps.matching(names, "Train 2")]
    assert found == ["train-2", "train-2-b", "train-20-smoke"]
    assert next(jumps.matching(names, "train-2"))[0] == "train-2"


@pytest.mark.parametrize("typed", ["1.0.1", "v1.0.1", "access-qa-v1.0.1", "V1.0.1"])
def test_a_version_is_found_before_those_that_begin_like_it(typed: str) -> None:
    names = [(f"access-qa-v1.0.{n}", "") for n in range(199, -1, -1)]
    assert next(jumps.matching(names, typed))[0] == "access-qa-v1.0.1"


def test_no_two_jumps_share_a_word() -> None:
    words = [w for j in jumps.JUMPS for w in j.words]
    assert len(words) == len(set(words))
    assert all(jumps.parse(j.example) is not None for j in jumps.JUMPS)


async def test_the_palette_begins_with_the_same_at_every_start(tmp_path: Path) -> None:
    """Several sources would be asked in the order of their places in memory."""
    async with running(tmp_path) as (app, pilot, _):
        await settle(pilot)
        assert len(app.COMMANDS) == 1 and not app.screen.COMMANDS
        await press(pilot, "colon")
        await until(pilot, lambda: "Pilot: run check" in shown(app))


async def test_a_job_from_any_screen_and_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await settle(pilot)
        wanted = list(desk.rows)[-1]
        await press(pilot, "9", "colon")
        await write(pilot, f"job {wanted}")
        await until(pilot, lambda: f"job {wanted}" in shown(app))
        await press(pilot, "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        await until(pilot, lambda: screen.job is not None and screen.job.id == wanted)
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, DeskScreen) and app.screen.MODE == "host")


async def test_a_first_word_alone_is_typed_for_you(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await settle(pilot)
        app.type_command("version ")
        await until(pilot, lambda: "version access-qa-v1.1.0" in shown(app))


async def test_a_question_is_asked_and_an_answer_is_traced(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await settle(pilot)
        await app.jump("trace", "ask", "which queue has GPUs")
        await until(pilot, lambda: ("traces.ask", "which queue has GPUs") in asked(desk))
        await app.jump("trace", "trace", "an answer of yesterday")
        await until(pilot, lambda: ("traces.trace", "an answer of yesterday") in asked(desk))


def asked(desk: FakeDesk) -> list[tuple[str, str]]:
    return [(str(c[0]), str(c[1])) for c in desk.calls if len(c) > 1]
