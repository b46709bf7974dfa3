"""The log view without its keys: what it shows, and what other parts of the program ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Static

from tui.widgets.log import detail as log_detail
from tui.widgets.log import status as log_status
from tui.widgets.log.file import LogFile
from tui.widgets.log.lines import LogLines
from tui.widgets.log.merge import MergedLog
from tui.widgets.log.panel import LogPanel
from tui.widgets.log.prompt import LogPrompt
from tui.widgets.log.query import Query, typed
from tui.widgets.log.rows import Found, Log, Rows
from tui.widgets.log.seeking import Seeker
from tui.widgets.log.spans import Spans
from tui.widgets.log.status import LogState
from tui.widgets.log.timeline import Arrivals, Timeline

FRAMES_PER_S = 12  # more is not read by anybody, and each frame costs
SOON_S = 0.02  # while an answer is waited for
BESIDE = 90  # cells; below, the panel goes under the lines


class LogBase(Vertical):
    """Shows one log, or several merged by time.

    What it reads is bounded by what is in sight, whatever the log's size; counting, searching and
    filtering run in threads, and each frame takes what they have.
    """

    DEFAULT_CSS = """
    LogBase {
        height: 1fr;
        & > #log-panes { height: 1fr; }
        & > #log-state { height: 1; display: none; background: $surface; }
        & > #log-state.-on { display: block; }
        &.-below > #log-panes { layout: vertical; }
        &.-below LogPanel {
            width: 1fr; height: 45%; border-left: none; border-top: solid $border-blurred;
        }
    }
    """

    class Changed(Message, namespace="log_view"):
        """What `title` says changed: lines, following, new lines, hits."""

    @dataclass
    class CursorLine(Message, namespace="log_view"):
        """The operator moved the cursor. line_number: from 0.  text: the line, cleaned."""

        line_number: int
        text: str

    def __init__(
        self, *, empty: str = "nothing here yet", id: str | None = None, merged: Sequence[Path] = ()
    ) -> None:
        super().__init__(id=id)
        self.file: Log | None = None
        self.label = ""
        self.body = LogLines()
        self.body.empty = empty
        self.filter: Found | None = None
        self.search: Found | None = None
        self.timeline: Timeline | None = None
        self.note = ""
        self._errors: Found | None = None
        self._seeker: Seeker | None = None
        self._spans: Spans | None = None
        self._arrivals = Arrivals()
        self._was_following = True
        self._generation = 0
        self._told: object = None
        self._drawn: object = None
        self._cursor_told: int | None = None
        self._settling = False  # the filter has not come to the cursor's line yet
        self._awaited: Callable[[], None] | None = None  # once all is counted
        self._merged = tuple(merged)

    def compose(self) -> ComposeResult:
        with Horizontal(id="log-panes"):
            yield self.body
            yield LogPanel()
        yield Static(id="log-state", markup=False)
        yield LogPrompt()

    def on_mount(self) -> None:
        self.set_interval(1 / FRAMES_PER_S, self.tick)
        self._soon = self.set_interval(SOON_S, self._advance, pause=True)
        if self._merged:
            self.open_merged(self._merged)

    def on_unmount(self) -> None:
        self._close()

    def on_resize(self) -> None:
        self.set_class(self.size.width < BESIDE, "-below")

    def focus(self, scroll_visible: bool = True) -> Self:
        self.body.focus(scroll_visible)
        return self

    # what is shown

    @property
    def empty(self) -> str:
        """What is said while there is no line."""
        return self.body.empty

    @empty.setter
    def empty(self, words: str) -> None:
        self.body.empty = words
        self.body.redraw()

    def open_path(self, path: Path | None) -> None:
        """Show the log at `path` from its end, with what a mirror kept of it before; None: no log."""
        self._open(None if path is None else LogFile(path), "" if path is None else path.name)

    def open_merged(self, paths: Sequence[Path]) -> None:
        """Show several logs as one, in the order of the times in their lines."""
        self._open(MergedLog(paths), " + ".join(p.name for p in paths))

    def _open(self, log: Log | None, label: str) -> None:
        self._close()
        self.file, self.label, self.note = log, label, ""
        self._arrivals, self._awaited = Arrivals(), None
        self.body.marks.clear()
        self._generation = log.generation if log is not None else 0
        self.timeline = Timeline(log, log.ended, self._arrivals) if log is not None else None
        self.body.show(Rows(log) if log is not None else None)
        self.tick()

    def _close(self) -> None:
        self._forget()
        if self.file is not None:
            self.file.close()
            self.file = None

    def _forget(self) -> None:
        """End every search and filter."""
        for found in (self.filter, self.search, self._errors):
            if found is not None:
                found.cancel()
        if self._spans is not None:
            self._spans.close()
        self.filter = self.search = self._errors = self._seeker = self._spans = None
        self.body.search = self.body.hits = self.body.spans = None

    @property
    def lines(self) -> int:
        return self.file.lines if self.file is not None else 0

    @property
    def following(self) -> bool:
        return self.body.following

    @property
    def new_lines(self) -> int:
        """Lines shown that came in since the view stopped following."""
        return self.body.new_rows

    @property
    def cursor(self) -> int | None:
        """Number of the line the cursor is on; None while the end is followed."""
        return None if self.body.following else self.body.cursor

    @property
    def top_line(self) -> int:
        """Number of the first line in sight."""
        rows = self.body.rows
        if rows is None or not len(rows):
            return 0
        top = len(rows) - self.body.size.height if self.following else self.body.top
        return rows.number(max(0, min(top, len(rows) - 1)))

    def state(self) -> LogState:
        log, search, cursor = self.file, self.search, self.cursor
        hit = None
        if search is not None and cursor is not None and search.has(cursor):
            hit = search.rank(cursor) + 1
        size = log.size if log is not None else 0
        return LogState(
            name=self.label,
            lines=self.lines,
            counted=log.indexed / size if log is not None and size else 1.0,
            following=self.following,
            new=self.new_lines,
            size=size,
            filter=self.filter,
            search=search,
            hit=hit,
            seeking=self._seeker is not None and self._seeker.waiting,
            selected=len(self.body.selection) if self.body.select_from is not None else 0,
            note=self.note,
        )

    def title(self) -> Text:
        """For the frame around the view."""
        return log_status.title(self.state())

    # one frame

    def tick(self) -> None:
        """Take note of what came in; a few milliseconds of work, whatever it was."""
        log = self.file
        if log is None:
            self._tell()
            return
        log.look()
        if log.count():
            self._arrivals.note(time.time(), log.lines)
            if (awaited := self._awaited) is not None:
                self._awaited = None
                awaited()
        if log.generation != self._generation:
            self._anew(log)
        for found in (self.filter, self.search):
            if found is not None:
                found.keep_up()
        if self._settling and self.filter is not None:
            self.body.stay()
            self._settling = not (self.filter.done or self.filter.line > (self.cursor or 0))
        self._advance()
        now = (log.size, log.lines, log.complete, self.body.count, self.search and len(self.search))
        if now != self._drawn:
            self._drawn = now
            self.body.redraw()
        self._tell()

    def _anew(self, log: Log) -> None:
        """Line numbers mean other lines now: searches begin again, marks are gone."""
        self._generation = log.generation
        only = self.filter.query if self.filter is not None else None
        wanted = self.search.query if self.search is not None else None
        self._forget()
        self.body.marks.clear()
        self.body.show(Rows(log), follow=self.following)
        self.filter_by(only)
        if wanted is not None:
            self._look_for(wanted)

    def _advance(self) -> None:
        """Go on with what is waited for."""
        if self._spans is not None and self._spans.advance():
            self.body.redraw()
        seeker = self._seeker
        if seeker is None or not seeker.waiting:
            self._soon.pause()
            return
        seeker.hits.keep_up()
        found = seeker.advance()
        if found is not None:
            self.body.go_to(found)
        if not seeker.waiting:
            self.note = seeker.note
            self._tell()

    def _seek(self, hits: Found, number: int, step: int) -> None:
        """Go to the nearest of `hits`, as soon as it is known."""
        if (
            self._seeker is None
            or self._seeker.hits is not hits
            or self._seeker.only is not self.filter
        ):
            self._seeker = Seeker(hits, self.filter)
        self._seeker.start(number, step)
        self._soon.resume()
        self._advance()

    def _tell(self) -> None:
        state = self.state()
        shown = self.query_one("#log-state", Static)
        row = log_status.row(state, max(1, self.size.width))
        now = (row, log_status.title(state), state.new)
        if now != self._told:
            self._told = now
            shown.update(row)
            shown.set_class(bool(row.plain), "-on")
            self.post_message(self.Changed())

    @on(LogLines.Moved)
    def _moved(self, event: LogLines.Moved) -> None:
        event.stop()
        self._tell()
        number = self.cursor
        if number is None or self.file is None:
            self._cursor_told = None
            return
        if self.query_one(LogPanel).mode == "line":
            self.show_detail(number)
        if number != self._cursor_told:
            self._cursor_told = number
            self.post_message(self.CursorLine(number, self.text(number)))

    def text(self, number: int) -> str:
        """Line `number` as it is shown, without colours; of a very long one the beginning."""
        raw = self.file.line(number) if self.file is not None else None
        return "" if raw is None else log_detail.plain(raw)

    def show_detail(self, number: int) -> None:
        raw = self.file.line(number, self.body.column) if self.file is not None else None
        if raw is not None:
            at = self.timeline.time_of(number) if self.timeline is not None else None
            self.query_one(LogPanel).show_line(log_detail.page(raw, number, at))

    # what others ask for

    def follow(self) -> None:
        """To the end, and stay there."""
        self.body.follow()

    def top(self) -> None:
        self.body.action_top()

    def go_to_line(self, number: int) -> None:
        """The cursor to line `number` (from 0), as soon as it is counted; no CursorLine is sent."""
        if self.file is not None and not self.file.complete and number >= self.lines:
            self._awaited = partial(self.go_to_line, number)
            return
        self.body.go_to(number)
        self._cursor_told = self.cursor

    def go_to_time(self, unix: float) -> None:
        """The cursor to the first line at or after a moment; nothing if the log tells no times."""
        if self.file is not None and not self.file.complete:
            self._awaited = partial(self.go_to_time, unix)
            return
        number = self.timeline.line_at(unix) if self.timeline is not None else None
        if number is not None:
            self.go_to_line(number)

    def filter_by(self, query: Query | str | None) -> None:
        """Show only the lines that fit; None, "" or an empty query shows all. Raises ValueError."""
        query = typed(query) if isinstance(query, str) else query or Query()
        if (problem := query.problem()) is not None:
            raise ValueError(problem)
        if self.filter is not None:
            self.filter.cancel()
            self.filter = None
        if self.file is None:
            return
        self.filter = self.file.scan(query) if query else None
        if self.filter is not None:
            self.filter.keep_up()
        self.body.refill(Rows(self.file, self.filter))
        self._settling = self.filter is not None
        self._tell()

    def search_for(self, query: Query | str | None) -> None:
        """Go to the nearest line that fits and colour all of them; None or "" ends the search."""
        query = typed(query) if isinstance(query, str) else query
        if query is not None and (problem := query.problem()) is not None:
            raise ValueError(problem)
        if not query:
            self._end_search()
            return
        if self.search is None:
            self._was_following = self.following
        self._look_for(query)
        assert self.search is not None
        if self.following:
            self._seek(self.search, max(0, self.lines - 1), -1)
        else:
            self._seek(self.search, self.cursor or 0, 1)

    def _look_for(self, query: Query) -> None:
        if self.file is None:
            return
        if self.search is not None:
            self.search.cancel()
        if self._spans is not None:
            self._spans.close()
        self.search = self.body.hits = self.file.scan(query)
        self._spans = Spans(query) if query.regex else None
        self.body.search = query
        self.body.spans = self._spans.of if self._spans is not None else None
        self.search.keep_up()
        self.body.redraw()

    def _end_search(self) -> None:
        if self.search is None:
            return
        self.search.cancel()
        if self._spans is not None:
            self._spans.close()
        self.search = self._seeker = self._spans = None
        self.body.search = self.body.hits = self.body.spans = None
        if self._was_following:
            self.body.follow()
        self.body.redraw()
        self._tell()
