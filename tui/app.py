"""The control centre: one Textual app over one desk.

Screens are made when first shown. Whatever may block runs in threads (tui.asking); timers pull the
small values that are at hand.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen
from textual.theme import Theme

from core.errors import Cancelled, QAError
from tui import alone, clean, crash, notices, splits, theme
from tui.acts import Acts
from tui.asking import Asks
from tui.bindings import EVERYWHERE, PLACES, bindings
from tui.desk.api import Desk, Overview
from tui.desk.read_only import guarded
from tui.jumps import INVITATION
from tui.login import DialogPrompter
from tui.opening import OpensSoon
from tui.palette import InOrder
from tui.preferences import Preferences
from tui.present import when
from tui.screens.base import DeskScreen
from tui.telling import Tells
from tui.threads import Threads

if TYPE_CHECKING:
    from tui.widgets.writing import Write


def _screen(mode: str) -> Callable[[], Screen[None]]:
    """Makes the screen of a mode; its module is imported only then."""

    def make() -> Screen[None]:
        module = import_module(f"tui.screens.{mode}")
        return cast("Screen[None]", getattr(module, f"{mode.capitalize()}Screen")())

    return make


class ControlCentre(OpensSoon, Acts, Tells, Asks, App[None]):
    """`ControlCentre(desk).run()`; `clock` gives Unix seconds (fixed in tests)."""

    TITLE = "ACCESS QA Control"
    COMMANDS = {InOrder}  # noqa: RUF012
    MODES = {place.mode: _screen(place.mode) for place in PLACES}  # noqa: RUF012
    DEFAULT_MODE = "pilot"
    BINDINGS: ClassVar[list[BindingType]] = bindings(EVERYWHERE)
    CSS = """
    DeskScreen { background: $background; }
    DeskScreen > #body { height: 1fr; }
    DeskScreen.-production > StatusStrip { background: $error-muted; }
    DeskScreen.-production > KeyBar { background: $error-muted; }
    DeskScreen.-production > StatusStrip:ansi { background: $surface; }
    DeskScreen.-production > KeyBar:ansi { background: $surface; }
    /* no room either: where a screen sets `display` itself, that goes before any rule */
    DeskScreen .-aside {
        display: none;
        width: 0 !important; min-width: 0 !important; max-width: 0 !important;
        height: 0 !important; min-height: 0 !important; max-height: 0 !important;
        margin: 0 !important; padding: 0 !important; border: none !important;
    }
    DeskScreen Pane.-dragged { border: round $accent; }
    DeskScreen .-alone { width: 1fr !important; height: 1fr !important; max-height: 100% !important; }
    SearchIcon { display: none; }
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

    def __init__(
        self,
        desk: Desk,
        *,
        clock: Callable[[], float] = time.time,
        preferences: Preferences | None = None,
    ) -> None:
        super().__init__()
        self.preferences = preferences or Preferences()
        self.keymap = self.preferences.keymap
        self.read_only = self.preferences.locked or self.preferences.settings.read_only
        self.sizes = splits.read(self.preferences.settings.panes)
        self.desk = guarded(desk, lambda: self.read_only)
        self.clock = clock
        self.list_writing: Write | None = None
        self.threads = Threads()
        self.overview: Overview | None = None
        self.crash: crash.Crash | None = None
        self._link_state = ""
        self._trail: list[str] = []
        self._before = ""
        when.use(self.preferences.settings.times, clock)
        self._begin_telling(notices.Notices(notices.file() if self.preferences.remember else None))
        for each in theme.THEMES:
            self.register_theme(each)
        self.theme = theme.chosen(self.preferences.settings.theme)
        if self.preferences.still:
            self.animation_level = "none"
        if self.keymap.own:
            self.set_keymap(self.keymap.as_textual())
        self.console.push_theme(theme.roles(self.current_theme))

    def on_mount(self) -> None:
        # The link's threads decrypt without pause while a log streams in: the screen gets its turn
        # five times sooner than by default (benchmarks/stall.py: worst 0.16 s → 0.05 to 0.06 s).
        sys.setswitchinterval(0.001)
        self.theme_changed_signal.subscribe(self, self._colours)
        self.set_interval(0.5, self._watch_link)
        self.set_interval(1.0, self.poll_overview)
        self.call_after_refresh(self._first_frame_is_up)
        self.begin_looking_ahead()

    def _first_frame_is_up(self) -> None:
        self.first_frame_is_up()
        wanted = self.preferences.settings.theme
        if wanted and wanted != theme.chosen(wanted):
            named = ", ".join(t.name for t, _ in theme.OFFERED)
            self.say(f"no theme {wanted!r}\ntry: one of {named}", title="your settings", bad=True)
        for problem in self.preferences.problems:
            self.say("\n".join(problem.lines()), title="your settings", bad=True)
        self.poll_overview()
        self.action_reconnect()
        self.offer_first_steps()

    # small values

    @property
    def production(self) -> bool:
        """Whether what is done here reaches users: the frame says so."""
        marked = self.desk.host_name in self.preferences.settings.production
        return marked or (self.overview is not None and self.overview.production)

    def poll_overview(self) -> None:
        self.ask(self.desk.overview, self._overview_came, group="overview", poll=True)

    def _overview_came(self, overview: Overview) -> None:
        if overview != self.overview:
            self.overview = overview
            self.frame_changed()

    def frame_changed(self) -> None:
        """Draw the strip, the keys and the frame's colour of the screen in sight again."""
        if isinstance(self.screen_stack[0], DeskScreen):
            self.screen_stack[0].overview_changed()

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
        elif link.state == "up":
            self.set_timer(3.0, self.settled)
            if before == "lost":
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

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self.preferences.still and hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    def write_times(self, way: str) -> None:
        """From now on write moments this way, those in sight too."""
        when.use(way, self.clock)
        for screen in self.screen_stack:
            if isinstance(screen, DeskScreen) and screen.is_mounted:
                screen.recolour()
                screen.reload()

    # going about

    def action_go(self, mode: str) -> None:
        """A number key or a click: the trail of drill-downs ends here."""
        if mode not in self.MODES:
            return
        self._trail.clear()
        self._leave_for(mode)

    def _leave_for(self, mode: str) -> Any:
        if mode != self.current_mode:
            self._before = self.current_mode
        return self.switch_mode(mode)

    def action_last_place(self) -> None:
        if self._before:
            self.action_go(self._before)
        else:
            self.say("This is the first screen so far.")

    async def drill(self, mode: str) -> Screen[Any]:
        """Go to a screen from another one, so that esc leads back; it is ready to be used."""
        if mode != self.current_mode:
            self._trail.append(self.current_mode)
            await self._leave_for(mode)
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

    async def jump(self, mode: str, word: str, name: str) -> None:
        """Do what was typed into the palette (tui.jumps), so that esc leads back here."""
        if word == "job":
            await self.open_job(name)
        elif isinstance(screen := await self.drill(mode), DeskScreen):
            screen.jump(word, name)

    def action_command_palette(self) -> None:
        from textual.command import CommandPalette

        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(id="--command-palette", placeholder=INVITATION))

    def type_command(self, begun: str) -> None:
        """The palette again, with the first word in it."""
        from textual.command import CommandInput

        def type_it() -> None:
            for field in self.screen.query(CommandInput):  # none if it was left meanwhile
                field.value = begun
                field.cursor_position = len(begun)

        self.action_command_palette()
        self.call_after_refresh(type_it)

    async def action_back(self) -> None:
        screen = self.screen
        if isinstance(screen, DeskScreen):
            if alone.put_back(screen):
                screen.give_sizes()
                return
            if screen.go_back():
                return
        if self._trail:
            self.switch_mode(self._trail.pop())

    # the route

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

    # the end

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

    def _handle_exception(self, error: Exception) -> None:
        """Textual's last resort: the app ends. Its own trace would show the values of variables."""
        self.crash = crash.record(error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        self.bell()
        self._close_messages_no_wait()


def run(desk: Desk, preferences: Preferences | None = None) -> int:
    """Show the app until the operator leaves; the exit code. Closes the desk, but waits only shortly."""
    gc.disable()  # until the first frame
    try:
        while True:
            app = ControlCentre(desk, preferences=preferences)
            try:
                app.run()
            except Exception as error:  # outside of Textual's own care
                app.crash = crash.record(error)
            if app.crash is None:
                return 0
            print(crash.screen(app.crash, desk.host_name), file=sys.stderr, flush=True)
            if not crash.asks_to_reopen():
                return 1
    finally:
        closing = threading.Thread(target=desk.close, daemon=True)
        closing.start()
        closing.join(3)
