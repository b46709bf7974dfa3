"""What the app's own keys do, apart from going about: help, notices, handover, colours, read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from core.errors import QAError
from tui import alone, outside, splits
from tui.bindings import EVERYWHERE, LISTS
from tui.present import when
from tui.screens.base import DeskScreen

if TYPE_CHECKING:
    from tui.app import ControlCentre
    from tui.desk.api_host import Setting


class Acts:
    """Mixin of the app."""

    @property
    def _centre(self) -> ControlCentre:
        return cast("ControlCentre", self)

    def key(self, action: str) -> str:
        """How the operator writes one of the app's own keys."""
        rows = self._centre.keymap.keys(EVERYWHERE)
        return next((k.written for k in rows if k.action == action), action)

    def action_help(self) -> None:
        from tui.present import frame
        from tui.widgets.confirm import Page

        app = self._centre
        if isinstance(app.screen, DeskScreen):
            keys = app.keymap.keys
            around = () if app.screen.focused is None else app.screen.focused.ancestors_with_self
            inside = next((w.OWN_KEYS for w in around if hasattr(w, "OWN_KEYS")), None)
            body = frame.help_page(
                app.screen.place,
                pane=None if inside is None else (inside[0], keys(inside[1])),
                lists=keys(LISTS),
                everywhere=keys(EVERYWHERE),
                width=min(90, app.size.width * 96 // 100 - 6),
            )
            app.push_screen(Page("Help", body))

    # notices

    def action_notices(self) -> None:
        from tui.widgets.notice_page import NoticePage

        if isinstance(self._centre.screen, DeskScreen):
            self._centre.clear_notifications()  # they are on the page, and would lie over it
            self._centre.push_screen(NoticePage(self._centre.notices))

    def action_copy(self) -> None:
        app = self._centre
        found = app.screen.copyable() if isinstance(app.screen, DeskScreen) else None
        if found is None:
            app.say("Nothing is highlighted that could be copied.")
        else:
            app.copy(found[1], found[0])

    def action_export(self) -> None:
        """Write the focused list to a file; a list is what has `shown`, or all of it as `whole`."""
        from tui import exporting
        from tui.widgets import writing

        app, focused = self._centre, self._centre.screen.focused
        name = getattr(app.screen, "MODE", "")
        shown, whole = getattr(focused, "shown", None), getattr(focused, "whole", None)
        if not name or (shown is None and whole is None):
            app.say("No list is in focus that could be written to a file: tab goes to one.")
            return
        if whole is not None:
            writing.begin(app, name, whole())
            return
        assert shown is not None
        found = shown()
        app.ask(
            lambda: exporting.keep(found, name, app.clock()),
            lambda path: app.say(f"{len(found.rows):,} rows written: {path}"),
            group="export",
        )

    def action_open_file(self) -> None:
        app = self._centre
        found = app.screen.file_behind() if isinstance(app.screen, DeskScreen) else None
        if found is None:
            app.say("No file of this machine is behind what is highlighted.")
        elif app.read_only:
            outside.view(app, outside.EDITOR, *found)
        else:
            outside.edit(app, *found)

    def action_alone(self) -> None:
        app = self._centre
        screen = app.screen
        if not isinstance(screen, DeskScreen):
            return
        if not alone.put_back(screen) and (
            screen.focused is None or not alone.show(screen.focused)
        ):
            app.say("Nothing stands beside this pane.")
        screen.give_sizes()

    def action_hop(self) -> None:
        """A letter on every pane; pressing it goes there."""
        from tui.widgets.hop import HopScreen, places

        app, screen = self._centre, self._centre.screen
        if isinstance(screen, DeskScreen):
            app.push_screen(HopScreen(places(screen)), lambda to: to and to.focus())

    def action_border(self, way: splits.Side) -> None:
        """Move the border beside the pane in focus."""
        screen = self._centre.screen
        if isinstance(screen, DeskScreen) and (why := screen.move_border(way)):
            self._centre.say(why)

    def action_borders(self) -> None:
        screen = self._centre.screen
        if isinstance(screen, DeskScreen):
            screen.forget_sizes()
            self._centre.say("The panes have their own sizes again.")

    def keep_sizes(self) -> None:
        """Into the operator's settings, for the next start."""
        app = self._centre
        if app.preferences.remember:
            self.store_setting("panes", lambda: splits.lines(app.sizes))

    def action_times(self) -> None:
        app = self._centre
        app.write_times(when.following(when.way()))
        app.say(f"Times are shown as {when.NAMED[when.way()]}.")
        if app.preferences.remember:
            app.store_setting("times", when.way())

    def action_settings(self) -> None:
        """Every value that holds for this desk, and where it was found."""
        from functools import partial

        from tui import origins
        from tui.present import host
        from tui.widgets.confirm import Page

        app = self._centre
        now = {
            "host": app.desk.host_name,
            "theme": app.theme,
            "read_only": "yes" if app.read_only else "no",
            "times": when.way(),
        }

        def show(rows: list[Setting]) -> None:
            app.push_screen(Page("Settings", partial(host.settings, rows)))

        app.ask(lambda: origins.told(app.preferences.given, now), show, group="settings")

    # handover

    def action_handover(self) -> None:
        """Write the note of this shift, then show it."""
        from tui import handover

        app = self._centre
        said = [n for n in app.notices.session if n.severity == "error"]

        def write() -> tuple[str, str]:
            since = handover.last_written()
            note = handover.note(app.desk.handover(since), problems=said)
            return note, str(handover.keep(note, app.clock()))

        def show(found: tuple[str, str]) -> None:
            from tui.widgets.handover_page import HandoverPage

            app.push_screen(HandoverPage(*found))

        app.ask(write, show, group="handover")

    # read-only mode

    def action_read_only(self) -> None:
        app = self._centre
        if not app.read_only:
            self._set_read_only(True)
            app.say(
                f"Nothing can be changed now. {self.key('read_only')} ends it.", title="read-only"
            )
        elif app.preferences.locked:
            app.notify(
                "the app was started with --read-only; start it without to change things",
                severity="warning",
                markup=False,
            )
        else:
            from tui.present.words import text
            from tui.widgets.confirm import Confirm

            body = text("From then on keys change the registry and the host again.")
            dialog = Confirm("End read-only mode?", body, verb="ends it", danger=False)
            app.push_screen(dialog, lambda yes: self._set_read_only(not yes))

    def _set_read_only(self, on: bool) -> None:
        self._centre.read_only = on
        self._centre.frame_changed()

    # colours

    def action_theme(self) -> None:
        from tui.widgets.theme_choice import ThemeChoice

        self._centre.push_screen(ThemeChoice(self._centre.theme), self._theme_chosen)

    action_change_theme = action_theme

    def _theme_chosen(self, name: str | None) -> None:
        if name is not None and self._centre.preferences.remember:
            self.store_setting("theme", name)

    def store_setting(self, name: str, value: str | Callable[[], list[str]]) -> None:
        """Into the operator's settings file; a failure is only told."""
        from tui import settings_file

        app = self._centre
        app.ask(
            lambda: settings_file.store(name, value),
            lambda _: None,
            group="settings",
            failed=lambda problem: app.report(problem, quietly=True),
        )

    # first steps

    def offer_first_steps(self) -> None:
        """Show the guide where there is nothing yet, until it was put away once."""
        from tui import first_run

        app = self._centre
        if not (app.preferences.remember and first_run.wanted()):
            return

        def nothing_yet() -> bool:
            return not app.desk.versions() and not app.desk.jobs()

        def offer(empty: bool) -> None:
            if empty and len(app.screen_stack) == 1:
                self.action_first_steps()

        app.ask(nothing_yet, offer, group="first-steps", failed=_leave_it)

    def action_first_steps(self) -> None:
        from tui import first_run
        from tui.widgets.confirm import Page

        app = self._centre
        page = Page("First steps", first_run.guide(app.desk.host_name))
        app.push_screen(page, lambda _: first_run.seen() if app.preferences.remember else None)


def _leave_it(problem: QAError) -> None:
    """A registry that cannot be read says so elsewhere."""
