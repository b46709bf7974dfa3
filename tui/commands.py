"""The palette: every key of the current screen, every screen, and what is on the current screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from tui import clean
from tui.bindings import EVERYWHERE, Key

if TYPE_CHECKING:
    from tui.app import ControlCentre


NOT_LISTED = frozenset({"command_palette", "back", "focus_next"})


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
                if not hasattr(screen, f"action_{key.action.partition('(')[0]}"):
                    continue  # a key of a pane: it needs the focus there
                act = partial(app.run_action, key.action, screen)
                yield f"{screen.place.name}: {key.label}", _about(key), act
        for key in app.keymap.keys(EVERYWHERE):
            if key.action not in NOT_LISTED:
                place = key.action.startswith("go(")
                name = f"Go to {key.label}" if place else key.label.capitalize()
                yield name, _about(key), partial(app.run_action, key.action, app)
        yield "First steps", "What to do first, and in which order", app.action_first_steps
        yield "Settings", "Every value of this desk, and where it was found", app.action_settings
        yield "Screenshot", "Save the screen as SVG", app.action_screenshot
        yield from screen_finds(screen)

    async def discover(self) -> Hits:
        for name, help_text, call in self._commands():
            yield DiscoveryHit(Content(name), call, text=name, help=escape(help_text))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_text, call in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, Content(name), call, text=name, help=escape(help_text))


def _about(key: Key) -> str:
    """What a key does, how it is pressed, and its `qa` command."""
    return f"{key.help}  ({' · '.join(x for x in (key.written, key.command) if x)})"


def screen_finds(screen: object) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Rows of the screen that can be opened by name: jobs, versions, checklist items."""
    finds = getattr(screen, "finds", None)
    for name, help_text, call in finds() if finds is not None else ():
        yield clean.line(name, 80), clean.line(help_text, 120), call
