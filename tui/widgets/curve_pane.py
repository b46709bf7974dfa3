"""The curve of a job in its frame: the loss or the probe's shares, its mean, the run to beat."""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult

from tui.desk.api_plans import Ghost
from tui.feed import PROBED, JobFeed
from tui.present import curves
from tui.series import Smooth, ahead
from tui.widgets.loss_curve import LossCurve, Run
from tui.widgets.pane import Pane

PROBE_LOOKS = ("whole", "second", "third")


class CurvePane(Pane):
    """`open` shows a job's feed; `tick` draws what has come since, as often as the owner likes."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.feed: JobFeed | None = None
        self.ghost: Ghost | None = None
        self.smooth = False
        self.with_ghost = True
        self.recall = False  # the probe's shares in place of the loss
        self._mean: Smooth | None = None
        self._ghost_mean: Smooth | None = None

    def compose(self) -> ComposeResult:
        yield LossCurve(id="curve")

    @property
    def curve(self) -> LossCurve:
        return self.query_one(LossCurve)

    def open(self, feed: JobFeed) -> None:
        self.feed, self._mean = feed, Smooth(feed.loss)
        self.run_to_beat(None)

    def run_to_beat(self, ghost: Ghost | None) -> None:
        self.ghost = ghost
        self._ghost_mean = Smooth(ghost.loss) if ghost is not None else None
        self._show()

    def toggle(self, what: str) -> None:
        """smooth, with_ghost or recall, on or off; cross-hair and zoom stay where they are."""
        setattr(self, what, not getattr(self, what))
        self._again()

    def tick(self) -> None:
        if self.feed is None:
            return
        smooth = self._mean.series() if self._mean is not None and self.smooth else None
        if smooth is not None and not self.recall and smooth is not self.curve.series:
            self._again()  # the run was resumed: its mean began anew
        self.curve.refresh_if_new(self.feed.facts.max_steps)

    def titles(self) -> None:
        """What is shown and what is switched on, in the frame."""
        label, loss = self.ghost.label if self.ghost else "", None
        if self.feed is not None:
            loss = self.feed.facts.loss
        title = curves.loss_title(loss, label, self._gap(), drawn=self.with_ghost)
        self.title(curves.recall_title() if self.recall else title)
        curve = self.curve
        on = curves.state(log_y=curve.log_y, smooth=self.smooth, zoomed=curve.span is not None)
        self.subtitle(on)

    def _again(self) -> None:
        curve = self.curve
        at, span = curve.at, curve.span
        self._show()
        curve.span = span
        curve.point(at)
        self.titles()

    def _show(self) -> None:
        feed, curve = self.feed, self.curve
        if feed is None:
            return
        if self.recall:
            curve.describe = lambda index: ""
            looks = zip(PROBED, PROBE_LOOKS, strict=True)
            curve.show(*(Run(feed.probes[name], look) for name, look in looks))
            return
        runs = [Run(feed.loss)]
        if self.smooth and self._mean is not None:
            runs = [Run(self._mean.series()), Run(feed.loss, "raw")]
        if self.with_ghost and self.ghost is not None:
            mean = self._ghost_mean if self.smooth else None
            runs.append(Run(mean.series() if mean else self.ghost.loss, "ghost"))
        curve.describe = partial(curves.at_hair, feed)
        curve.show(*runs)

    def _gap(self) -> float | None:
        """How far the smoothed loss is below that of the run to beat."""
        if self._mean is None or self._ghost_mean is None:
            return None
        return ahead(self._mean.series(), self._ghost_mean.series())
