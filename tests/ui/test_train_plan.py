"""Before a launch: the plan is shown, errors stop it, what was chosen is what is started."""

from __future__ import annotations

from pathlib import Path

from core.errors import MissingComponent, UsageError
from tests.ui.conftest import NARROW, press, running, shown, until, write
from tests.ui.fakes import FakeDesk, hostile
from tests.ui.fakes_plans import L2, L4, FakePlans
from tests.ui.test_train import noticed
from tui.desk.api_plans import Held, LintRow, Missed, PlanView, PreflightRow, PreflightView, Wish
from tui.desk.preflighting import view
from tui.present import past, planned
from tui.screens.train_plan import PlanPage


def started(desk: FakeDesk) -> list[tuple[object, ...]]:
    return [c for c in desk.calls if c[0] == "start_training"]


async def test_what_a_training_would_take_stands_there_before_it_starts(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "3", "s")
        await until(pilot, lambda: "1,391 markers" in shown(app))
        for words in ("23.9 of 95.6 GiB", "✔ fits", "18:00 to 24:00", "GPU hours 0.4", "980 steps",
                      "memory ±4%", "▲ L2", "qa-train --recipe mistral-7b", "on gh200 (direct)"):  # fmt: skip
            assert words in shown(app), words
        assert "Schulman" not in shown(app)
        await press(pilot, "w")
        assert "Schulman" in shown(app)
        await press(pilot, "enter")
        assert not started(desk)
        await press(pilot, "j", "m")
        assert "smoke run (1 epoch, 20 rows)" in shown(app)
        await press(pilot, "y")
        assert started(desk) == [("start_training", "smollm2-135m", True)]
        await until(pilot, lambda: "loading the base model" in shown(app))


