"""The lines of a log under the operator's hands: cursor, following, scrolling, selecting, the mouse."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Input

from tui.bindings import bindings
from tui.widgets.log.canvas import LogCanvas
from tui.widgets.log.keys import MOVES
from tui.widgets.log.rows import Rows

WHEEL = 3
SIDEWAYS = 8
ASKING = frozenset({"search", "filter", "go"})  # actions that open a prompt
MUCH = 64 << 20  # bytes


class LogLines(LogCanvas, can_focus=True):
    """Shows `rows`. Following, it sticks to the end; any move upwards lets go."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(MOVES)
    ALLOW_SELECT = False  # dragging selects whole lines

    class Moved(Message):
        """The cursor went to another line, or following began or ended."""

    class Opened(Message):
        """A line was clicked twice."""

    def __init__(self) -> None:
        super().__init__()
        self.field: Input | None = None  # what is typed is meant for it
        self._dragging = ""
        self._held = 0  # rows between the top and the cursor, while a filter is being built

    def show(self, rows: Rows | None, *, follow: bool = True) -> None:
        self.rows = rows
        self._cache.clear()
        self.column = 0 if follow else self.column
        self.select_from = None
        if follow:
            self.top, self.cursor, self.following = 0, None, True
        self._seen = len(rows) if rows is not None else 0
        self.redraw()

    def refill(self, rows: Rows) -> None:
        """Show other rows of the same log: the cursor's line, or the next one, stays where it is."""
        before = self.rows
        offset = 0
        if before is not None and self.cursor is not None and len(before):
            offset = before.row(self.cursor) - self.top
        self.rows, self.select_from, self._seen = rows, None, len(rows)
        self._held = max(0, offset)
        self.stay()

    def on_resize(self) -> None:
        self.redraw()
        if self.rows is not None and self.cursor is not None and not self.following and self.count:
            self._keep_in_sight(self.rows.row(self.cursor))

    def stay(self) -> None:
        """Put the cursor's line back to where it was on the screen: the rows above it changed."""
        if self.rows is not None and self.cursor is not None and self.count and not self.following:
            row = self.rows.row(self.cursor)
            self.top = max(0, min(row - self._held, max(0, self.count - self.page)))
            self._keep_in_sight(row)
            self._seen = self.count
        self.redraw()

    # moving

    def follow(self) -> None:
        """To the end, and stay there."""
        self.following, self.select_from = True, None
        self._changed()

    def let_go(self) -> None:
        """Stop following; what is in sight stays."""
        if self.following:
            self.following = False
            self._seen = self.count
            self.top = max(0, self.count - self.page)
            if self.cursor is None and self.count and self.rows is not None:
                self.cursor = self.rows.number(self.count - 1)

    @property
    def _uncounted(self) -> bool:
        """Whether a big log has just been opened: what is above its end cannot be shown yet."""
        log = self.rows.log if self.rows is not None else None
        return log is not None and log.size - log.indexed > MUCH

    def go_to(self, number: int, *, middle: bool = True) -> None:
        """The cursor to line `number`, or the nearest one after it that is shown."""
        if self.rows is None or not self.count:
            return
        self.let_go()
        row = self.rows.row(number)
        self.cursor = self.rows.number(row)
        if middle and not self.top <= row < self.top + self.page:
            self.top = max(0, row - self.page // 2)
        self._keep_in_sight(row)
        self._changed()

    def move(self, by: int) -> None:
        """The cursor by rows; below the last one is following."""
        if self.rows is None or not self.count:
            return
        if self.following:
            if by >= 0 or self._uncounted:
                return
            self.let_go()
        here = self.rows.row(self.cursor or 0)
        if here >= self.count - 1 and by > 0:
            self.follow()
            return
        row = here + by
        self.go_to(self.rows.number(max(0, min(row, self.count - 1))), middle=False)

    def scroll_rows(self, by: int) -> None:
        """What is in sight by rows; the cursor stays in sight. At the end, following begins."""
        if self.rows is None or not self.count or (self.following and by >= 0):
            return
        last = max(0, self.count - self.page)
        if self.following and (not last or self._uncounted):
            return  # all of it is in sight, or most of it has no number yet
        self.let_go()
        if self.top + by >= last and by > 0:
            self.follow()
            return
        self.top = max(0, min(self.top + by, last))
        row = self.rows.row(self.cursor or 0)
        row = max(self.top, min(row, self.top + self.page - 1, self.count - 1))
        self.cursor = self.rows.number(row)
        self._changed()

    def sideways(self, by: int) -> None:
        """Cells to the right, as far as the lines in sight go."""
        widest = max((e.drawn.width for e in self._laid_out()), default=0)
        most = max(0, widest - self.text_width // 2)
        self.column = max(0, min(self.column + by, most))
        self.redraw()

    def line_end(self) -> None:
        """To the end of the cursor's line."""
        number = self.cursor
        entries = [e for e in self._laid_out() if number is None or e.number == number]
        if entries:
            self.column = max(0, entries[-1].drawn.width - self.text_width)
            self.redraw()

    def select(self, begin: int, end: int) -> None:
        """Lines from `begin` to `end`, where the cursor goes."""
        self.select_from = begin
        self.go_to(end, middle=False)

    @property
    def selection(self) -> range:
        """The rows that are selected, else the cursor's, else the last one."""
        rows = self.rows
        if rows is None or not self.count:
            return range(0)
        here = self.count - 1 if self.cursor is None or self.following else rows.row(self.cursor)
        other = here if self.select_from is None else rows.row(self.select_from)
        return range(min(here, other), max(here, other) + 1)

    def _keep_in_sight(self, row: int) -> None:
        if row < self.top:
            self.top = row
        elif row >= self.top + self.page:
            self.top = row - self.page + 1
        self._entries = None
        room = self.page
        if not self.wrap or self.rows is None:
            return
        room = self.page
        for above in range(row, self.top - 1, -1):
            room -= len(self._folded(0, *self._drawn(self.rows.number(above))))
            if room < 0:
                self.top = min(row, above + 1)
                return

    def action_move(self, by: int) -> None:
        self.move(by)

    def action_page(self, by: int) -> None:
        self.move(by * max(1, self.page - 1))

    def action_sideways(self, by: int) -> None:
        self.sideways(by * SIDEWAYS)

    def action_line_start(self) -> None:
        self.column = 0
        self.redraw()

    def action_line_end(self) -> None:
        self.line_end()

    def action_top(self) -> None:
        if self.rows is not None and self.count:
            self.go_to(self.rows.number(0), middle=False)

    def action_end(self) -> None:
        self.follow()

    def _changed(self) -> None:
        self.redraw()
        self.post_message(self.Moved())

    # keys may come faster than they are answered, over a slow line all at once

    async def on_key(self, event: events.Key) -> None:
        """What follows the key that opens the prompt is meant for the prompt, and for nothing else."""
        if self.field is not None:
            event.stop()
            self.field._forward_event(events.Key(event.key, event.character))
            return
        active = self.screen.active_bindings.get(event.key)
        if active is not None and active.binding.action in ASKING and active.node in self.ancestors:
            event.stop()
            await self.app.run_action(active.binding.action, active.node)

    def type_into(self, field: Input | None) -> None:
        """From now on keys are meant for `field`, which gets the focus after those that are here."""
        self.field = field
        if field is not None:
            self.call_later(self._give_focus)

    def _give_focus(self) -> None:
        if self.message_queue_size:
            self.call_later(self._give_focus)
        elif self.field is not None:
            self.screen.set_focus(self.field, scroll_visible=False)

    # mouse

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.sideways(SIDEWAYS) if event.shift else self.scroll_rows(WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.sideways(-SIDEWAYS) if event.shift else self.scroll_rows(-WHEEL)

    def on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        event.stop()
        self.sideways(SIDEWAYS)

    def on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        event.stop()
        self.sideways(-SIDEWAYS)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button != 1 or self.rows is None:
            return
        pill = self._pill()
        if pill and event.y == self.size.height - 1 and event.x >= self.size.width - len(pill) - 1:
            self.follow()
        elif event.x >= self.size.width - 1:
            self._dragging = "bar"
            self._drag_bar(event.y)
        elif (number := self._number_at(event.y)) is not None:
            self._dragging = "lines"
            if event.shift and self.cursor is not None:
                self.select(
                    self.select_from if self.select_from is not None else self.cursor, number
                )
            else:
                self.select_from = None
                self.go_to(number, middle=False)
        if self._dragging:
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging == "bar":
            self._drag_bar(event.y)
        elif self._dragging == "lines" and self.cursor is not None:
            number = self._number_at(max(0, min(event.y, self.size.height - 1)))
            if number is not None and number != self.cursor:
                self.select(self.cursor if self.select_from is None else self.select_from, number)

    def on_mouse_up(self) -> None:
        self._dragging = ""
        self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        if event.chain == 2 and event.x < self.size.width - 1:
            self.post_message(self.Opened())

    def _drag_bar(self, y: int) -> None:
        share = y / max(1, self.size.height - 1)
        last = max(0, self.count - self.page)
        if share >= 1:
            self.follow()
        elif last:
            self.let_go()
            self.scroll_rows(round(share * last) - self.top)

    def _number_at(self, y: int) -> int | None:
        entries = self._laid_out()
        return entries[y].number if 0 <= y < len(entries) else None
