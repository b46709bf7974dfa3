"""A log that grows: draws only the lines in sight, straight from the file.

Follows the end until the operator scrolls up; then it stays put and says how many lines came in.
The end of a big file is shown at once, while the lines above it are still being counted.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui import clean
from tui.widgets.log_file import LogFile

FRAMES_PER_S = 30
DRAWN = 1000  # characters of a line that are coloured and drawn
CACHED_LINES = 2000
_BAD = ("error", "traceback", "exception", "fatal", "out of memory", "killed")
_WARN = ("warn",)


class LogView(ScrollView, can_focus=True):
    """Shows `path`; `follow()` sticks to the end, any scroll upwards lets go."""

    DEFAULT_CSS = """
    LogView {
        scrollbar-size-horizontal: 0;
        &> .log--bad { color: $text-error; }
        &> .log--warn { color: $text-warning; }
        &> .log--match { background: $warning 35%; text-style: bold; }
        &> .log--empty { color: $text-muted; }
        &> .log--pill { background: $primary; color: $background; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--bad",
        "log--warn",
        "log--match",
        "log--empty",
        "log--pill",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("ctrl+d", "page_down", show=False),
        Binding("ctrl+u", "page_up", show=False),
        Binding("h", "scroll_left", show=False),
        Binding("l", "scroll_right", show=False),
    ]

    class Changed(Message):
        """The state shown in the pane's title changed: lines, following, new lines."""

    def __init__(self, *, empty: str = "nothing here yet", id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        self.file: LogFile | None = None
        self.following = True
        self.match: tuple[int, str] | None = None  # line, needle
        self._ours = False  # we move, not the operator
        self._seen_lines = 0  # lines when following stopped
        self._tail: list[str] = []
        self._cache: OrderedDict[int, Strip] = OrderedDict()
        self._widest = 0
        self._state: tuple[object, ...] = ()

    def on_mount(self) -> None:
        self.set_interval(1 / FRAMES_PER_S, self.tick)

    def show(self, path: Path | None) -> None:
        """Show another file from its end; None shows the empty text."""
        if self.file is not None:
            self.file.close()
        self.file = LogFile(path) if path is not None else None
        self.match = None
        self._widest = 0
        self._cache.clear()
        self._tail = []
        self.following = True
        self.tick()
        self.refresh()

    def on_unmount(self) -> None:
        if self.file is not None:
            self.file.close()

    @property
    def lines(self) -> int:
        return self.file.lines if self.file is not None else 0

    @property
    def new_lines(self) -> int:
        """Lines that came in since the view stopped following."""
        return 0 if self.following else max(0, self.lines - self._seen_lines)

    # one frame

    def tick(self) -> None:
        """Look at the file; at most a few milliseconds of work, whatever came in."""
        file = self.file
        if file is None:
            return
        generation = file.generation
        changed = file.look()
        counted = file.indexed
        if not file.complete:
            file.index()
        if file.generation != generation:
            self._cache.clear()
        if changed or counted != file.indexed:
            self._cache.pop(max(0, file.lines - 1), None)
            self._cache.pop(max(0, file.lines - 2), None)
            self._resize()
            self.refresh()
        self._tell()

    def _resize(self) -> None:
        """Tell the scrollbars, and keep the end in sight while following."""
        self._ours = True
        try:
            self.virtual_size = Size(max(self._widest, 1), self.lines)
            if self.following:
                self._tail = self.file.tail(self.size.height) if self.file else []
                self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
            if self.show_vertical_scrollbar:  # it does not hear of moves made before it appeared
                self.vertical_scrollbar.position = self.scroll_y
        finally:
            self._ours = False

    def _tell(self) -> None:
        file = self.file
        now = (
            self.lines,
            self.following,
            self.new_lines,
            file.complete if file else True,
            self.match,
        )
        if now != self._state:
            self._state = now
            self.post_message(self.Changed())

    def notify_style_update(self) -> None:
        self._cache.clear()
        super().notify_style_update()

    def on_resize(self, event: events.Resize) -> None:
        self._cache.clear()
        self._resize()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._ours:
            return
        if new_value < old_value:
            # at the very end it was a resize that moved us, not the operator
            if self.following and new_value < self.max_scroll_y:
                self.following = False
                self._seen_lines = self.lines
                self.refresh()
        elif not self.following and round(new_value) >= self.max_scroll_y:
            self.call_later(self.follow)  # not from within a scrolling animation's own step
        self._tell()

    # what the operator asks for

    def follow(self) -> None:
        """To the end, and stay there."""
        self.following = True
        self._resize()
        self.refresh()
        self._tell()

    def top(self) -> None:
        self.scroll_to(y=0, animate=False, force=True)

    def go_to(self, number: int, needle: str = "") -> None:
        """Bring line `number` into sight, in the middle, with `needle` marked."""
        if self.following:
            self._seen_lines = self.lines
        self.following = False
        self.match = (number, needle) if needle else None
        self._cache.clear()
        self._ours = True
        try:
            self.scroll_to(y=max(0, number - self.size.height // 2), animate=False, force=True)
        finally:
            self._ours = False
        self.refresh()
        self._tell()

    @property
    def top_line(self) -> int:
        return self.scroll_offset.y

    async def on_click(self, event: events.Click) -> None:
        pill = self._pill()
        if pill and event.y == self.size.height - 1 and event.x >= self.size.width - len(pill):
            self.follow()

    # drawing

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        strip = self._content(y, base)
        strip = strip.crop_extend(self.scroll_offset.x, self.scroll_offset.x + width, base)
        if y == self.size.height - 1 and (pill := self._pill()):
            style = self.get_component_rich_style("log--pill")
            strip = Strip.join([strip.crop(0, width - len(pill)), Strip([Segment(pill, style)])])
        return strip

    def _pill(self) -> str:
        n = self.new_lines
        return f" ▼ {n:,} new line{'s' if n != 1 else ''} · f " if n else ""

    def _content(self, y: int, base: Style) -> Strip:
        if self.file is None or not self.file.size:
            if y == 0:
                style = self.get_component_rich_style("log--empty")
                return Strip([Segment(self.empty, style)])
            return Strip.blank(0, base)
        if self.following:
            # from the end, so that the end of a big file is in sight before it is counted
            skip = max(0, min(self.lines, self.size.height) - len(self._tail))
            index = y - skip
            if not 0 <= index < len(self._tail):
                return Strip.blank(0, base)
            return self._draw(self._tail[index], None, base)
        number = self.scroll_offset.y + y
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        strip = self._draw(self.file.text(number), number, base)
        self._cache[number] = strip
        if len(self._cache) > CACHED_LINES:
            self._cache.popitem(last=False)
        return strip

    def _draw(self, raw: str, number: int | None, base: Style) -> Strip:
        shown = clean.line(raw, DRAWN)
        lowered = shown.lower()
        style = base
        if any(word in lowered for word in _BAD):
            style = self.get_component_rich_style("log--bad")
        elif any(word in lowered for word in _WARN):
            style = self.get_component_rich_style("log--warn")
        segments = [Segment(shown, style)]
        if self.match and number == self.match[0]:
            at = lowered.find(self.match[1].lower())
            if at >= 0:
                mark = self.get_component_rich_style("log--match")
                end = at + len(self.match[1])
                segments = [
                    Segment(shown[:at], style),
                    Segment(shown[at:end], mark),
                    Segment(shown[end:], style),
                ]
        strip = Strip([s for s in segments if s.text])
        if strip.cell_length > self._widest:
            self._widest = strip.cell_length
            self.call_later(self._resize)
        return strip
