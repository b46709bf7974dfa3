"""A log that grows: follows its end, searches, filters, goes to a time, shows a line in full.

`python -m tui.widgets.log.view FILE [FILE…]` opens it alone; several files are merged by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from tui import clean, outside
from tui.bindings import Key, bindings
from tui.present.words import text
from tui.widgets.lists import Row
from tui.widgets.log import levels as log_levels
from tui.widgets.log import times as log_times
from tui.widgets.log.base import LogBase
from tui.widgets.log.keys import ACTS, LOG
from tui.widgets.log.lines import LogLines
from tui.widgets.log.panel import LogPanel
from tui.widgets.log.prompt import LogPrompt
from tui.widgets.log.query import Query, typed

COPIED = 1_000_000  # characters; what a terminal takes by OSC 52 is less in places
_NEEDS_HITS = ("search_next", "search_previous")


class LogView(LogBase):
    """Shows one log, or several merged by time; `tui.widgets.log.keys.LOG` lists its keys."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(ACTS)
    OWN_KEYS: ClassVar[tuple[str, tuple[Key, ...]]] = ("The log in focus", LOG)

    def why_not(self, action: str) -> str | None:
        """Why a key cannot be used now; None if it can."""
        if self.file is None or not self.lines:
            return "there is no line yet"
        if action in _NEEDS_HITS and self.search is None:
            return "nothing was searched yet: / searches"
        if action == "next_mark" and not self.body.marks:
            return "no line is marked: m marks one"
        return None

    def _refused(self, action: str) -> bool:
        reason = self.why_not(action)
        if reason is not None:
            self.notify(reason, severity="warning", markup=False)
        return reason is not None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # with nothing to close, esc belongs to whatever is around the view
        return self._open_now() is not None if action == "close" else True

    def _open_now(self) -> str | None:
        """What esc closes."""
        panel = self.query_one(LogPanel)
        open_now = {
            "prompt": self.query_one(LogPrompt).open,
            "panel": bool(panel.mode),
            "selection": self.body.select_from is not None,
            "search": self.search is not None,
            "filter": self.filter is not None,
        }
        return next((name for name, is_open in open_now.items() if is_open), None)

    def action_close(self) -> None:
        self.close_one()

    def close_one(self) -> bool:
        """One step back: prompt, panel, selection, search, filter; False if none of them is open."""
        what = self._open_now()
        self.note = ""
        if what == "prompt":
            self.query_one(LogPrompt).close()
            self.body.type_into(None)
        elif what == "panel":
            self.query_one(LogPanel).close()
        elif what == "selection":
            self.body.select_from = None
            self.body.redraw()
        elif what == "search":
            self.search_for(None)
        elif what == "filter":
            self.filter_by(None)
        if what is not None:
            self.focus()
            self._tell()
        return what is not None

    # search, filter, errors

    def action_search(self) -> None:
        if not self._refused("search"):
            self._ask("search")

    def action_filter(self) -> None:
        if not self._refused("filter"):
            query = self.filter.query if self.filter is not None else Query()
            self._ask("filter", query.written)

    def action_go(self) -> None:
        if not self._refused("go"):
            self._ask("go")

    def _ask(self, kind: str, words: str = "") -> None:
        prompt = self.query_one(LogPrompt)
        prompt.ask(kind, words)
        self.body.type_into(prompt.field)

    @on(LogPrompt.Answered)
    def _answered(self, event: LogPrompt.Answered) -> None:
        event.stop()
        self.body.type_into(None)
        self.focus()
        self.note = ""
        try:
            if event.kind == "search":
                self.search_for(event.words)
            elif event.kind == "filter":
                level = self.filter.query.level if self.filter is not None else 0
                self.filter_by(typed(event.words, level))
            elif event.words.strip():
                self._go(event.words)
        except ValueError as error:
            self.notify(clean.line(error, 200), severity="warning", markup=False)

    def _go(self, words: str) -> None:
        here = self.lines - 1 if self.cursor is None else self.cursor
        at = self.timeline.time_of(here) if self.timeline is not None else None
        target = log_times.target(words, at)
        if target.line is not None:
            self.body.go_to(min(target.line, self.lines - 1))
        elif target.share is not None:
            self.body.go_to(round(target.share * (self.lines - 1)))
        elif target.unix is not None and self.timeline is not None:
            number = self.timeline.line_at(target.unix)
            if number is None:
                raise ValueError("this log tells no times")
            self.body.go_to(number)

    def action_search_next(self) -> None:
        if not self._refused("search_next") and self.search is not None:
            here = self.cursor
            if here is None:
                self._seek(self.search, self.lines - 1, -1)
            else:
                self._seek(self.search, here + 1, 1)

    def action_search_previous(self) -> None:
        if not self._refused("search_previous") and self.search is not None:
            here = self.lines if self.cursor is None else self.cursor
            self._seek(self.search, here - 1, -1)

    def action_next_error(self) -> None:
        self._seek_error(1)

    def action_previous_error(self) -> None:
        self._seek_error(-1)

    def _seek_error(self, step: int) -> None:
        if self._refused("next_error") or self.file is None:
            return
        if self._errors is None:
            self._errors = self.file.scan(Query(level=log_levels.ERROR))
        here = self.cursor
        if here is None:
            self._seek(self._errors, self.lines - 1, -1)
        else:
            self._seek(self._errors, here + step, step)

    def action_level(self) -> None:
        if self._refused("level"):
            return
        query = self.filter.query if self.filter is not None else Query()
        after = {log_levels.WARN: log_levels.ERROR, log_levels.ERROR: 0}
        self.filter_by(query.with_level(after.get(query.level, log_levels.WARN)))

    def action_follow(self) -> None:
        if not self._refused("follow"):
            self.follow()

    # one line

    def action_detail(self) -> None:
        if self._refused("detail"):
            return
        panel = self.query_one(LogPanel)
        if panel.mode == "line":
            panel.close()
            return
        self.body.let_go()
        self.body.redraw()
        if self.cursor is not None:
            self.show_detail(self.cursor)
        self._tell()

    @on(LogLines.Opened)
    def _opened(self, event: LogLines.Opened) -> None:
        event.stop()
        if self.cursor is not None:
            self.show_detail(self.cursor)

    def action_mark(self) -> None:
        if self._refused("mark"):
            return
        self.body.let_go()
        if self.body.cursor is not None:
            self.body.marks ^= {self.body.cursor}
        self.body.redraw()
        self._tell()

    def action_next_mark(self) -> None:
        if self._refused("next_mark"):
            return
        marks = sorted(self.body.marks)
        here = -1 if self.cursor is None else self.cursor
        self.body.go_to(next((m for m in marks if m > here), marks[0]))

    def action_marks(self) -> None:
        panel = self.query_one(LogPanel)
        if panel.mode == "marks":
            self.action_close()
            return
        panel.show_marks([self._mark_row(number) for number in sorted(self.body.marks)])

    def _mark_row(self, number: int) -> Row:
        line = clean.line(self.text(number), 200)
        return str(number), lambda width: text(("◆ ", "accent"), f"{number + 1:,}  ", line)

    @on(LogPanel.Picked)
    def _picked(self, event: LogPanel.Picked) -> None:
        event.stop()
        self.body.go_to(event.number)

    # how it looks

    def action_wrap(self) -> None:
        self.body.wrap = not self.body.wrap
        self.body.column = 0
        self.body.stay()
        self.note = "long lines are wrapped" if self.body.wrap else "long lines are cut"
        self._tell()

    def action_numbers(self) -> None:
        self.body.numbers = not self.body.numbers
        self.body.redraw()

    # elsewhere

    def action_select(self) -> None:
        if self._refused("select"):
            return
        self.body.let_go()
        self.body.select_from = None if self.body.select_from is not None else self.body.cursor
        self.body.redraw()
        self._tell()

    def action_copy(self) -> None:
        rows = self.body.rows
        if self._refused("copy") or rows is None:
            return
        lines, length = [], 0
        for row in self.body.selection:
            line = self.text(rows.number(row))
            length += len(line) + 1
            if length > COPIED:
                break
            lines.append(line)
        self.app.copy_to_clipboard("\n".join(lines))
        whole = len(lines) == len(self.body.selection)
        count = f"{len(lines):,} line{'s' if len(lines) != 1 else ''}"
        self.note = f"{count} copied" + ("" if whole else ": the clipboard takes no more")
        self.body.select_from = None
        self.body.redraw()
        self._tell()

    def action_pager(self) -> None:
        self._outside(outside.PAGER)

    def action_editor(self) -> None:
        self._outside(outside.EDITOR)

    def _outside(self, with_: tuple[tuple[str, ...], str]) -> None:
        if self._refused("pager") or self.file is None:
            return
        path, number = self.file.place(self.lines - 1 if self.cursor is None else self.cursor)
        outside.view(self.app, with_, path, number + 1)


def main(paths: Sequence[str]) -> None:
    from textual.app import App

    from tui.theme import DEFAULT, THEMES, roles

    class Alone(App[None]):
        BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "quit")]

        def compose(self) -> ComposeResult:
            yield LogView(empty="nothing in it yet")

        def on_mount(self) -> None:
            for theme in THEMES:
                self.register_theme(theme)
            self.theme = DEFAULT
            self.console.push_theme(roles(self.current_theme))
            view = self.query_one(LogView)
            files = [Path(p) for p in paths]
            view.open_merged(files) if len(files) > 1 else view.open_path(files[0])
            view.focus()

    Alone().run()


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
