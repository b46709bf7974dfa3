"""Starting a training from the Train screen, and stopping a job."""

from __future__ import annotations

from core import jobdir
from core.errors import AcceleratorBusy, QAError
from tui import clean
from tui.desk.api_plans import PlanView, Wish
from tui.present.words import text
from tui.screens.train_job import JobInSight
from tui.screens.train_plan import PlanPage
from tui.widgets.confirm import Confirm


class Starts(JobInSight):
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
