"""What is around every screen: status strip, tabs, key bar. They pull, and draw pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual import events
from textual.widget import Widget

from tui.bindings import EVERYWHERE
from tui.present import frame, strip

if TYPE_CHECKING:
    from tui.app import ControlCentre
    from tui.screens.base import DeskScreen


class _Row(Widget, can_focus=False):
    DEFAULT_CSS = """
    _Row { height: 1; width: 1fr; }
    """
    ALLOW_SELECT = False

    async def on_click(self, event: events.Click) -> None:
        """A key of the key bar is pressed; other parts lead to where they are shown in full."""
        key, action = event.style.meta.get("press"), event.style.meta.get("act")
        if key:
            self.app.simulate_key(key)
        elif action:
            await self.app.run_action(action)

    @property
    def centre(self) -> ControlCentre:
        return self.app  # type: ignore[return-value]

    @property
    def desk_screen(self) -> DeskScreen:
        return self.screen  # type: ignore[return-value]


class StatusStrip(_Row):
    """Link, load, job, what is live; asked for twice a second."""

    DEFAULT_CSS = """
    StatusStrip { background: $surface; }
    """

    def on_mount(self) -> None:
        self.set_interval(0.5, self.refresh)

    def render(self) -> Text:
        desk = self.centre.desk
        return strip.row(
            self.size.width,
            host=desk.host_name,
            link=desk.link(),
            gauge=desk.reading(),
            overview=self.centre.overview,
            production=self.centre.production,
            read_only=self.centre.read_only,
            reconnect=self.centre.key("reconnect"),
        )


class TabRow(_Row):
    """The screens there are, and what is open."""

    DEFAULT_CSS = """
    TabRow { background: $background; }
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.crumb = ""

    def show(self, crumb: str) -> None:
        if crumb != self.crumb:
            self.crumb = crumb
            self.refresh()

    def render(self) -> Text:
        return frame.tabs(self.size.width, self.mode, self.crumb)


class KeyBar(_Row):
    """The keys of the screen; dim where they cannot be used now."""

    DEFAULT_CSS = """
    KeyBar { background: $surface; }
    """

    def render(self) -> Text:
        screen = self.desk_screen
        return frame.key_bar(
            self.size.width,
            screen.place.keys,
            lambda key: screen.blocked(key) is not None,
            self.centre.keymap.keys(EVERYWHERE),
        )
