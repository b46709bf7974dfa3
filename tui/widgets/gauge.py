"""Load, memory and heat of the accelerator, pulled twice a second."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.widget import Widget

from tui.desk.api import Gauge
from tui.present import jobs


class HostGauge(Widget, can_focus=False):
    """Draws what `source` gives; grey when it is old, a sentence when there is nothing."""

    DEFAULT_CSS = """
    HostGauge { height: auto; min-height: 1; }
    """

    def __init__(self, source: Callable[[], Gauge | None], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._source = source

    def on_mount(self) -> None:
        self.set_interval(0.5, lambda: self.refresh(layout=True))

    def render(self) -> Text:
        return jobs.gauge(self._source(), self.size.width or 40)
