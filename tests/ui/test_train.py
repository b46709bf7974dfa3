"""Jobs: pick, start, watch, stop."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from core.errors import AcceleratorBusy, QAError
from core.jobdir import EventWriter
from tests.ui.conftest import NARROW, press, running, settle, shown, until, write
from tests.ui.fakes import FakeDesk
from tui.feed import JobFeed
from tui.screens.train import TrainScreen
from tui.widgets.confirm import Confirm
from tui.widgets.gauge import HostGauge
from tui.widgets.log.view import LogView
from tui.widgets.loss_curve import LossCurve


def train(app: object) -> TrainScreen:
    screen = app.screen_stack[0]  # type: ignore[attr-defined]
    assert isinstance(screen, TrainScreen)
    return screen


def noticed(app: object) -> str:
    """Everything that was told, also what has gone from the corner since."""
    return "\n".join(n.text for n in app.notices.session)  # type: ignore[attr-defined]


async def test_the_running_job_is_shown_live(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "3")
        await until(pilot, lambda: "step 605/980" in shown(app))
        await until(pilot, lambda: "605 of 980" in shown(app))
        assert "8,412 tokens/s" in shown(app) and "61.2 GiB" in shown(app)

        job = desk.job_dir("train-20261122-141530-3f9a")
        with open(job.output, "a") as log:
            log.write("step 610/980 a new line\n")
        events = EventWriter(job.events)
        events.metric(610, max_steps=980, loss=0.1234)
        await until(pilot, lambda: "step 610/980 a new line" in shown(app))
        await until(pilot, lambda: "610 of 980" in shown(app))
        await until(pilot, lambda: "loss 0.1234" in shown(app))

        with open(job.events, "a") as out:  # half a line, then the rest
            out.write('{"kind": "metric", "step": 615, "lo')
        await settle(pilot)
        assert "610 of 980" in shown(app)
        with open(job.events, "a") as out:
            out.write('ss": NaN}\nnot json\n' + json.dumps({"kind": "metric", "step": 620}) + "\n")
        await until(pilot, lambda: "620 of 980" in shown(app))
        assert len(train(app).feed.loss) == 124  # type: ignore[union-attr]


async def test_a_busy_accelerator_is_an_answer_not_a_crash(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        desk.fail["start_training"] = AcceleratorBusy(
            "gpu0 is held by train-0142", try_next="wait or stop it"
        )
        await press(pilot, "3", "s", "y")
        await until(pilot, lambda: "held by train-0142" in shown(app))
        assert isinstance(app.screen, Confirm)
        started = len([c for c in desk.calls if c[0] == "start_training"])
        await press(pilot, "enter")
        assert len([c for c in desk.calls if c[0] == "start_training"]) == started
        await press(pilot, "y")
        await until(pilot, lambda: "train-20261122-143000-beef" in shown(app))


async def test_stop_asks_with_another_key(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "3", "x", "x", "enter")
        assert not any(c[0] == "stop_job" for c in desk.calls)
        await press(pilot, "y")
        assert ("stop_job", "train-20261122-141530-3f9a") in desk.calls
        await until(pilot, lambda: "■ stopped" in shown(app))
        await press(pilot, "x")
        await until(pilot, lambda: "this job has ended" in noticed(app))


async def test_another_job_can_be_picked_and_has_no_loss(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3", "o", "j", "enter")
        await until(pilot, lambda: "answered 510 of 510" in shown(app))
        assert "has no loss" in shown(app)
        assert train(app).job_id == "eval-20261122-101500-77e1"


async def test_answers_about_the_job_before_are_ignored(tmp_path: Path) -> None:
    first, second = "train-20261122-141530-3f9a", "eval-20261122-101500-77e1"
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "3")
        await until(pilot, lambda: "605 of 980" in shown(app))
        screen = train(app)
        old = JobFeed(desk.job_dir(first))
        gauge = screen.query_one(HostGauge)
        gauge.predicted = 1 << 30
        screen.show_job(second)
        assert gauge.predicted is None
        screen._loaded(old)
        assert screen.feed is not old
        await until(pilot, lambda: "answered 510 of 510" in shown(app))
        asked = threading.Event()
        screen.ask(lambda: asked.wait(20), lambda _: None, group="behind")  # of another job, slow
        screen._open(desk.job_dir(second))
        await until(pilot, lambda: screen.behind is not None or not screen._loading)
        await until(pilot, lambda: sum(c[-1] == second for c in desk.calls if "behind" in c[0]) > 1)
        asked.set()


async def test_numbers_too_long_for_a_float_are_left_out(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    job = desk.job_dir("train-20261122-141530-3f9a")
    with open(job.events, "a") as out:
        out.write(f'{{"kind": "metric", "step": 606, "loss": 1{"0" * 400}}}\n')
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "3")
        await until(pilot, lambda: "606 of 980" in shown(app))
        screen = train(app)
        assert not screen._loading
        screen._loading = True
        screen._load_failed("another", QAError("no"))
        assert screen._loading
        screen._load_failed(job.id, QAError("no"))
        assert not screen._loading


async def test_narrow_jobs_take_the_whole_screen_and_esc_leads_back(tmp_path: Path) -> None:
    async with running(tmp_path, size=NARROW) as (app, pilot, _):
        await press(pilot, "3")
        await until(pilot, lambda: "step 605/980" in shown(app))
        await press(pilot, "o")
        assert "eval-20261122-101500-77e1" in shown(app)
        assert "step 605/980" not in shown(app)
        await press(pilot, "escape")
        await until(pilot, lambda: "step 605/980" in shown(app))


async def test_search_finds_goes_round_and_is_left_with_esc(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3")
        log = app.screen.query_one(LogView)
        await until(pilot, lambda: log.lines == 124)
        await press(pilot, "n")
        await until(pilot, lambda: "nothing was searched yet" in noticed(app))
        await press(pilot, "slash")
        await write(pilot, "step 100/")
        await press(pilot, "enter")
        await until(pilot, lambda: log.cursor == 22)
        assert "step 100/980" in shown(app) and not log.following
        await press(pilot, "n")
        assert log.cursor == 22, "the only match, found again going round"
        await press(pilot, "slash")
        await write(pilot, "markers")
        await press(pilot, "enter")
        await until(pilot, lambda: log.cursor == 1)
        await press(pilot, "escape")
        assert log.search is None and log.following


async def test_paused_log_says_so_and_g_and_big_g_work(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3")
        log = app.screen.query_one(LogView)
        await until(pilot, lambda: log.lines == 124)
        await press(pilot, "g")
        await until(pilot, lambda: "loading mistralai" in shown(app) and "paused" in shown(app))
        await press(pilot, "G")
        await until(pilot, lambda: "following" in shown(app) and "step 605/980" in shown(app))


async def test_log_axis_and_zoom(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3", "y")
        curve = app.screen.query_one(LossCurve)
        assert curve.log_y and "log y" in shown(app)
        before = curve.size
        await press(pilot, "z", "z")
        assert curve.size.width > before.width and curve.size.height > before.height
        await press(pilot, "escape")
        assert curve.size == before


async def test_without_jobs_it_says_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path, "empty") as (app, pilot, _):
        await press(pilot, "3")
        assert "No job yet" in shown(app) and "plans and starts one" in shown(app)
        await press(pilot, "x")
        await until(pilot, lambda: "no job is shown" in shown(app))
        await press(pilot, "s")
        assert "No recipe found" in shown(app)
        await press(pilot, "y", "escape")
        assert len(app.screen_stack) == 1


async def test_a_long_run_opens_without_holding_the_app_up(tmp_path: Path) -> None:
    desk = FakeDesk(tmp_path / "jobs")
    job = desk.job_dir("train-20261122-141530-3f9a")
    with open(job.events, "a") as out:
        for step in range(1000, 61_000):
            out.write(f'{{"kind": "metric", "step": {step}, "loss": {1 + step % 7}}}\n')
    async with running(tmp_path, desk=desk) as (app, pilot, _):
        await press(pilot, "3")
        await until(pilot, lambda: train(app).feed and len(train(app).feed.loss) == 60_122)  # type: ignore[union-attr]
        await until(pilot, lambda: "60,999" in shown(app))


async def test_without_route_starting_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with running(tmp_path, "lost") as (app, pilot, desk):
        await press(pilot, "3", "s")
        await until(pilot, lambda: "the link is lost to gh200" in shown(app))
        assert not any(c[0] == "recipes" for c in desk.calls)
