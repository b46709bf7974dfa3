"""The palette: every key of the current screen, every screen, and what is on the current screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from tui import clean
from tui.bindings import PLACES

if TYPE_CHECKING:
    from tui.app import ControlCentre


class DeskCommands(Provider):
    """Commands from the table of keys.

    Names come cleaned and as Content; the help line is read as markup by the palette, so it is
    escaped.
    """

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        from tui.screens.base import DeskScreen

        app = cast("ControlCentre", self.app)
        screen = self.screen
        if isinstance(screen, DeskScreen):
            for key in screen.place.keys:
                name = f"{screen.place.name}: {key.label}"
                yield name, f"{key.help}  ({key.written})", self._press(screen, key.action)
            yield from screen_finds(screen)
        for place in PLACES:
            yield f"Go to {place.name}", place.purpose, partial(app.action_go, place.mode)
        yield "Theme", "Choose the colours", app.action_change_theme
        yield "Screenshot", "Save the screen as SVG", app.action_screenshot
        yield "Quit", "Leave. A running job goes on without the app  (q)", app.action_quit
        yield "Help: keys and signs", "What every key does here  (?)", app.action_help
        yield "Reconnect", "Open the route to the host again  (ctrl+r)", app.action_reconnect

    @staticmethod
    def _press(screen: object, action: str) -> Callable[[], object]:
        return cast("Callable[[], object]", getattr(screen, f"action_{action}"))

    async def discover(self) -> Hits:
        for name, help_text, call in self._commands():
            yield DiscoveryHit(Content(name), call, text=name, help=escape(help_text))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_text, call in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, Content(name), call, text=name, help=escape(help_text))


def screen_finds(screen: object) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Rows of the screen that can be opened by name: jobs, versions, checklist items."""
    finds = getattr(screen, "finds", None)
    for name, help_text, call in finds() if finds is not None else ():
        yield clean.line(name, 80), clean.line(help_text, 120), call
