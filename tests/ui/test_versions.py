"""Promotion and rollback as an operator does them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from core.errors import Refused
from tests.ui.conftest import NARROW, press, running, shown, until, write
from tui.screens.evaluate_flips import FlipsScreen
from tui.screens.version_compare import ComparePage
from tui.widgets.confirm import Problem
from tui.widgets.pane import Pane
from tui.widgets.pull_table import PullTable

OLD, NEW = "access-qa-v1.0.0", "access-qa-v1.1.0"


async def test_list_detail_history_and_why_not(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "6")
        screen = shown(app)
        for part in ("v1.1.0", "v1.0.0", "v0.9.1", "✘ NO-GO", "live in production",
                     "dataset-2026-11-22-ab12cd34ef00", "r: 64", "jsmith",
                     "not now, it is live in production already", "against the gates"):  # fmt: skip
            assert part in screen, part
        await press(pilot, "j")
        await until(pilot, lambda: "not now, 2 gates fail" in shown(app))


async def test_promote_needs_the_name_typed(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "p")
        assert "gates" in shown(app) and "74 %" in shown(app), "evidence before the question"
        await press(pilot, "enter")  # staging
        assert "staging: v1.0.0 → v1.1.0" in shown(app)
        await press(pilot, "enter")
        await write(pilot, "access-qa-v1.0.0")
        await press(pilot, "enter")
        assert not any(c[0] == "promote" for c in desk.calls)
        await pilot.press(*["backspace"] * len(OLD))
        await write(pilot, NEW)
        await press(pilot, "enter")
        assert ("promote", NEW, "staging", None) in desk.calls
        await until(pilot, lambda: "v1.1.0 is live in staging" in shown(app))
        await until(pilot, lambda: "● staging v1.1.0" in shown(app), "the strip follows")


async def test_promoting_against_the_gates_needs_a_reason_too(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "j", "p", "j", "enter")  # v1.0.0 to production
        assert "not allowed: 2 gates fail" in shown(app)
        await press(pilot, "tab")
        await write(pilot, OLD)
        await press(pilot, "enter")
        assert not any(c[0] == "promote" for c in desk.calls), "no reason, no promotion"
        await write(pilot, "demo for the board")
        await press(pilot, "enter")  # to the name, which is typed already
        await press(pilot, "enter")
        await until(pilot, lambda: any(c[0] == "promote" for c in desk.calls))
        assert ("promote", OLD, "production", "demo for the board") in desk.calls


async def test_esc_promotes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "p", "enter", "escape")
        assert len(app.screen_stack) == 1
        assert not any(c[0] == "promote" for c in desk.calls)


async def test_a_refusal_of_the_registry_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.fail["promote"] = Refused("gates changed meanwhile", try_next="look again")
        await press(pilot, "6", "p", "enter")
        await write(pilot, NEW)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Problem))
        assert "gates changed meanwhile" in shown(app) and "look again" in shown(app)


async def test_roll_back_shows_from_and_to_and_needs_a_reason(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "r")
        assert "not now: no version was live there before" in shown(app)
        await press(pilot, "enter")  # production comes first: it is the one that can
        assert "production: v1.1.0 → v1.0.0" in shown(app)
        await press(pilot, "enter")
        assert not any(c[0] == "roll_back" for c in desk.calls)
        await write(pilot, "wrong answers on Delta")
        await press(pilot, "enter")
        assert ("roll_back", "production", "wrong answers on Delta") in desk.calls
        await until(pilot, lambda: "production is back on access-qa-v1.0.0" in shown(app))
        await until(pilot, lambda: "● prod v1.0.0" in shown(app))


async def test_roll_back_that_cannot_be_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.live = {"staging": NEW}
        await press(pilot, "6", "r", "enter")
        await until(pilot, lambda: "no version was live there before" in shown(app))
        assert not any(c[0] == "roll_back" for c in desk.calls)


async def test_enter_shows_the_scores_and_esc_leads_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "enter")
        await until(pilot, lambda: app.current_mode == "evaluate")
        assert ("scores", NEW) in desk.calls
        await press(pilot, "escape")
        assert app.current_mode == "versions"


async def test_narrow_history_takes_the_place_of_the_detail(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, _):
        await press(pilot, "6")
        assert "first version" not in shown(app)
        await press(pilot, "h")
        assert "first version" in shown(app)
        await press(pilot, "escape")
        assert "first version" not in shown(app)


async def test_empty_says_what_to_do_first(tmp_path: Path) -> None:
    async with running(tmp_path, "empty") as (app, pilot, _):
        await press(pilot, "6")
        assert "No version yet" in shown(app) and "Pilot" in shown(app)
        for key in ("p", "r", "e"):
            await press(pilot, key)
        await until(pilot, lambda: "there is no version yet" in shown(app))
        assert len(app.screen_stack) == 1


async def test_promoting_tells_what_was_seen_live(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "p", "enter", "enter")
        desk.live["staging"] = "access-qa-v0.9.1"  # somebody else was faster
        await write(pilot, NEW)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Problem))
        assert "changed under you" in shown(app)


async def test_return_is_two_keys_and_no_reason(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "u")
        assert "production: v1.1.0 → v1.0.0" in shown(app)
        await press(pilot, "enter")
        assert not any(c[0] == "return_" for c in desk.calls), "enter alone does nothing"
        await press(pilot, "y")
        assert ("return_", "production") in desk.calls
        await until(pilot, lambda: "production has returned to access-qa-v1.0.0" in shown(app))


async def test_a_closed_window_greys_the_key_and_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.live = {"staging": NEW}
        await press(pilot, "6")
        await until(
            pilot, lambda: app.screen.returns == {"staging": "the window to return has closed"}
        )
        await press(pilot, "u")
        await until(pilot, lambda: "the window to return has closed" in shown(app))
        assert not any(c[0] == "return_" for c in desk.calls)


async def test_approve_for_an_environment_with_a_reason(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "a")
        assert "not now: jsmith has approved it already" in shown(app)
        await press(pilot, "enter")  # staging: he cannot
        assert not any(c[0] == "approve" for c in desk.calls)
        await press(pilot, "a", "j", "enter")
        assert "74 %" in shown(app), "the scores are in sight"
        await write(pilot, "read 20 answers")
        await press(pilot, "enter")
        assert ("approve", NEW, "production", "read 20 answers") in desk.calls


async def test_mark_two_and_compare(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "m")
        assert "▸" in shown(app)
        await press(pilot, "m")
        assert "▸" not in shown(app), "the same key takes the mark away"
        await press(pilot, "j", "m", "k", "m")
        assert ("compare", OLD, NEW) in desk.calls
        page = shown(app)
        for part in ("v1.0.0 → v1.1.0", "1 worse", "rs-003", "was: Yes, version 11.", "now: No.",
                     "accuracy", "61 % → 74 %", "12 added", "lora.r", "16 → 64"):  # fmt: skip
            assert part in page, part
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1 and "▸" not in shown(app)


async def test_look_back(tmp_path: Path) -> None:
    for size in (None, NARROW):
        more = {"size": size} if size else {}
        async with running(tmp_path / str(size), **more) as (app, pilot, desk):  # type: ignore[arg-type]
            await press(pilot, "6", "t")
            await write(pilot, "2026-11-21T16:00")
            await press(pilot, "enter")
            assert ("live_at", "2026-11-21T16:00") in desk.calls
            page = shown(app)
            for part in ("staging: nothing was live", "production: access-qa-v1.0.0",
                         "against the gates", "approved by mkim", "1,458 pairs"):  # fmt: skip
                assert part in page, part


async def test_card_and_trail(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "6", "i")
        assert "NO-GO. Do not use this version." in shown(app)
        await press(pilot, "escape", "l")
        assert "version.promote" in shown(app) and "automation from desk/app" in shown(app)


async def test_hostile_text_in_every_new_page(tmp_path: Path) -> None:
    from tests.ui.fakes import hostile

    async with running(tmp_path) as (app, pilot, desk):
        desk.mapped = hostile("[red]\x1b]52;c;eA==\x07")
        await press(pilot, "6")
        for keys in (("i",), ("l",), ("m", "j", "m")):
            await press(pilot, *keys)
            await until(pilot, lambda: len(app.screen_stack) > 1)
            assert "\x1b" not in shown(app) and "[red]" in shown(app)
            await press(pilot, "escape")


async def test_the_palette_goes_to_a_version_and_promotes_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await app.jump("versions", "version", "access-qa-v0.9.1")
        await until(pilot, lambda: app.screen.table.chosen == "access-qa-v0.9.1")
        await press(pilot, "slash")
        await write(pilot, "v1.1")
        await until(pilot, lambda: app.screen.table.total == 1)
        await app.jump("versions", "promote", OLD)
        await until(pilot, lambda: f"Promote {OLD} to" in shown(app), "the filter does not hide it")
        await press(pilot, "escape")
        await app.jump("versions", "at", "2026-11-21T16:00")
        await until(pilot, lambda: ("live_at", "2026-11-21T16:00") in desk.calls)


@pytest.mark.parametrize("size", [NARROW, (200, 60)])
async def test_every_changed_answer_of_a_comparison_can_be_read(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with running(tmp_path, size=size) as (app, pilot, desk):
        compare = desk.compare

        def many(a: str, b: str) -> dict[str, Any]:
            found = compare(a, b)
            (flip,) = found["flips"]["regressions"]
            worse = [{**flip, "id": f"rs-{n:03}"} for n in range(30)]
            invented = [{**flip, "id": "rs-900", "severe": True}]
            return {
                **found,
                "flips": {"regressions": worse, "invented": invented, "improvements": []},
            }

        desk.compare = many  # type: ignore[method-assign]
        await press(pilot, "6")
        await until(pilot, lambda: app.screen.query_one(PullTable).total)
        await press(pilot, "space", "space", "m")
        await until(pilot, lambda: isinstance(app.screen, ComparePage))
        body = app.screen.query_one("#body")
        assert body.size.width > (110 if size[0] == 200 else 60), "it uses the room"
        page = " ".join(str(body.render()).split())
        assert "30 worse, 1 right but invents a source, 0 better" in page and "▲ rs-900" in page
        await press(pilot, "f")
        await until(pilot, lambda: isinstance(app.screen, FlipsScreen))
        await until(pilot, lambda: app.screen.query_one(PullTable).total == 31)
        await press(pilot, "escape")
        assert isinstance(app.screen, ComparePage)


async def test_space_marks_two_and_m_compares_them(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6", "space", "space")
        assert "2 marked" in shown(app)
        await press(pilot, "m")
        assert ("compare", NEW, OLD) in desk.calls


async def test_a_detail_that_is_late_never_stands_under_another_version(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "6")
        assert "r: 64" in shown(app)
        read, go_on = desk.version_detail, threading.Event()

        def late(name: str) -> dict[str, Any]:
            go_on.wait(20)
            return read(name)

        desk.version_detail = late  # type: ignore[method-assign]
        pane, detail = app.screen.query_one("#detail", Pane), app.screen.query_one("#detail-text")
        mixed: list[str] = []

        def gone() -> bool:
            title, said = str(pane.border_title), str(detail.content)  # type: ignore[attr-defined]
            if ("v1.1.0" in title) != ("r: 64" in said):
                mixed.append(title)
            return "…" in said

        await pilot.press("j")
        await until(pilot, gone, "what was said of the other is gone")
        assert not mixed, "name and detail change together"
        assert "v1.0.0" in str(pane.border_title)
        go_on.set()
        await until(pilot, lambda: "r: 64" in shown(app))
