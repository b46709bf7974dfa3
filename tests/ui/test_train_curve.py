"""The curve and the log as one; the probe's strip; the run to beat; why a job failed."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.jobdir import EventWriter
from tests.ui.conftest import press, running, shown, until
from tests.ui.fakes import FakeDesk
from tests.ui.test_train import noticed
from tui import joining
from tui.feed import JobFeed
from tui.present import curves
from tui.widgets.gauge import HostGauge
from tui.widgets.log.view import LogView
from tui.widgets.loss_curve import LossCurve

JOB = "train-20261122-141530-3f9a"


async def test_the_cross_hair_moves_the_log_and_the_log_the_cross_hair(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3")
        log, curve = app.screen.query_one(LogView), app.screen.query_one(LossCurve)
        await until(pilot, lambda: log.lines == 124 and curve.series and len(curve.series) == 122)
        await press(pilot, "p")
        assert curve.has_focus and curve.at == 605
        await press(pilot, "H", "left")
        assert curve.at is not None and curve.at < 590
        at = int(curve.at)
        await until(pilot, lambda: log.cursor is not None and f"step {at}/" in log.text(log.cursor))
        assert f"step {at}" in shown(app) and "lr " in shown(app) and not log.following
        await press(pilot, "g")
        assert curve.at == 0
        log.focus()
        await press(pilot, "j", "j", "j")
        assert curve.at == 15, "three lines below step 0"
        await press(pilot, "escape")
        assert curve.at is None and log.following


async def test_a_click_points_and_the_wheel_zooms(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3")
        curve = app.screen.query_one(LossCurve)
        await until(pilot, lambda: curve.series and len(curve.series) == 122)
        await pilot.click(LossCurve, offset=(30, 3))
        await until(pilot, lambda: curve.at is not None)
        whole = curve.window
        await press(pilot, "plus", "plus")
        first, last = curve.window
        assert last - first < (whole[1] - whole[0]) / 3 and first <= curve.at <= last  # type: ignore[operator]
        assert "zoomed" in shown(app)
        await press(pilot, "0")
        assert curve.window == whole


async def test_the_probe_is_a_strip_and_a_curve(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3")
        await until(pilot, lambda: "▲ 4 lost" in shown(app))
        assert "recall 65 %" in shown(app) and "refusal 95 %" in shown(app)
        await press(pilot, "r")
        curve = app.screen.query_one(LossCurve)
        assert len(curve.runs) == 3 and "fabricated ╍" in shown(app)
        await press(pilot, "r", "o", "j", "enter", "r")
        assert "has not been probed" in noticed(app)


async def test_the_run_to_beat_is_drawn_and_named(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3")
        curve = app.screen.query_one(LossCurve)
        await until(pilot, lambda: "v1.0.0, ahead by" in shown(app))
        assert [r.look for r in curve.runs] == ["whole", "ghost"]
        await press(pilot, "a")
        assert [r.look for r in curve.runs] == ["whole", "raw", "ghost"]
        assert "smoothed" in shown(app)
        await press(pilot, "b")
        assert [r.look for r in curve.runs] == ["whole", "raw"] and "ahead by" not in shown(app)
        assert app.screen.query_one(HostGauge).predicted
        assert "predicted 58.1 GiB · now 61.0" in shown(app)


async def test_a_failed_job_says_why_and_leads_to_the_line(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, _):
        await press(pilot, "3", "i")
        assert "nothing known was found" in noticed(app)
        await press(pilot, "o", "j", "j", "enter")
        await until(pilot, lambda: "The GPU ran out of memory" in shown(app))
        assert "Halve train.batch_size" in shown(app)
        await press(pilot, "i")
        assert app.screen.query_one(LogView).cursor == 3


async def test_a_smoothed_run_that_is_resumed_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, pilot, desk):
        await press(pilot, "3", "a")
        curve = app.screen.query_one(LossCurve)
        await until(pilot, lambda: curve.series and len(curve.series) == 122)
        EventWriter(desk.job_dir(JOB).events).metric(300, max_steps=980, loss=0.5)
        await until(pilot, lambda: curve.series and curve.series.steps[-1] == 300)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 400))
def test_the_line_of_a_step_is_the_first_that_tells_it(gaps: list[int], wanted: int) -> None:
    lines: list[str] = []
    for n, gap in enumerate(gaps):
        lines += ["something else"] * gap + [f"09:41:07  step {n * 5:>4}/980  loss 0.4"]
    found = joining.line_of(lines.__getitem__, len(lines), wanted)
    told_steps = [
        (i, s) for i, line in enumerate(lines) if (s := joining.step_of(line)) is not None
    ]
    after = [i for i, s in told_steps if s >= wanted]
    assert found == (after[0] if after else told_steps[-1][0] if told_steps else None)


def test_a_log_without_steps_has_no_line() -> None:
    lines = ["no such word", "stepping 7", "step x"] * 500
    assert joining.line_of(lines.__getitem__, len(lines), 3) is None
    assert joining.step_near(lines.__getitem__, 700) is None
    assert joining.step_near(["step 7/9", "Traceback", "x"].__getitem__, 2) == 7


def test_odd_events_leave_the_curve_whole(tmp_path: Path) -> None:
    feed = JobFeed(FakeDesk(tmp_path / "jobs").job_dir(JOB))
    feed.apply(
        [
            {"kind": "metric", "step": 1, "loss": 2.0, "lr": "x", "t": None},
            {"kind": "metric", "step": 2, "loss": math.nan, "lr": 0.1, "t": 5.0},
            {"kind": "metric", "step": 1, "loss": 3.0, "lr": 0.2},
            {
                "kind": "probe",
                "step": 2,
                "recall": 7,
                "fabricated": {"estimate": 4},
                "refusal": None,
            },
            {"kind": "probe", "step": "?", "recall": {"estimate": 0.5}},
            {"kind": "preflight", "rows": 3, "findings": [{"severity": "error"}, 4]},
        ]
    )
    assert len(feed.loss) == len(feed.lr) == len(feed.times) == 1
    assert feed.lr[0] == 0.2 and math.isnan(feed.times[0])
    assert all(len(s) == 0 for s in feed.probes.values())
    assert feed.facts.preflight == "3 rows, 1 error"
    assert curves.strip(feed, 80) is not None and curves.at_hair(feed, 0) == "lr 0.2"


def test_sparklines_keep_small_shares_low() -> None:
    assert curves.sparkline([0.0, 0.5, 1.0], 10) == "▁▄█"
    assert set(curves.sparkline([0.004] * 3, 10)) == {"▁"}
    assert len(curves.sparkline([0.1] * 100, 7)) == 7
    assert curves.sparkline([math.nan], 5) == ""
