"""Jobs: all of them, here and on the host; their logs, what they left, why one failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from core import jobdir
from core.errors import QAError
from tui import clean
from tui.bindings import JOBS, bindings
from tui.desk.api import JobRow
from tui.desk.api_work import About, Artifact, Listed, WorkDesk
from tui.present import jobs
from tui.present.words import text
from tui.screens.base import DeskScreen
from tui.widgets.confirm import Choose, Confirm
from tui.widgets.log.view import LogView
from tui.widgets.pane import Pane
from tui.widgets.pull_table import PullTable
from tui.widgets.steady import Steady


class JobsScreen(DeskScreen):
    MODE = "jobs"
    CSS_PATH = "jobs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(JOBS)

    def __init__(self) -> None:
        super().__init__()
        self.listed: Listed | None = None
        self.found: About | None = None
        self.beside: str | None = None
        self._shown: str | None = None  # whose details are shown
        self._merged = False  # its log is shown beside another's
        self._to_show = ""  # as soon as it is listed

    @property
    def there(self) -> WorkDesk:
        return self.desk.work

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                with Pane(id="list-pane"):
                    yield PullTable(
                        jobs.columns(lambda: self.beside, lambda: self.centre.clock()),
                        empty=jobs.EMPTY,
                        id="list",
                    )
                with Pane(id="about-pane"), VerticalScroll(id="scroll"):
                    yield Steady(id="about")
            with Pane(id="log-pane"):
                yield LogView(id="log", empty="Its log is empty, or not mirrored yet.")

    def on_mount(self) -> None:
        self.query_one("#list-pane", Pane).title("jobs")
        self.query_one("#about-pane", Pane).title("about it")
        self.query_one("#log-pane", Pane).title("output.log")
        self.table.focus()
        self.set_interval(2.0, self._poll)

    @property
    def table(self) -> PullTable[JobRow]:
        return self.query_one("#list", PullTable)

    # what is shown

    def reload(self) -> None:
        self.ask(self.there.listed, self._came, group="jobs")

    def _poll(self) -> None:
        if self.in_sight:
            self.ask(self.there.listed, self._came, group="jobs-poll", poll=True)

    def _came(self, listed: Listed) -> None:
        before, self.listed = self.listed, listed
        table, there = self.table, {job.id for job in listed.rows}
        for gone in set(table.marks) - there:
            table.mark(gone, on=False)
        if before is None or before.rows != listed.rows:
            table.show(jobs.source(listed.rows))
        if self._to_show in there:
            table.go_to_key(self._to_show)
            self._to_show = ""
        self.redraw()
        self.keys_changed()

    def redraw(self) -> None:
        if self.listed is None:
            return
        self.table.rows.forget(widths=False)  # how long ago something was is another time now
        said = "as last known: no link" if self.no_route() else clean.line(self.listed.problem, 60)
        self.query_one("#list-pane", Pane).subtitle(said or self.table.state)
        self._draw_about()

    @on(PullTable.Told)
    def told(self) -> None:
        self.redraw()

    @property
    def job(self) -> JobRow | None:
        return self.table.row

    def show_job(self, job_id: str) -> None:
        """Highlight a job; its log and details follow."""
        if self.listed is not None and any(job.id == job_id for job in self.listed.rows):
            self.table.go_to_key(job_id)
        else:
            self._to_show = job_id

    @on(PullTable.RowHighlighted)
    def highlighted(self) -> None:
        job = self.job
        if job is not None and job.id != self._shown:
            self._shown, self._merged, self.found = job.id, False, None
            self.crumb(clean.line(job.id, 60))
            self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
            self._draw_about()
            self._ask_about(job.id)
        self.keys_changed()

    def _ask_about(self, job_id: str) -> None:
        self.ask(lambda: self.there.about(job_id), self._about_came, group="about")

    def _about_came(self, found: About) -> None:
        if found.job_id != self._shown:
            return
        self.found = found
        if not self._merged:
            self._open([found.log])
        self._draw_about()
        self.keys_changed()

    def _open(self, logs: list[Path]) -> None:
        log = self.query_one(LogView)
        if len(logs) == 1:
            log.open_path(logs[0])
        else:
            log.open_merged(logs)
        names = " + ".join(clean.line(path.parent.name, 40) for path in logs)
        self.query_one("#log-pane", Pane).title(names)

    def _draw_about(self) -> None:
        job, width = self.job, (self.query_one("#scroll").size.width or 41) - 1
        drawn = text() if job is None else jobs.about(job, self.found, width)
        self.query_one("#about", Static).update(drawn)

    def finds(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for job in self.listed.rows if self.listed else ():
            yield f"Job: {clean.line(job.id, 80)}", "", partial(self.show_job, job.id)

    def why_not(self, action: str) -> str | None:
        job = self.job
        if action == "zoom":
            return None
        if job is None:
            return "no job is highlighted"
        active = _active(job)
        if action in ("stop", "kill", "remove") and self.table.marks:
            running = [_active(j) for j in self.meant]
            if action == "remove" and all(running):
                return "none of the marked jobs has ended: x stops them first"
            if action != "remove" and not any(running):
                return "all of the marked jobs have ended"
            return self.no_route()
        if action in ("stop", "kill") and not active:
            return f"it has ended: {job.status}"
        if action in ("resume", "remove") and active:
            return f"it is {job.status}: x stops it first"
        if action == "resume" and job.status == "succeeded":
            return "it succeeded: there is nothing to go on with; R runs it again"
        if action == "why_line" and (
            self.found is None or self.found.why is None or self.found.why.number is None
        ):
            return "nothing known was found in its log"
        if action in ("stop", "kill", "resume", "rerun", "remove"):
            return self.no_route()
        return super().why_not(action)

    # the log

    @on(PullTable.RowSelected)
    def action_open_log(self) -> None:
        if not self.wide:
            self.add_class("-zoom")
        self.query_one(LogView).focus()

    def action_zoom(self) -> None:
        self.toggle_class("-zoom")
        zoomed = self.has_class("-zoom")
        (self.query_one(LogView) if zoomed else self.table).focus()

    def go_back(self) -> bool:
        if self.has_class("-zoom"):
            self.action_zoom()
            return True
        if self.table.rows.has_focus:
            return False
        self.table.focus()
        return True

    def action_why_line(self) -> None:
        if self.refused("why_line") or self.found is None or self.found.why is None:
            return
        if not self.wide:
            self.add_class("-zoom")
        log = self.query_one(LogView)
        log.focus()
        log.go_to_line(self.found.why.number or 0)

    def action_beside(self) -> None:
        job = self.job
        if self.refused("beside") or job is None:
            return
        if self.beside in (None, job.id):
            self.beside = None if self.beside else job.id
            self.redraw()
            return
        first, self.beside = self.beside, None
        self.redraw()
        self._shown, self._merged = job.id, True
        self._open([self.desk.job_dir(name).output for name in (first, job.id)])
        self.action_open_log()

    # what can be done with one

    def _sure(
        self, title: str, said: str, verb: str, act: Callable[[str], object], *, danger: bool
    ) -> None:
        """Ask, then do it and show the list again."""
        job = self.job
        if job is None:
            return

        def do(yes: bool | None) -> None:
            if yes:
                self.ask(lambda: act(job.id), self._did, group="act")

        body = text((clean.line(job.id, 80), "strong"), f"\n{said}")
        self.app.push_screen(Confirm(title, body, verb=verb, danger=danger), do)

    def _did(self, answer: object) -> None:
        if isinstance(answer, str):
            self.centre.say(f"job {answer} is started")
        for line in answer if isinstance(answer, tuple) else ():
            self.centre.say(str(line))
        self.reload()

    def action_stop(self) -> None:
        if not self.refused("stop"):
            self._meant("Stop", jobs.STOPPING, _active, self.desk.stop_job)

    def action_kill(self) -> None:
        if not self.refused("kill"):
            self._meant("Kill", jobs.KILLING, _active, self.there.kill)

    def action_remove(self) -> None:
        if not self.refused("remove"):
            self._meant("Remove", jobs.REMOVING, lambda job: not _active(job), self.there.remove)

    def _meant(
        self,
        word: str,
        said: tuple[str, str],
        fits: Callable[[JobRow], bool],
        act: Callable[[str], object],
    ) -> None:
        """Ask once, then do it to those of the marked jobs that it fits, or to the highlighted one.

        said: what it means for one job, and for several.
        """
        some = [job for job in self.meant if fits(job)]
        names, one = [job.id for job in some], len(some) == 1

        def do(yes: bool | None) -> None:
            if yes:
                self.ask(lambda: _each(act, names), self._did, group="act")

        title = f"{word}?" if one else f"{word} {len(names)} jobs?"
        verb = f"{word.lower()}s {'it' if one else 'them'}"
        body = jobs.named(some, said[not one], len(self.meant) - len(some))
        self.app.push_screen(Confirm(title, body, verb=verb, danger=True), do)

    def action_resume(self) -> None:
        if not self.refused("resume"):
            said = "A new job goes on from its last whole checkpoint, with the same settings."
            self._sure("Resume?", said, "resumes it", self.there.resume, danger=False)

    def action_rerun(self) -> None:
        if not self.refused("rerun"):
            said = "A new job with the same settings and inputs, from the beginning."
            self._sure("Run again?", said, "runs it again", self.there.rerun, danger=False)

    @property
    def meant(self) -> list[JobRow]:
        """The marked jobs, else the highlighted one."""
        marked = set(self.table.marks)
        rows = self.listed.rows if self.listed else ()
        return [j for j in rows if j.id in marked] if marked else [self.job] if self.job else []

    # artifacts

    def action_artifacts(self) -> None:
        job = self.job
        if self.refused("artifacts") or job is None:
            return
        self.ask(
            lambda: self.there.artifacts(job.id), partial(self._offer, job.id), group="artifacts"
        )

    def _offer(self, job_id: str, found: tuple[Artifact, ...]) -> None:
        if not found:
            self.centre.say("it left nothing", title=job_id)
            return

        def fetch(name: str | None) -> None:
            if name:
                self.ask(
                    lambda: self.there.fetch(job_id, name),
                    lambda path: self.centre.say(str(path), title="it is here"),
                    group="fetch",
                )

        body = text((clean.line(job_id, 80), "strong"), " left; ✔ is here, ○ only on the host")
        rows = [(a.name, jobs.artifact_row(a)) for a in found]
        self.app.push_screen(Choose("Artifacts", body, rows), fetch)


def _active(job: JobRow) -> bool:
    return job.status in jobdir.ACTIVE


def _each(act: Callable[[str], object], names: list[str]) -> tuple[str, ...]:
    """Do it to each of them; one that fails keeps none of the others back.

    What was done and what failed, in words.  Raises QAError: the only one failed.
    """
    said: list[str] = []
    for name in names:
        try:
            done = act(name)
            said += done if isinstance(done, tuple) else ()
        except QAError as e:
            if len(names) == 1:
                raise
            said.append(clean.line(f"▲ {name}: {e.what}", 300))
    return tuple(said)
