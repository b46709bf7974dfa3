"""Train: what a training would take; the live curve of one, joined with its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import OptionList, Static

from core import jobdir
from tui import clean
from tui.bindings import TRAIN, bindings
from tui.feed import JobFeed
from tui.present import curves, empty, jobs
from tui.present.words import text
from tui.screens.train_job import JobInSight
from tui.screens.train_joined import CurveAndLog
from tui.screens.train_start import Starts
from tui.widgets.curve_pane import CurvePane
from tui.widgets.gauge import HostGauge
from tui.widgets.lists import RowList
from tui.widgets.log.view import LogView
from tui.widgets.loss_curve import LossCurve
from tui.widgets.pane import Pane
from tui.widgets.steady import Steady

NEEDS_JOB = ("follow", "search", "log_top", "zoom", "log_y", "point", "smooth", "ghost", "recall")


class TrainScreen(CurveAndLog, Starts, JobInSight):
    MODE = "train"
    CSS_PATH = "train.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(TRAIN)

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield Steady(id="brief")
                yield CurvePane(id="curve-pane")
                yield Steady(id="probe")
                with Pane(id="log-pane"):
                    yield LogView(id="log", empty="No job yet: s starts one.")
            with Vertical(id="right"):
                with Pane(id="facts-pane"), VerticalScroll(id="facts-scroll", can_focus=False):
                    yield Steady(id="facts")
                with Pane(id="host-pane"):
                    yield HostGauge(self.desk.reading, self._load)
                with Pane(id="jobs-pane"):
                    yield RowList(id="jobs", empty="none yet")

    def on_mount(self) -> None:
        self.query_one("#host-pane", Pane).title(f"host {clean.line(self.desk.host_name, 30)}")
        self.query_one("#jobs-pane", Pane).title("jobs")
        self.query_one("#log").focus()
        self.set_interval(1 / 30, self._frame)
        self.set_interval(0.2, self._read_events)
        self.set_interval(0.25, self.draw_facts)
        self.set_interval(1.0, self._poll)
        self.draw_titles()

    def _load(self) -> Sequence[float | None]:
        """How busy the accelerator was, while it was looked at."""
        devices = self.desk.host.devices()
        return [share for _, share in devices[0].past] if devices else []

    # how it looks

    def redraw(self) -> None:
        now = self.centre.clock()
        rows = self.query_one("#jobs", RowList)
        rows.fill([(j.id, partial(jobs.row, j, now=now)) for j in self.jobs])
        self.draw_facts()
        self.draw_titles()
        self.keys_changed()

    def draw_facts(self) -> None:
        if not self.in_sight:
            return
        job, feed, now = self.job, self.feed, self.centre.clock()
        narrow = self.query_one("#brief", Static)
        full = self.query_one("#facts", Static)
        curve = self.query_one(LossCurve)
        if job is None or feed is None:
            narrow.update(
                text("No job yet. ", (self.key("start"), "key"), " plans and starts one.")
            )
            full.update(
                empty.state("No job yet.", "", [(self.key("start"), "plans and starts one")])
            )
            return
        self._look_why()
        if job.routine == "train":
            what = "recall: this run has not been probed yet" if self.curves.recall else "loss"
            curve.empty = (
                f"no {what}"
                if self.curves.recall
                else "no loss yet: the first logged step draws here"
            )
        else:
            curve.empty = f"a job of kind “{clean.line(job.routine, 20)}” has no loss"
        stale = self.desk.link().state != "up"
        room = max(20, self.size.width - 4)
        narrow.update(jobs.brief(job, feed.facts, now=now, width=room, stale=stale))
        width = max(20, self.query_one("#facts-scroll").size.width)
        told = jobs.facts(job, feed.facts, now=now, width=width, stale=stale)
        if self.failure is not None:
            key = self.key("why") if self.failure.number is not None else ""
            said = (self.failure.what, self.failure.try_next, self.failure.line)
            told = Text.assemble(curves.why(*said, width, key), told, end="")
        full.update(told)
        self._draw_probe(feed)
        self.draw_titles()

    def _draw_probe(self, feed: JobFeed) -> None:
        row = self.query_one("#probe", Static)
        drawn = curves.strip(feed, max(20, self.query_one("#left").size.width - 4))
        row.set_class(drawn is not None, "-on")
        if drawn is not None:
            row.update(drawn, layout=False)

    def draw_titles(self) -> None:
        log = self.query_one(LogView)
        self.curves.titles()
        name = clean.line(self.job_id or "", 60)
        self.query_one("#facts-pane", Pane).title(name or "job")
        self.query_one("#log-pane", Pane).title(log.title())

    # keys

    def why_not(self, action: str) -> str | None:
        if action == "start":
            return self.no_route()
        if action == "stop":
            job = self.job
            if job is None:
                return "no job is shown"
            if job.status not in jobdir.ACTIVE:
                return f"this job has ended: {clean.line(job.status, 20)}"
            return self.no_route()
        if action in NEEDS_JOB and self.feed is None:
            return "no job is shown"
        if action == "point" and self.feed is not None:
            series = self.query_one(LossCurve).series
            return None if series is not None and len(series) else "there is no curve yet"
        if action == "why" and (self.failure is None or self.failure.number is None):
            return "nothing known was found in the log of this job"
        if action == "ghost" and self.curves.ghost is None:
            return "no finished run of the same recipe came before"
        if (
            action == "recall"
            and not (self.feed and self.feed.facts.probe)
            and not self.curves.recall
        ):
            return "this run has not been probed yet"
        if action in ("search_next", "search_previous"):
            return self.query_one(LogView).why_not(action)
        return None

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for job in self.jobs:
            yield f"Job: {job.id}", job.status, partial(self.show_job, job.id)

    def action_jobs(self) -> None:
        self.set_class(not self.wide, "-jobs")
        self.query_one("#jobs").focus()

    @on(OptionList.OptionSelected, "#jobs")
    def job_picked(self, event: OptionList.OptionSelected) -> None:
        if event.option.id:
            self.show_job(event.option.id)
            self.go_back()
