"""Train: start and stop jobs; the live log and loss curve of one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, OptionList, Static

from core import jobdir
from core.errors import AcceleratorBusy, QAError
from core.jobdir import JobDir
from tui import clean
from tui.bindings import TRAIN, bindings
from tui.desk.api import JobRow
from tui.feed import JobFeed
from tui.present import jobs, words
from tui.present.words import text
from tui.screens.base import DeskScreen
from tui.widgets import log_file
from tui.widgets.confirm import Confirm, StartTraining
from tui.widgets.gauge import HostGauge
from tui.widgets.lists import RowList
from tui.widgets.log_view import LogView
from tui.widgets.loss_curve import LossCurve
from tui.widgets.pane import Pane

EVENTS_A_FRAME = 4000  # bounds the work of one frame when a long run is opened
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
        self._needle = ""
        self._zoom = 0

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield Static(id="brief")
                with Pane(id="curve-pane"):
                    yield LossCurve(id="curve")
                with Pane(id="log-pane"):
                    yield LogView(id="log", empty="No job yet: s starts one.")
                    yield Input(id="search", placeholder="search the log", classes="-hidden")
            with Vertical(id="right"):
                with Pane(id="facts-pane"), VerticalScroll(id="facts-scroll", can_focus=False):
                    yield Static(id="facts")
                with Pane(id="host-pane"):
                    yield HostGauge(self.desk.reading)
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
        self.feed = None
        self.crumb(f"jobs › {job_id}")
        self.query_one("#jobs", RowList).choose(job_id)
        self.ask(lambda: self.desk.job_dir(job_id), self._open, group="job-dir")

    def _open(self, directory: JobDir) -> None:
        self._pending.clear()
        self.feed = JobFeed(directory)
        log = self.query_one(LogView)
        log.empty = "The job has not printed anything yet."
        log.show(directory.output)
        self.query_one(LossCurve).show(self.feed.loss)
        self._read_events()
        self.redraw()

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
        self.query_one(LossCurve).refresh_if_new(feed.facts.max_steps)

    def _draw_facts(self) -> None:
        if not self.in_sight:
            return
        job, feed, now = self.job, self.feed, self.centre.clock()
        narrow = self.query_one("#brief", Static)
        full = self.query_one("#facts", Static)
        curve = self.query_one(LossCurve)
        if job is None or feed is None:
            start = text("No job yet. ", ("s", "key"), " starts a training job on the host.")
            narrow.update(start)
            full.update(start)
            return
        if job.routine == "train":
            curve.empty = "no loss yet: the first logged step draws here"
        else:
            curve.empty = f"a job of kind “{clean.line(job.routine, 20)}” has no loss"
        stale = self.desk.link().state != "up"
        room = max(20, self.size.width - 4)
        narrow.update(jobs.brief(job, feed.facts, now=now, width=room, stale=stale))
        width = max(20, self.query_one("#facts-scroll").size.width)
        full.update(jobs.facts(job, feed.facts, now=now, width=width, stale=stale))
        self._draw_titles()

    def _draw_titles(self) -> None:
        curve, log = self.query_one(LossCurve), self.query_one(LogView)
        facts = self.feed.facts if self.feed else None
        title = text("loss")
        if facts is not None and facts.loss is not None:
            title.append(f" {words.measured(facts.loss)}", "strong")
        self.query_one("#curve-pane", Pane).title(title)
        self.query_one("#curve-pane", Pane).subtitle("log y" if curve.log_y else "")
        name = clean.line(self.job_id or "", 60)
        self.query_one("#facts-pane", Pane).title(name or "job")
        state = text("output.log  ", (f"{log.lines:,} lines  ", "dim"))
        if log.file is not None and not log.file.complete:
            state.append(f"counting {log.file.indexed / max(1, log.file.size):.0%}  ", "dim")
        if log.following:
            state.append("● following", "ok")
        else:
            state.append("‖ paused", "warn")
            state.append(" · f follows", "dim")
        if log.match is not None:
            state.append(f"  /{clean.line(log.match[1], 20)} line {log.match[0] + 1:,}", "dim")
        self.query_one("#log-pane", Pane).title(state)

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
        if action in ("follow", "search", "log_top", "zoom", "log_y") and self.feed is None:
            return "no job is shown"
        if action in ("search_next", "search_previous") and not self._needle:
            return "nothing was searched yet: / searches"
        return None

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for job in self.jobs:
            yield f"Job: {job.id}", job.status, partial(self.show_job, job.id)

    def action_start(self) -> None:
        if self.refused("start"):
            return
        self.ask(lambda: list(self.desk.recipes()), self._pick_recipe, group="recipes")

    def _pick_recipe(self, recipes: Sequence[str]) -> None:
        dialog = StartTraining(recipes, self.desk.host_name)

        def start(recipe: str | None) -> None:
            if recipe:
                smoke = dialog.smoke
                self.centre.say(f"starting {recipe} …", title="Training")
                self._start(recipe, smoke, queue=False)

        self.app.push_screen(dialog, start)

    def _start(self, recipe: str, smoke: bool, *, queue: bool) -> None:
        def failed(problem: QAError) -> None:
            if isinstance(problem, AcceleratorBusy) and not queue:
                self._offer_queue(problem, recipe, smoke)
            else:
                self.centre.report(problem)

        call = lambda: self.desk.start_training(recipe, smoke=smoke, queue=queue)  # noqa: E731
        self.ask(call, self._started, group="start", failed=failed)

    def _offer_queue(self, busy: AcceleratorBusy, recipe: str, smoke: bool) -> None:
        def answer(yes: bool | None) -> None:
            if yes:
                self._start(recipe, smoke, queue=True)

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

    def action_zoom(self) -> None:
        self._zoom = (self._zoom + 1) % len(ZOOMS)
        for index, name in enumerate(ZOOMS[1:], 1):
            self.set_class(index == self._zoom, name)

    def go_back(self) -> bool:
        search = self.query_one("#search", Input)
        log = self.query_one(LogView)
        if self.has_class("-jobs") or self.query_one("#jobs").has_focus:
            self.remove_class("-jobs")
        elif not search.has_class("-hidden"):
            search.add_class("-hidden")
        elif self._zoom:
            self._zoom = -1
            self.action_zoom()
        elif log.match is not None:
            log.match = None
            log.follow()
        else:
            return False
        log.focus()
        return True

    # search in the log

    def action_search(self) -> None:
        if self.refused("search"):
            return
        field = self.query_one("#search", Input)
        field.remove_class("-hidden")
        field.value = ""
        field.focus()

    @on(Input.Submitted, "#search")
    def search_submitted(self, event: Input.Submitted) -> None:
        event.input.add_class("-hidden")
        self.query_one(LogView).focus()
        self._needle = event.value
        self._search(from_line=self.query_one(LogView).top_line, backwards=False)

    def action_search_next(self) -> None:
        if not self.refused("search_next"):
            log = self.query_one(LogView)
            self._search(from_line=(log.match[0] + 1) if log.match else log.top_line)

    def action_search_previous(self) -> None:
        if not self.refused("search_previous"):
            log = self.query_one(LogView)
            self._search(from_line=log.match[0] if log.match else log.top_line, backwards=True)

    def _search(self, *, from_line: int, backwards: bool = False) -> None:
        log, needle = self.query_one(LogView), self._needle
        file = log.file
        if file is None or not needle:
            return
        path, start = file.path, file.offset_of(from_line)

        def found(offset: int | None) -> None:
            if log.file is not file:
                return
            if offset is None:
                self.notify(f"“{clean.line(needle, 40)}” is not in this log", markup=False)
            elif offset >= file.indexed:
                self.notify("found, but that part is still being counted", markup=False)
            else:
                log.go_to(file.line_of(offset), needle)

        call = lambda: log_file.find(path, needle, start, backwards=backwards)  # noqa: E731
        self.ask(call, found, group="search")
