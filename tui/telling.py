"""How the app tells the operator something: a notice in the corner, a dialog, the clipboard.

Every notice also goes into the history (tui.notices), whoever gave it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from core.errors import QAError
from tui import clean, crash
from tui.notices import Notice, Notices

if TYPE_CHECKING:
    from textual.app import App

QUIET_S = 60.0  # an error of a poll is said again after that


class Tells:
    """Mixin of the app."""

    notices: Notices
    clock: Callable[[], float]
    defects: list[str]  # unexpected errors of this session

    def _begin_telling(self, notices: Notices) -> None:
        self.notices = notices
        self.defects = []
        self._noticed: dict[str, float] = {}

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Any = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Textual's, with a copy for the history."""
        app = cast("App[None]", self)
        try:
            where = app.current_mode
        except Exception:  # before the first screen there is none
            where = ""
        self.notices.add(Notice(self.clock(), severity, title, message, where))
        super().notify(  # type: ignore[misc]
            message, title=title, severity=severity, timeout=timeout, markup=markup
        )

    def say(self, message: str, *, title: str = "", bad: bool = False) -> None:
        """A notice in the corner."""
        self.notify(
            clean.block(message, 600, 12),
            title=clean.line(title, 80),
            severity="error" if bad else "information",
            timeout=10 if bad else 4,
            markup=False,
        )

    def report(self, problem: QAError, *, quietly: bool = False) -> None:
        """An error in a dialog; quietly: in the corner, at most once a minute each."""
        if not quietly:
            from tui.widgets.confirm import Problem

            self._keep(problem)
            cast("App[None]", self).push_screen(Problem(problem))
            return
        now = time.monotonic()
        if now - self._noticed.get(problem.what, -QUIET_S) >= QUIET_S:
            self._noticed[problem.what] = now
            rest = "\n".join(problem.lines()[1:])
            self.say(rest or problem.what, title=problem.what if rest else "", bad=True)

    def _keep(self, problem: QAError) -> None:
        """An error of a dialog belongs to the history too."""
        rest = "\n".join(problem.lines()[1:])
        where = cast("App[None]", self).current_mode
        self.notices.add(Notice(self.clock(), "error", problem.what, rest, where))

    def unexpected(self, error: Exception) -> QAError:
        """A defect of the program as an error an operator can act on; the trace goes to a file."""
        trace = crash.trace(error)
        self.defects.append(trace)
        path = crash.note(trace)
        return QAError(
            f"{type(error).__name__}: {error}",
            why="this is a defect of the program",
            try_next=f"go on; the trace is in {path}",
        )

    def copy(self, value: str, what: str) -> None:
        """Into the clipboard of the operator's own terminal (OSC 52), also over SSH."""
        cast("App[None]", self).copy_to_clipboard(value)
        self.say(f"copied: {clean.line(what, 80)}")
