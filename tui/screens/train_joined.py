"""The curve and the log of a job go together: pointing at one moves the other."""

from __future__ import annotations

from textual import on

from tui import joining
from tui.screens.train_job import JobInSight
from tui.widgets.log.view import LogView
from tui.widgets.loss_curve import LossCurve

ZOOMS = ("", "-zoom-log", "-zoom-curve")


class CurveAndLog(JobInSight):
    zoom = 0

    @on(LossCurve.Pointed)
    def pointed(self, event: LossCurve.Pointed) -> None:
        log = self.query_one(LogView)
        number = joining.line_of(log.text, log.lines, event.step)
        if number is not None:
            log.go_to_line(number)
        elif (
            self.feed is not None and event.index < len(self.feed.times) and not self.curves.recall
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
        if self.zoom == 1:
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
        self.draw_titles()

    def action_follow(self) -> None:
        if not self.refused("follow"):
            self.query_one(LogView).follow()

    def action_log_top(self) -> None:
        if not self.refused("log_top"):
            self.query_one(LogView).top()

    def action_log_y(self) -> None:
        curve = self.query_one(LossCurve)
        curve.log_y = not curve.log_y
        self.draw_titles()

    def action_smooth(self) -> None:
        if not self.refused("smooth"):
            self.curves.toggle("smooth")

    def action_ghost(self) -> None:
        if not self.refused("ghost"):
            self.curves.toggle("with_ghost")

    def action_recall(self) -> None:
        if not self.refused("recall"):
            self.curves.toggle("recall")

    def action_zoom(self) -> None:
        self.zoom = (self.zoom + 1) % len(ZOOMS)
        for index, name in enumerate(ZOOMS[1:], 1):
            self.set_class(index == self.zoom, name)

    def go_back(self) -> bool:
        log = self.query_one(LogView)
        if self.has_class("-jobs") or self.query_one("#jobs").has_focus:
            self.remove_class("-jobs")
        elif self.zoom:
            self.zoom = -1
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
