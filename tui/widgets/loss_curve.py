"""Curves over steps: several runs that differ in shape, a cross-hair to read one of them, zoom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.bindings import CURVE, Key, bindings
from tui.present.words import count, measured
from tui.series import Series
from tui.widgets import braille

LABEL = 8  # cells left of the axis
BLANK = "\u2800"
CLOSEST = 8  # steps in the window at the deepest zoom


@dataclass(frozen=True, slots=True)
class Run:
    """look: whole, raw or ghost; the first run of a curve is the one that is read."""

    series: Series
    look: str = "whole"


SHAPES = {
    "whole": "whole",
    "raw": "dotted",
    "ghost": "dashed",
    "second": "dashed",
    "third": "dotted",
}
Cell = tuple[str, int]  # a character, and the number of the run that it is of


class LossCurve(Widget, can_focus=True):
    """The owner calls `show` with the runs, and `refresh_if_new` as often as it likes.

    describe: what else is known of the value with that index, beside the cross-hair.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(CURVE)
    OWN_KEYS: ClassVar[tuple[str, tuple[Key, ...]]] = ("The curve in focus", CURVE)
    DEFAULT_CSS = """
    LossCurve {
        &> .curve--whole { color: $primary; }
        &> .curve--raw { color: $primary 45%; }
        &> .curve--ghost { color: $foreground 45%; }
        &> .curve--second { color: $warning; }
        &> .curve--third { color: $success; }
        &> .curve--axis { color: $text-muted; }
        &> .curve--frame { color: $foreground 22%; }
        &> .curve--hair { color: $accent; }
        &> .curve--read { background: $panel; color: $foreground; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "curve--axis", "curve--frame", "curve--hair", "curve--read",
        *(f"curve--{look}" for look in SHAPES),
    }  # fmt: skip

    log_y: reactive[bool] = reactive(False)

    @dataclass
    class Pointed(Message):
        """The operator put the cross-hair on a value of the first run. index: of its series."""

        index: int
        step: float

    def __init__(self, *, empty: str = "no loss yet", id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        self.runs: tuple[Run, ...] = ()
        self.max_steps: float | None = None
        self.describe: Callable[[int], str] = lambda index: ""
        self.at: float | None = None  # the step under the cross-hair
        self.hover: float | None = None
        self.span: float | None = None  # steps in the window; None: all
        self._limits: tuple[float, float] | None = None
        self._drawn: tuple[object, ...] = ()
        self._rows: list[list[Cell]] = []

    # what is shown

    def show(self, *runs: Run) -> None:
        """The first of them is read by the cross-hair and lies on top."""
        if self.series is not (runs[0].series if runs else None):
            self.at = self.hover = self.span = None
        self.runs = runs
        self._drawn = ()
        self.refresh()

    @property
    def series(self) -> Series | None:
        return self.runs[0].series if self.runs else None

    def refresh_if_new(self, max_steps: float | None = None) -> None:
        """Redraw if values came in since the last frame."""
        self.max_steps = max_steps
        if self._key() != self._drawn:
            self.refresh()

    def watch_log_y(self) -> None:
        self.refresh()

    @property
    def whole(self) -> tuple[float, float]:
        """First and last step of all runs, as far as the job is to go."""
        runs = [r.series for r in self.runs if len(r.series)]
        if not runs:
            return 0.0, 1.0
        last = max(runs[0].steps[-1], self.max_steps or 0.0)
        return min(r.steps[0] for r in runs), last

    @property
    def window(self) -> tuple[float, float]:
        """The steps shown: around the cross-hair, else up to the newest value."""
        first, last = self.whole
        if self.span is None or self.series is None or not len(self.series):
            return first, last
        middle = self.at if self.at is not None else self.series.steps[-1] - self.span / 2
        start = min(max(first, middle - self.span / 2), max(first, last - self.span))
        return start, start + self.span

    # the cross-hair

    def point(self, step: float | None) -> None:
        """Put the cross-hair at the value nearest to a step, or take it away; nothing is posted."""
        index = self.series.near(step) if self.series is not None and step is not None else None
        self.at = None if index is None or self.series is None else self.series.steps[index]
        self.refresh()

    def action_move(self, cells: int) -> None:
        """By so many cells, and by one value at least."""
        series = self.series
        if series is None or not len(series):
            return
        now = series.near(self.at) if self.at is not None else None
        if now is None:
            self._pick(len(series) - 1)
            return
        first, last = self.window
        step = series.steps[now] + cells * (last - first) / max(1, self._room)
        found = series.near(step)
        if found is None or found == now:
            found = now + (1 if cells > 0 else -1)
        self._pick(found)

    def action_end(self, side: int) -> None:
        if self.series is not None:
            self._pick(0 if side < 0 else len(self.series) - 1)

    def _pick(self, index: int) -> None:
        series = self.series
        if series is None or not len(series):
            return
        index = min(max(0, index), len(series) - 1)
        self.at = series.steps[index]
        self.refresh()
        self.post_message(self.Pointed(index, self.at))

    def action_zoom(self, factor: float) -> None:
        first, last = self.whole
        span = (last - first if self.span is None else self.span) * factor
        self.span = None if span >= last - first else max(min(CLOSEST, last - first), span)
        self.refresh()

    def action_whole(self) -> None:
        self.span = None
        self.refresh()

    # the mouse

    @property
    def _room(self) -> int:
        return max(0, self.size.width - LABEL - 1)

    def _step_at(self, x: int) -> float | None:
        cell = x - LABEL - 1
        if not 0 <= cell < self._room or self.series is None or not len(self.series):
            return None
        first, last = self.window
        return first + (cell + 0.5) / self._room * (last - first)

    def on_click(self, event: events.Click) -> None:
        step = self._step_at(event.x)
        if step is not None and self.series is not None:
            found = self.series.near(step)
            if found is not None:
                self._pick(found)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.hover = self._step_at(event.x)
        self.refresh()

    def on_leave(self) -> None:
        self.hover = None
        self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_zoom(0.5)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_zoom(2)

    # drawing

    def _key(self) -> tuple[object, ...]:
        runs = tuple((id(r.series), r.series.version, r.look) for r in self.runs)
        return (runs, self.size, self.log_y, self.window)

    def _draw(self) -> None:
        key = self._key()
        if key == self._drawn:
            return
        self._drawn = key
        self._rows, self._limits = [], None
        height, width = self.size.height - 1, self._room
        if self.series is None or not len(self.series) or height < 1 or width < 2:
            return
        self._limits = braille.bounds([r.series for r in self.runs], self.window, log=self.log_y)
        if self._limits is None:
            return
        layers = [
            braille.draw(
                r.series, width, height, self.window, self._limits,
                log=self.log_y, shape=SHAPES[r.look],
            )
            for r in self.runs
        ]  # fmt: skip
        self._rows = [_over([layer[y] for layer in layers]) for y in range(height)]

    def render_line(self, y: int) -> Strip:
        self._draw()
        width, base = self.size.width, self.rich_style
        axis = self.get_component_rich_style("curve--axis")
        frame = self.get_component_rich_style("curve--frame")
        if not self._rows:
            middle = max(0, (self.size.height - 1) // 2)
            shown = self.empty.center(width) if y == middle else ""
            return Strip([Segment(shown, axis)]).adjust_cell_length(width, base)
        if y < len(self._rows):
            label = self._label(y)
            cells = [Segment(f"{label:>{LABEL}}", axis), Segment("┤" if label else "│", frame)]
            cells += self._row(y)
        else:
            cells = [Segment(" " * LABEL, axis), Segment("└", frame), *self._steps(frame, axis)]
        return Strip(cells).adjust_cell_length(width, base)

    def _row(self, y: int) -> list[Segment]:
        styles = [self.get_component_rich_style(f"curve--{r.look}") for r in self.runs]
        hair = self.get_component_rich_style("curve--hair")
        cells = [(c, styles[run]) for c, run in self._rows[y]]
        for step in {self.hover, self.at} - {None}:
            x = self._column(step)
            if x is not None:
                cells[x] = ("╎" if cells[x][0] == BLANK else cells[x][0], hair)
        if y == 0:
            self._read(cells)
        grouped = groupby(cells, key=lambda cell: cell[1])
        return [Segment("".join(c for c, _ in part), style) for style, part in grouped]

    def _column(self, step: float | None) -> int | None:
        first, last = self.window
        if step is None or not first <= step <= last:
            return None
        return min(self._room - 1, int((step - first) / max(last - first, 1e-9) * self._room))

    def _read(self, cells: list[tuple[str, Style]]) -> None:
        """What is under the cross-hair (or the mouse), on the side where there is room."""
        step = self.hover if self.hover is not None else self.at
        x, series = self._column(step), self.series
        index = series.near(step) if series is not None and step is not None else None
        if x is None or series is None or index is None:
            return
        more = self.describe(index)
        said = f" step {count(series.steps[index])}  {measured(series.values[index])}"
        said += f"  {more} " if more else " "
        start = x + 1 if x + 1 + len(said) <= len(cells) else max(0, x - len(said))
        read = self.get_component_rich_style("curve--read")
        for offset, character in enumerate(said[: len(cells) - start]):
            cells[start + offset] = (character, read)

    def _label(self, y: int) -> str:
        assert self._limits is not None
        low, high = self._limits
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
        first, last = (count(round(step)) for step in self.window)
        middle = self._room - len(first) - len(last) - 2
        if middle < 1:
            return [Segment("─" * self._room, frame)]
        line = " step ".center(middle, "─") if middle >= 10 else "─" * middle
        return [
            Segment(f"{first} ", axis),
            Segment(line, frame),
            Segment(f" {last}", axis),
        ]


def _over(layers: Sequence[str]) -> list[Cell]:
    """One row of cells: of each the first layer that has a dot there."""
    if len(layers) == 1:
        return [(c, 0) for c in layers[0]]
    return [
        next(((c, n) for n, c in enumerate(cell) if c != BLANK), (BLANK, 0))
        for cell in zip(*layers, strict=True)
    ]
