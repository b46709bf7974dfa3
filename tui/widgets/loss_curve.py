"""The loss of a running job as a live curve, with its bounds, its last value and its steps."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.present.words import count, measured
from tui.series import Series
from tui.widgets import braille

LABEL = 8  # cells left of the axis


class LossCurve(Widget):
    """Draws a `Series`; the owner calls `show` once and `refresh_if_new` as often as it likes."""

    DEFAULT_CSS = """
    LossCurve {
        &> .curve--line { color: $primary; }
        &> .curve--axis { color: $text-muted; }
        &> .curve--frame { color: $foreground 22%; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"curve--line", "curve--axis", "curve--frame"}

    log_y: reactive[bool] = reactive(False)

    def __init__(self, *, empty: str = "no loss yet", id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        self.series: Series | None = None
        self.max_steps: float | None = None
        self._drawn: tuple[object, ...] = ()
        self._rows: list[str] = []
        self._bounds: tuple[float, float] | None = None

    def show(self, series: Series | None) -> None:
        self.series = series
        self._drawn = ()
        self.refresh()

    def refresh_if_new(self, max_steps: float | None = None) -> None:
        """Redraw if values came in since the last frame."""
        self.max_steps = max_steps
        if self._key() != self._drawn:
            self.refresh()

    def watch_log_y(self) -> None:
        self.refresh()

    def _key(self) -> tuple[object, ...]:
        version = self.series.version if self.series is not None else -1
        return (id(self.series), version, self.size, self.log_y, self.max_steps)

    def _draw(self) -> None:
        key = self._key()
        if key == self._drawn:
            return
        self._drawn = key
        height, width = self.size.height - 1, self.size.width - LABEL - 1
        if self.series is None or not len(self.series) or height < 1 or width < 2:
            self._rows, self._bounds = [], None
            return
        self._rows, self._bounds = braille.draw(
            self.series, width, height, last_step=self.max_steps, log=self.log_y
        )

    def render_line(self, y: int) -> Strip:
        self._draw()
        width, base = self.size.width, self.rich_style
        axis = self.get_component_rich_style("curve--axis")
        frame = self.get_component_rich_style("curve--frame")
        if not self._rows or self._bounds is None:
            middle = max(0, (self.size.height - 1) // 2)
            shown = self.empty.center(width) if y == middle else ""
            return Strip([Segment(shown, axis)]).adjust_cell_length(width, base)
        if y < len(self._rows):
            label = self._label(y)
            tick = "┤" if label else "│"
            line = self.get_component_rich_style("curve--line")
            cells = [
                Segment(f"{label:>{LABEL}}", axis),
                Segment(tick, frame),
                Segment(self._rows[y], line),
            ]
        else:
            cells = [Segment(" " * LABEL, axis), Segment("└", frame), *self._steps(frame, axis)]
        return Strip(cells).adjust_cell_length(width, base)

    def _label(self, y: int) -> str:
        assert self._bounds is not None
        low, high = self._bounds
        last = len(self._rows) - 1
        if y == 0:
            return measured(high) + " "
        if y == last:
            return measured(low) + " "
        if last >= 6 and y == last // 2:
            share = 1 - (y + 0.5) / (last + 1)
            if self.log_y:
                return measured(float(f"{low * (high / low) ** share:.3g}")) + " "
            return measured(float(f"{low + (high - low) * share:.3g}")) + " "
        return ""

    def _steps(self, frame: Style, axis: Style) -> list[Segment]:
        """The lower axis: first step, last step, `steps` between."""
        assert self.series is not None
        width = self.size.width - LABEL - 1
        first = count(self.series.steps[0])
        last = count(max(self.series.steps[-1], self.max_steps or 0))
        middle = width - len(first) - len(last) - 2
        if middle < 1:
            return [Segment("─" * width, frame)]
        line = " step ".center(middle, "─") if middle >= 10 else "─" * middle
        return [
            Segment(f"{first} ", axis),
            Segment(line, frame),
            Segment(f" {last}", axis),
        ]
