"""The job that the Train screen shows: its feed, what was said before it started, why it failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from core import jobdir
from core.errors import QAError
from core.jobdir import JobDir
from tui.desk.api import JobRow
from tui.desk.api_plans import Behind
from tui.desk.api_work import About, Why
from tui.feed import JobFeed
from tui.present import jobs
from tui.screens.base import DeskScreen
from tui.widgets.curve_pane import CurvePane
from tui.widgets.gauge import HostGauge
from tui.widgets.lists import RowList
from tui.widgets.log.view import LogView

EVENTS_A_FRAME = 1000  # bounds the work of one frame: some 10 ms
FAILED = (jobdir.FAILED, jobdir.STOPPED, jobdir.LOST)


def first_choice(rows: Sequence[JobRow]) -> JobRow:
    """What the screen opens with: what runs, else the newest training, else the newest job of any kind.

    rows: at least one, the newest first.
    """
    active = (j for j in rows if j.status in jobdir.ACTIVE)
    trained = (j for j in rows if j.routine == "train")
    return next(active, None) or next(trained, rows[0])


class JobInSight(DeskScreen):
    """Everything that is read of one job; how it looks is the screen's."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: Sequence[JobRow] = ()
        self.job_id: str | None = None
        self.feed: JobFeed | None = None
        self._pending: deque[dict[str, Any]] = deque()
        self._loading = False  # the feed is not read to its present end yet
        self.behind: Behind | None = None  # said before the job started; the run to beat
        self.failure: Why | None = None
        self._asked_why = ""

    @property
    def curves(self) -> CurvePane:
        return self.query_one(CurvePane)

    # which job

    def reload(self) -> None:
        self.ask(lambda: list(self.desk.jobs()), self._jobs_came, group="jobs")

    def _poll(self) -> None:
        if self.in_sight:
            call = lambda: list(self.desk.jobs())  # noqa: E731
            self.ask(call, self._jobs_came, group="jobs-poll", poll=True)

    def _jobs_came(self, rows: Sequence[JobRow]) -> None:
        self.jobs = jobs.active_first(rows)
        if self.job_id is None and self.jobs:
            self.show_job(first_choice(self.jobs).id)
        self.redraw()

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
        self.query_one(HostGauge).predicted = None  # the last job's
        self.crumb(f"jobs › {job_id}")
        self.query_one("#jobs", RowList).choose(job_id)
        self.ask(lambda: self.desk.job_dir(job_id), self._open, group="job-dir")

    def _open(self, directory: JobDir) -> None:
        self._pending.clear()
        self.feed, self._loading = JobFeed(directory), True
        log = self.query_one(LogView)
        log.empty = "The job has not printed anything yet."
        log.open_path(directory.output)
        self.curves.open(self.feed)
        job_id = directory.id
        failed = partial(self._load_failed, job_id)
        self.ask(JobFeed(directory).load, self._loaded, group="load", failed=failed)
        # no poll: the question about the job before must not keep this one from being asked
        behind = lambda: self.desk.plans.behind(job_id)  # noqa: E731
        self.ask(behind, self._behind_came, group="behind", failed=self._not_told)
        self.redraw()

    def _loaded(self, feed: JobFeed) -> None:
        """All that the job has told so far; from now on its news are folded in as they come."""
        if feed.job.id != self.job_id:
            return  # another job was chosen meanwhile
        self.feed, self._loading = feed, False
        self.curves.open(feed)
        if self.behind is not None:
            self.curves.run_to_beat(self.behind.ghost)
        self._read_events()
        self.redraw()

    def _load_failed(self, job_id: str, problem: QAError) -> None:
        """What was not loaded is read bit by bit, like its news."""
        if job_id == self.job_id:
            self._loading = False
        self.centre.report(problem)

    def _not_told(self, problem: QAError) -> None:
        """A notice is enough: the job itself is shown without it."""
        self.centre.report(problem, quietly=True)

    def _behind_came(self, found: Behind) -> None:
        if found.job_id != self.job_id:
            return
        self.behind = found
        self.query_one(HostGauge).predicted = found.peak
        self.curves.run_to_beat(found.ghost)
        self.redraw()

    def _look_why(self) -> None:
        """Once for a job that failed: what its log says."""
        job = self.job
        if job is None or job.status not in FAILED or self._asked_why == job.id:
            return
        self._asked_why = job.id
        about = lambda: self.desk.work.about(job.id)  # noqa: E731
        self.ask(about, self._why_came, group="why", failed=self._not_told)

    def _why_came(self, found: About) -> None:
        if found.job_id == self.job_id:
            self.failure = found.why
            self.draw_facts()
            self.keys_changed()

    # live: events are read in a thread, folded here a slice a frame

    def _read_events(self) -> None:
        feed = self.feed
        if feed is None or self._loading:
            return
        if self.in_sight and not self._pending and feed.has_news():
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
                self.draw_facts()
        self.curves.tick()

    def draw_facts(self) -> None:
        """What is told of the job beside its curve."""
        raise NotImplementedError

    def draw_titles(self) -> None:
        raise NotImplementedError
