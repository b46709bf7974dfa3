"""Load, memory and heat of the accelerator with their history, pulled twice a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.widget import Widget

from tui.desk.api import Gauge
from tui.present import curves, host, jobs
from tui.widgets.steady import lay_out_if_needed


class HostGauge(Widget, can_focus=False):
    """Draws what `source` gives; grey when it is old, a sentence when there is nothing.

    past: shares busy, the oldest first.  predicted: peak of the job shown, in bytes, if one was said.
    """

    DEFAULT_CSS = """
    HostGauge { height: auto; min-height: 1; }
    """

    def __init__(
        self,
        source: Callable[[], Gauge | None],
        past: Callable[[], Sequence[float | None]] = lambda: (),
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._source, self._past = source, past
        self.predicted: int | None = None

    def on_mount(self) -> None:
        self.set_interval(0.5, self._again)

    def _again(self) -> None:
        self.refresh()
        lay_out_if_needed(self)

    def render(self) -> Text:
        width, now = self.size.width or 40, self._source()
        out = jobs.gauge(now, width)
        if self.predicted is not None and now is not None:
            out.append("\n")
            out.append_text(curves.predicted(self.predicted, now.memory_used, width))
        shares = self._past()
        if now is not None and len(shares) > 1:
            out.append("\n")
            drawn = host.history(shares, width, 2)
            drawn.rstrip()
            out.append_text(drawn)
        return out
