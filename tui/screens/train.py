"""Train: what a training would take; the live curve of one, joined with its log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import OptionList, Static

from core import jobdir
from core.errors import AcceleratorBusy, QAError
from core.jobdir import JobDir
from tui import clean, joining
from tui.bindings import TRAIN, bindings
from tui.desk.api import JobRow
from tui.desk.api_plans import Behind, PlanView, Wish
from tui.desk.api_work import About, Why
from tui.feed import JobFeed
from tui.present import curves, empty, jobs
from tui.present.words import text
from tui.screens.base import DeskScreen
from tui.screens.train_plan import PlanPage
from tui.widgets.confirm import Confirm
from tui.widgets.curve_pane import CurvePane
from tui.widgets.gauge import HostGauge
from tui.widgets.lists import RowList
from tui.widgets.log.view import LogView
from tui.widgets.loss_curve import LossCurve
from tui.widgets.pane import Pane

EVENTS_A_FRAME = 4000  # bounds the work of one frame when a long run is opened
FAILED = (jobdir.FAILED, jobdir.STOPPED, jobdir.LOST)
NEEDS_JOB = ("follow", "search", "log_top", "zoom", "log_y", "point", "smooth", "ghost", "recall")
ZOOMS = ("", "-zoom-log", "-zoom-curve")


class TrainScreen(DeskScreen):
    MODE = "train"
    CSS_PATH = "train.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(TRAIN)

    def __init__(self) -> None:
        super().__init__()
        self.jobs: Sequence[JobRow] = ()
        self.job_id: str | None = None
        self.feed: JobFeed | None = None
        self._pending: deque[dict[str, Any]] = deque()
        self._zoom = 0
        self.behind: Behind | None = (
            None  # what was said before the job started, and the run to beat
        )
        self.failure: Why | None = None
        self._asked_why = ""

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield Static(id="brief")
                yield CurvePane(id="curve-pane")
                yield Static(id="probe")
                with Pane(id="log-pane"):
                    yield LogView(id="log", empty="No job yet: s starts one.")
            with Vertical(id="right"):
                with Pane(id="facts-pane"), VerticalScroll(id="facts-scroll", can_focus=False):
                    yield Static(id="facts")
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
        self.set_interval(0.25, self._draw_facts)
        self.set_interval(1.0, self._poll)
        self._draw_titles()

    def _load(self) -> Sequence[float | None]:
        """How busy the accelerator was, while it was looked at."""
        devices = self.desk.host.devices()
        return [share for _, share in devices[0].past] if devices else []

    @property
    def _curves(self) -> CurvePane:
        return self.query_one(CurvePane)

    # which job

    def reload(self) -> None:
        self.ask(lambda: list(self.desk.jobs()), self._jobs_came, group="jobs")

    def _poll(self) -> None:
        if self.in_sight:
            call = lambda: list(self.desk.jobs())  # noqa: E731
            self.ask(call, self._jobs_came, group="jobs-poll", poll=True)

    def _jobs_came(self, rows: Sequence[JobRow]) -> None:
        self.jobs = jobs.newest_first(rows)
        if self.job_id is None and self.jobs:
            self.show_job(self.jobs[0].id)
        self.redraw()

    def redraw(self) -> None:
        now = self.centre.clock()
        rows = self.query_one("#jobs", RowList)
        rows.fill([(j.id, partial(jobs.row, j, now=now)) for j in self.jobs])
        self._draw_facts()
        self._draw_titles()
        self.keys_changed()

    @property
    def job(self) -> JobRow | None:
        return next((j for j in self.jobs if j.id == self.job_id), None)

    def show_job(self, job_id: str) -> None:
        """Show another job: its log from the end, its curve from the first step."""
        if job_id == self.job_id and self.feed is not None:
            return
        self.job_id = job_id
        self.feed = self.behind = self.failure = None
        self._asked_why = ""
        self.crumb(f"jobs › {job_id}")
        self.query_one("#jobs", RowList).choose(job_id)
        self.ask(lambda: self.desk.job_dir(job_id), self._open, group="job-dir")

    def _open(self, directory: JobDir) -> None:
        self._pending.clear()
        self.feed = JobFeed(directory)
        log = self.query_one(LogView)
        log.empty = "The job has not printed anything yet."
        log.open_path(directory.output)
        self._curves.open(self.feed)
        self._read_events()
        job_id = directory.id
        self.ask(
            lambda: self.desk.plans.behind(job_id), self._behind_came, group="behind", poll=True
        )
        self.redraw()

    def _behind_came(self, found: Behind) -> None:
        if found.job_id != self.job_id:
            return
        self.behind = found
        self.query_one(HostGauge).predicted = found.peak
        self._curves.run_to_beat(found.ghost)
        self.redraw()

    def _look_why(self) -> None:
        """Once for a job that failed: what its log says."""
        job = self.job
        if job is None or job.status not in FAILED or self._asked_why == job.id:
            return
        self._asked_why = job.id
        self.ask(lambda: self.desk.work.about(job.id), self._why_came, group="why", poll=True)

    def _why_came(self, found: About) -> None:
        if found.job_id == self.job_id:
            self.failure = found.why
            self._draw_facts()
            self.keys_changed()

    # live: events are read in a thread, folded here a slice a frame

    def _read_events(self) -> None:
        feed = self.feed
        if feed is not None and self.in_sight and not self._pending and feed.has_news():
            self.ask(feed.read, lambda e: self._events_came(feed, e), group="events", poll=True)

    def _events_came(self, feed: JobFeed, events: Sequence[dict[str, Any]]) -> None:
        if feed is self.feed:
            self._pending.extend(events)

    def _frame(self) -> None:
        feed = self.feed
        if feed is None or not self.in_sight:
            return
        if self._pending:
            part: list[Mapping[str, Any]] = list(islice(self._pending, EVENTS_A_FRAME))
            for _ in part:
                self._pending.popleft()
            feed.apply(part)
            if not self._pending:
                self._draw_facts()
        self._curves.tick()

    def _draw_facts(self) -> None:
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
            what = "recall: this run has not been probed yet" if self._curves.recall else "loss"
            curve.empty = (
                f"no {what}"
                if self._curves.recall
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
        self._draw_titles()

    def _draw_probe(self, feed: JobFeed) -> None:
        row = self.query_one("#probe", Static)
        drawn = curves.strip(feed, max(20, self.query_one("#left").size.width - 4))
        row.set_class(drawn is not None, "-on")
        if drawn is not None:
            row.update(drawn, layout=False)

    def _draw_titles(self) -> None:
        log = self.query_one(LogView)
        self._curves.titles()
        name = clean.line(self.job_id or "", 60)
        self.query_one("#facts-pane", Pane).title(name or "job")
        self.query_one("#log-pane", Pane).title(log.title())

    # the curve and the log go together

    @on(LossCurve.Pointed)
    def pointed(self, event: LossCurve.Pointed) -> None:
        log = self.query_one(LogView)
        number = joining.line_of(log.text, log.lines, event.step)
        if number is not None:
            log.go_to_line(number)
        elif (
            self.feed is not None and event.index < len(self.feed.times) and not self._curves.recall
        ):
            log.go_to_time(self.feed.times[event.index])

    @on(LogView.CursorLine)
    def log_moved(self, event: LogView.CursorLine) -> None:
        step = joining.step_near(self.query_one(LogView).text, event.line_number)
        if step is not None:
            self.query_one(LossCurve).point(step)

    def action_point(self) -> None:
        if self.refused("point"):
            return
        curve = self.query_one(LossCurve)
        if self._zoom == 1:
            self.action_zoom()
        curve.focus()
        if curve.at is None:
            curve.action_end(1)

    def action_why(self) -> None:
        if self.refused("why") or self.failure is None or self.failure.number is None:
            return
        log = self.query_one(LogView)
        log.focus()
        log.go_to_line(self.failure.number)

    @on(LogView.Changed)
    def log_changed(self) -> None:
        self._draw_titles()

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
        if action == "ghost" and self._curves.ghost is None:
            return "no finished run of the same recipe came before"
        if (
            action == "recall"
            and not (self.feed and self.feed.facts.probe)
            and not self._curves.recall
        ):
            return "this run has not been probed yet"
        if action in ("search_next", "search_previous"):
            return self.query_one(LogView).why_not(action)
        return None

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for job in self.jobs:
            yield f"Job: {job.id}", job.status, partial(self.show_job, job.id)

    def action_start(self) -> None:
        if self.refused("start"):
            return
        self.app.push_screen(PlanPage(self.desk.plans), self._planned)

    def _planned(self, plan: PlanView | None) -> None:
        if plan is not None:
            self.centre.say(f"starting {clean.line(plan.wish.recipe, 60)} …", title="Training")
            self._start(plan.wish, queue=bool(plan.busy))

    def _start(self, wish: Wish, *, queue: bool) -> None:
        def failed(problem: QAError) -> None:
            if isinstance(problem, AcceleratorBusy) and not queue:
                self._offer_queue(problem, wish)
            else:
                self.centre.report(problem)

        def call() -> str:
            return self.desk.start_training(
                wish.recipe,
                smoke=wish.smoke,
                queue=queue,
                overrides=wish.overrides,
                accept=wish.accept,
            )

        self.ask(call, self._started, group="start", failed=failed)

    def _offer_queue(self, busy: AcceleratorBusy, wish: Wish) -> None:
        def answer(yes: bool | None) -> None:
            if yes:
                self._start(wish, queue=True)

        body = text(
            (clean.line(busy.what, 200), "strong"),
            "\nIt can wait in line: it starts by itself when the accelerator is free, also while this "
            "app is closed. x stops it while it waits.",
        )
        self.app.push_screen(Confirm("Wait in line?", body, verb="queues it", danger=False), answer)

    def _started(self, job_id: str) -> None:
        job = next((j for j in self.desk.jobs() if j.id == job_id), None)
        waits = job is not None and job.status == jobdir.QUEUED
        self.centre.say(f"{job_id} {'waits in line' if waits else 'is running'}", title="Training")
        self.centre.poll_overview()
        self.show_job(job_id)
        self.reload()

    def action_stop(self) -> None:
        job = self.job
        if self.refused("stop") or job is None:
            return
        body = text(
            (clean.line(job.id, 60), "strong"),
            " gets the signal to stop. It writes a checkpoint, then ends; "
            "after its grace time it is killed. What it wrote so far stays.",
        )

        def stop(yes: bool | None) -> None:
            if yes:
                self.ask(lambda: self.desk.stop_job(job.id), lambda _: self.reload(), group="stop")

        self.app.push_screen(Confirm("Stop this job?", body, verb="stops it"), stop)

    def action_jobs(self) -> None:
        self.set_class(not self.wide, "-jobs")
        self.query_one("#jobs").focus()

    @on(OptionList.OptionSelected, "#jobs")
    def job_picked(self, event: OptionList.OptionSelected) -> None:
        if event.option.id:
            self.show_job(event.option.id)
            self.go_back()

    def action_follow(self) -> None:
        if not self.refused("follow"):
            self.query_one(LogView).follow()

    def action_log_top(self) -> None:
        if not self.refused("log_top"):
            self.query_one(LogView).top()

    def action_log_y(self) -> None:
        curve = self.query_one(LossCurve)
        curve.log_y = not curve.log_y
        self._draw_titles()

    def action_smooth(self) -> None:
        if not self.refused("smooth"):
            self._curves.toggle("smooth")

    def action_ghost(self) -> None:
        if not self.refused("ghost"):
            self._curves.toggle("with_ghost")

    def action_recall(self) -> None:
        if not self.refused("recall"):
            self._curves.toggle("recall")

    def action_zoom(self) -> None:
        self._zoom = (self._zoom + 1) % len(ZOOMS)
        for index, name in enumerate(ZOOMS[1:], 1):
            self.set_class(index == self._zoom, name)

    def go_back(self) -> bool:
        log = self.query_one(LogView)
        if self.has_class("-jobs") or self.query_one("#jobs").has_focus:
            self.remove_class("-jobs")
        elif self._zoom:
            self._zoom = -1
            self.action_zoom()
        elif self.query_one(LossCurve).at is not None:
            self.query_one(LossCurve).point(None)
            log.follow()
        elif self.query_one(LossCurve).has_focus:
            pass
        elif not log.close_one():
            return False
        log.focus()
        return True

    # search in the log: its keys also work while another pane has the focus

    def action_search(self) -> None:
        if not self.refused("search"):
            self.query_one(LogView).action_search()

    def action_search_next(self) -> None:
        if not self.refused("search_next"):
            self.query_one(LogView).action_search_next()

    def action_search_previous(self) -> None:
        if not self.refused("search_previous"):
            self.query_one(LogView).action_search_previous()