async def test_an_error_stops_it_until_a_reason_is_typed(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.plans.lint = (L4, L2)
        await press(pilot, "3", "s")
        assert "✘ L4" in shown(app) and "not before L4" in shown(app)
        await press(pilot, "y")
        assert "not before L4" in noticed(app) and not started(desk)
        await press(pilot, "a")
        await write(pilot, "no")
        await press(pilot, "enter")
        assert not started(desk), "two letters are no reason"
        await write(pilot, " more in time")
        await press(pilot, "enter")
        assert "accepted: no more in time" in shown(app)
        await press(pilot, "y")
        assert started(desk) == [("start_training", "mistral-7b", False, "L4: no more in time")]


async def test_profile_and_overrides_reach_the_start(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "3", "s", "o")
        await write(pilot, "lora.r=32 train.epochs=5")
        await press(pilot, "enter", "p")
        assert "--set profile=design --set lora.r=32" in shown(app)
        await press(pilot, "y")
        assert started(desk)[0][3:] == ("profile=design", "lora.r=32", "train.epochs=5")


async def test_it_waits_in_line_where_the_accelerator_is_held(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.plans.busy = "train-0142"
        await press(pilot, "3", "s")
        assert "train-0142 has the accelerator" in shown(app) and "y puts it in line" in shown(app)
        await press(pilot, "y")
        assert started(desk)


async def test_a_plan_that_cannot_be_made_says_why_in_place(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.fail["plans.plan"] = UsageError(
            "no snapshot is frozen yet", try_next="freeze one on 2"
        )
        await press(pilot, "3", "s")
        assert isinstance(app.screen, PlanPage)
        assert "no snapshot is frozen yet" in shown(app) and "freeze one on 2" in shown(app)
        await press(pilot, "y")
        assert "no plan to start" in noticed(app) and not started(desk)
        del desk.fail["plans.plan"]
        await press(pilot, "j")
        assert "✔ fits" in shown(app)
        await press(pilot, "escape")
        assert not isinstance(app.screen, PlanPage)


async def test_a_slow_plan_holds_nothing_up_and_a_later_wish_wins(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.hold.add("plans.plan")
        await pilot.press("3")
        await until(pilot, lambda: desk.calls.count(("jobs",)) > 0)
        await pilot.press("s")
        await until(pilot, lambda: "plans.plan" in desk.holding)
        assert "working out what mistral-7b would take" in shown(app)
        await pilot.press("y")
        await until(pilot, lambda: "still being worked out" in noticed(app))
        desk.hold.clear()
        await pilot.press("j")
        await until(pilot, lambda: "--recipe smollm2-135m" in shown(app))
        desk.release.set()
        await pilot.pause()
        assert "--recipe smollm2-135m" in shown(app)


async def test_narrow_it_can_be_scrolled(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, _):
        await press(pilot, "3", "s")
        assert "✔ fits" in shown(app) and "will run" not in shown(app)
        await press(pilot, "d")
        await until(pilot, lambda: "will run" in shown(app))


async def test_hostile_words_are_words(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    desk.plans.lint = (LintRow("L4[red]", "error", "\x1b[2J[/]" + "x" * 100_000, "a\u202eb", "c"),)
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        desk.mapped = hostile("[bold]\x1b[31m")
        await press(pilot, "3", "s", "w", "a")
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


def plan_of(desk: FakeDesk, **more: object) -> PlanView:
    return FakePlans(desk).plan(Wish("llama-3.1-70b"))


def test_no_room_offers_ways_out_and_fits_the_width(tmp_path: Path) -> None:
    made = plan_of(FakeDesk(tmp_path / "jobs"))
    for width in (30, 46, 78, 160):
        lines = planned.page(made, None, width, why=True).plain.split("\n")
        assert max(len(line) for line in lines) <= width
    assert "✘ does not fit" in "\n".join(lines) and "model.quantise=nf4" in "\n".join(lines)
    assert "─" not in next(line for line in lines if line.startswith("memory")), "nothing is free"


def test_a_preflight_report_of_another_shape_is_no_crash() -> None:
    assert not view(None).known
    assert view({"findings": 7, "rows": "x", "lengths": []}).findings == ()
    found = view(
        {"rows": 3, "findings": [{"severity": "error", "text": "cut", "rows": [{"line": 2}, 5]}]}
    )
    assert found.rows == 3 and found.findings[0].rows == ("line 2: ", "5")


async def test_rows_at_fault_stop_it_and_the_keys_have_a_page(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        fault = PreflightRow("error", "1 row loses a marker", rows=("line 17: mcp_017",))
        desk.plans.found = PreflightView(True, 40, 40, "abc", 100, (fault,))
        await press(pilot, "3", "s")
        await until(pilot, lambda: "y not before the rows are mended" in shown(app))
        assert "line 17: mcp_017" in shown(app)
        await press(pilot, "y")
        assert isinstance(app.screen, PlanPage) and not started(desk)
        assert "the preflight names" in noticed(app)
        await press(pilot, "question_mark")
        for words in ("The next profile of the recipe", "with a typed reason", "Close it"):
            assert words in shown(app)
        await press(pilot, "escape", "escape")
        assert not isinstance(app.screen, PlanPage)


def test_a_tokenizer_that_is_amiss_here_says_nothing_of_the_hosts() -> None:
    assert planned.rows_at_fault(UsageError("one pair is no training set"))
    assert not planned.rows_at_fault(MissingComponent("the preflight did not end"))
    assert not planned.rows_at_fault(None) and not planned.rows_at_fault(PreflightView(False))


def test_each_finished_run_stands_beside_what_was_said_of_it() -> None:
    held = (
        Held("train-b", "peak_bytes", 3 * 1024**3, 4.5 * 1024**3),
        Held("train-b", "wall_s", 100.0, 150.0),
        Held("train-a", "wall_s", 100.0, 75.0),
    )
    assert list(past.rows(held)) == [
        ("train-b", "memory 3.0 → 4.5 GiB (+50%)   time 1:40 → 2:30 (+50%)"),
        ("train-a", "time 1:40 → 1:15 (-25%)"),
    ]
    missed = (
        Missed("CPU", "peak_bytes", 0.06, 2),
        Missed("CPU", "wall_s", 0.5, 1),
        Missed("", "wall_s", 0.1, 1),
    )
    assert list(past.typical(missed)) == [
        "typical error of predictions on CPU: memory ±6% (2 runs), time ±50% (1 run)",
        "typical error of predictions here: time ±10% (1 run)",
    ]
    many = tuple(Held(f"train-{n}", "wall_s", 1.0, 1.0) for n in range(9))
    assert len(list(past.rows(many))) == past.SHOWN
