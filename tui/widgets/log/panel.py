"""Beside the log: one line in full, or the list of the marked lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import OptionList, Static

from tui.widgets.lists import Row, RowList
from tui.widgets.steady import Steady


class LogPanel(Vertical):
    """Hidden until something is shown. mode: "", "line" or "marks"."""

    DEFAULT_CSS = """
    LogPanel {
        display: none;
        width: 45%;
        border-left: solid $border-blurred;
        padding: 0 1;
        & > VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
        & Static { height: auto; }
        & > RowList { display: none; }
        &.-line, &.-marks { display: block; }
        &.-marks > RowList { display: block; }
        &.-marks > VerticalScroll { display: none; }
    }
    """

    @dataclass
    class Picked(Message):
        """A marked line was chosen."""

        number: int

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Steady("", markup=False)
        yield RowList(empty="no marks: m marks a line")

    @property
    def mode(self) -> str:
        return next((m for m in ("line", "marks") if self.has_class(f"-{m}")), "")

    def show_line(self, page: Text) -> None:
        self._mode("line")
        self.query_one(Static).update(page)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def show_marks(self, rows: Sequence[Row]) -> None:
        self._mode("marks")
        listed = self.query_one(RowList)
        listed.fill(rows)
        listed.focus()

    def close(self) -> None:
        self._mode("")

    def _mode(self, mode: str) -> None:
        self.set_class(mode == "line", "-line")
        self.set_class(mode == "marks", "-marks")

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option.id is not None:
            self.post_message(self.Picked(int(event.option.id)))

    @on(OptionList.OptionHighlighted)
    def highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
