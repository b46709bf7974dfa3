"""The control centre: one Textual app over one desk.

Screens are made when first shown. Whatever may block runs in threads (tui.asking); timers pull the
small values that are at hand.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, cast

from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen
from textual.theme import Theme

from core import locations
from core.errors import Cancelled, QAError
from tui import clean, theme
from tui.asking import Asks
from tui.bindings import EVERYWHERE, PLACES, bindings
from tui.commands import DeskCommands
from tui.desk.api import Desk, Overview
from tui.login import DialogPrompter
from tui.screens.base import DeskScreen
from tui.threads import Threads


def _screen(mode: str) -> Callable[[], Screen[None]]:
    """Makes the screen of a mode; its module is imported only then."""

    def make() -> Screen[None]:
        module = import_module(f"tui.screens.{mode}")
        return cast("Screen[None]", getattr(module, f"{mode.capitalize()}Screen")())

    return make


class ControlCentre(Asks, App[None]):
    """`ControlCentre(desk).run()`; `clock` gives Unix seconds (fixed in tests)."""

    TITLE = "ACCESS QA Control"
    COMMANDS = {DeskCommands}  # noqa: RUF012
    MODES = {place.mode: _screen(place.mode) for place in PLACES}  # noqa: RUF012
    DEFAULT_MODE = "pilot"
    BINDINGS: ClassVar[list[BindingType]] = bindings(EVERYWHERE)
    CSS = """
    DeskScreen { background: $background; }
    DeskScreen > #body { height: 1fr; }
    Toast { padding: 0 1; }
    * {
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-color: $foreground 22%;
        scrollbar-corner-color: $background;
    }
    """

    def __init__(self, desk: Desk, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.desk = desk
        self.clock = clock
        self.threads = Threads()
        self.overview: Overview | None = None
        self.defects: list[str] = []  # unexpected errors of this session, for tests and the log
        self._link_state = ""
        self._trail: list[str] = []
        self._noticed: dict[str, float] = {}
        for each in theme.THEMES:
            self.register_theme(each)
        self.theme = theme.DEFAULT
        self.console.push_theme(theme.roles(self.current_theme))

    def on_mount(self) -> None:
        # The link's threads decrypt without pause while a log streams in: the screen gets its turn
        # five times sooner than by default (benchmarks/stall.py: worst 0.16 s → 0.05 to 0.06 s).
        sys.setswitchinterval(0.001)
        self.theme_changed_signal.subscribe(self, self._colours)
        self.set_interval(0.5, self._watch_link)
        self.set_interval(1.0, self.poll_overview)
        self.call_after_refresh(self._first_frame_is_up)

    def _first_frame_is_up(self) -> None:
        gc.freeze()  # what start-up made stays; collecting it in between costs a fifth of the start
        gc.enable()
        self.poll_overview()
        self.action_reconnect()

    # small values

    def poll_overview(self) -> None:
        self.ask(self.desk.overview, self._overview_came, group="overview", poll=True)

    def _overview_came(self, overview: Overview) -> None:
        if overview != self.overview:
            self.overview = overview
            if isinstance(self.screen, DeskScreen):
                self.screen.overview_changed()

    def _watch_link(self) -> None:
        """Say once when the route is lost, and once when it is back."""
        link = self.desk.link()
        before, self._link_state = self._link_state, link.state
        if link.state == before:
            return
        if link.state == "lost":
            lines = [x for x in (link.error, link.try_next and f"try: {link.try_next}") if x]
            lines.append("Jobs on the host go on; what is shown here is the last state received.")
            self.say("\n".join(lines), title=f"Link to {self.desk.host_name} lost", bad=True)
        elif link.state == "up" and before == "lost":
            self.say("The link is back.", title=self.desk.host_name)
        if isinstance(self.screen, DeskScreen):
            self.screen.keys_changed()

    def _colours(self, changed: Theme) -> None:
        """Role names of rows mean the new theme's colours from now on."""
        self.console.pop_theme()
        self.console.push_theme(theme.roles(changed))
        for screen in self.screen_stack:
            screen.refresh()
            if isinstance(screen, DeskScreen) and screen.is_mounted:
                screen.recolour()

    # messages

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

            self.push_screen(Problem(problem))
            return
        now = time.monotonic()
        if now - self._noticed.get(problem.what, -60.0) >= 60:
            self._noticed[problem.what] = now
            rest = "\n".join(problem.lines()[1:])
            self.say(rest or problem.what, title=problem.what if rest else "", bad=True)

    def unexpected(self, error: Exception) -> QAError:
        """A defect of the program as an error an operator can act on; the trace goes to a file."""
        trace = "".join(traceback.format_exception(error))
        self.defects.append(trace)
        path = locations.state_dir() / "errors.log"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{trace}\n")
        return QAError(
            f"{type(error).__name__}: {error}",
            why="this is a defect of the program",
            try_next=f"go on; the trace is in {path}",
        )

    # keys

    def action_go(self, mode: str) -> None:
        """A number key: the trail of drill-downs ends here."""
        self._trail.clear()
        self.switch_mode(mode)

    async def drill(self, mode: str) -> Screen[Any]:
        """Go to a screen from another one, so that esc leads back; it is ready to be used."""
        if mode != self.current_mode:
            self._trail.append(self.current_mode)
            await self.switch_mode(mode)
        return self.screen

    async def open_job(self, job_id: str) -> None:
        from tui.screens.train import TrainScreen

        screen = await self.drill("train")
        if isinstance(screen, TrainScreen):
            screen.show_job(job_id)

    async def open_scores(self, model_version: str | None) -> None:
        from tui.screens.evaluate import EvaluateScreen

        screen = await self.drill("evaluate")
        if isinstance(screen, EvaluateScreen):
            screen.show_version(model_version)

    async def action_back(self) -> None:
        screen = self.screen
        if isinstance(screen, DeskScreen) and screen.go_back():
            return
        if self._trail:
            self.switch_mode(self._trail.pop())

    def action_help(self) -> None:
        from tui.present import frame
        from tui.widgets.confirm import Page

        if isinstance(self.screen, DeskScreen):
            self.push_screen(Page("Help", frame.help_page(self.screen.place)))

    def action_reconnect(self) -> None:
        if self.desk.link().state not in ("up", "connecting"):
            asked = DialogPrompter(self)
            self.ask(
                lambda: self.desk.connect(asked),
                lambda _: None,
                group="connect",
                failed=self._no_link,
            )

    def _no_link(self, problem: QAError) -> None:
        if isinstance(problem, Cancelled):
            self.say("Not connected. ctrl+r asks again.", title=self.desk.host_name)
        else:
            self.report(problem)

    async def action_quit(self) -> None:
        job = self.overview.active_job if self.overview else None
        if job is None:
            self.exit()
            return
        from tui.present.words import text
        from tui.widgets.confirm import Confirm

        name = clean.line(job.id, 60)
        body = text(
            (name, "strong"),
            f" goes on on {clean.line(self.desk.host_name, 40)} without this app.\n"
            "The next start shows its whole log from the first line.",
        )
        self.push_screen(Confirm("Leave?", body, verb="leaves", danger=False), self._leave)

    def _leave(self, yes: bool | None) -> None:
        if yes:
            self.exit()


def run(desk: Desk) -> None:
    """Show the app until the operator leaves; closes the desk, but waits for it only shortly."""
    gc.disable()  # until the first frame
    try:
        ControlCentre(desk).run()
    finally:
        closing = threading.Thread(target=desk.close, daemon=True)
        closing.start()
        closing.join(3)
