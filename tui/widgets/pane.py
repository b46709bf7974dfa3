"""A framed part of a screen with a title that is never read as markup."""

from __future__ import annotations

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content


class Pane(Vertical):
    """Frame, title at the top left, a short state at the bottom right."""

    DEFAULT_CSS = """
    Pane {
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        padding: 0 1;
        &:focus-within { border: round $border; border-title-color: $foreground; }
    }
    """

    _named: Text | str = ""
    _noted = ""

    def title(self, value: Text | str) -> None:
        self._named = value
        self._write_title()

    def note(self, value: str) -> None:
        """Behind the title: how much of what is in it is shown."""
        if value != self._noted:
            self._noted = value
            self._write_title()

    def _write_title(self) -> None:
        named = self._content(self._named)
        self.border_title = Content.assemble(named, " · ", self._noted) if self._noted else named

    def subtitle(self, value: Text | str) -> None:
        self.border_subtitle = self._content(value)

    def _content(self, value: Text | str) -> Content:
        if isinstance(value, str):
            return Content(value)
        return Content.from_rich_text(value, console=self.app.console)
