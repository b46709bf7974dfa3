"""A long list on its way into a file: how far it is, and the way to stop it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Static

from core.errors import Cancelled, QAError
from tui import exporting
from tui.exporting import Whole
from tui.present import words
from tui.present.words import text
from tui.widgets.confirm import Dialog

if TYPE_CHECKING:
    from tui.app import ControlCentre

LOOK_S = 0.1
SHORT = 2000  # rows: up to here the file is there before a dialog could be read


@dataclass(slots=True)
class Write:
    """total: rows, as far as is known.  done: that are in the file."""

    total: int
    done: int = 0
    ended: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def told(self, rows: int) -> None:
        """Between two pages, in the thread that writes."""
        self.done = rows
        if self.stop.is_set():
            raise Cancelled("the list is not written", why="it was stopped; no file is left")


class Writing(Dialog[None]):
    """Closes by itself. esc stops the writing; enter leaves it to go on behind the app."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "behind", show=False)]

    def __init__(self, write: Write) -> None:
        super().__init__("Writing the list", text(), hint="enter goes on behind · esc stops it")
        self._write = write

    def on_mount(self) -> None:
        self.set_interval(LOOK_S, self._look)
        self._look()

    def _look(self) -> None:
        if self._write.ended:
            self.dismiss(None)
        else:
            self.query_one("#body", Static).update(drawn(self._write.done, self._write.total))

    def action_leave(self) -> None:
        self._write.stop.set()
        self.dismiss(None)

    def action_behind(self) -> None:
        self.dismiss(None)


def drawn(done: int, total: int) -> Text:
    share = done / total if total else None
    out = words.bar(None if share is None else min(1.0, share), 40)
    return out.append(f"  {words.count(done)} of {words.count(total)} rows")


def begin(app: ControlCentre, name: str, whole: Whole) -> None:
    """Write all of a list. name: of the screen. While one is written, shows that one."""
    now = app.list_writing
    if now is not None and not now.ended:
        app.push_screen(Writing(now))
        return
    write = app.list_writing = Write(whole.total)

    def call() -> tuple[Path, int]:
        return exporting.keep_whole(whole, name, app.clock(), write.told)

    def came(found: tuple[Path, int]) -> None:
        write.ended = True
        app.say(f"{found[1]:,} rows written: {found[0]}")

    def failed(problem: QAError) -> None:
        write.ended = True
        if isinstance(problem, Cancelled):
            app.say(problem.what)
        else:
            app.report(problem)

    app.ask(call, came, group="export-all", failed=failed)
    if whole.total > SHORT:
        app.push_screen(Writing(write))
