"""A letter on every pane that takes keys: pressing it goes there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Size
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.present.words import text
from tui.widgets.pane import Pane

LETTERS = "asdfghjkl"  # where the fingers rest
LABEL = 3  # cells


def places(screen: Screen[Any]) -> list[tuple[Widget, Offset]]:
    """What takes keys and is in sight, with the cell its letter stands on: from the top left on."""
    seen: dict[Offset, Widget] = {}
    for widget in screen.focus_chain:
        at = _corner(widget)
        if at is not None:
            seen.setdefault(at, widget)
    ordered = sorted(seen.items(), key=lambda each: (each[0].y, each[0].x))
    return [(widget, at) for at, widget in ordered][: len(LETTERS)]


def _corner(widget: Widget) -> Offset | None:
    """On the frame around the widget, else on the widget itself."""
    pane = next((w for w in widget.ancestors_with_self if isinstance(w, Pane)), None)
    framed = pane is not None and len([w for w in _takers(pane) if w.region.area]) < 2
    region = pane.region if pane is not None and framed else widget.region
    if not region.area:
        return None
    return region.offset + (Offset(2, 0) if framed else Offset(0, 0))


def _takers(pane: Pane) -> Iterator[Widget]:
    return (w for w in pane.query("*").results(Widget) if w.focusable)


class Letter(Static, can_focus=False):
    """One letter; a click on it is as good as its key."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Letter {
        position: absolute;
        width: 3;
        height: 1;
        background: $accent;
        color: $background;
        text-style: bold;
    }
    """

    def __init__(self, letter: str, at: Offset) -> None:
        super().__init__(text(f" {letter} "))
        self.letter = letter
        self.styles.offset = (at.x, at.y)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        cast("HopScreen", self.screen).go(self.letter)


class HopScreen(ModalScreen[Widget]):
    """Answers with what was chosen. A number goes to its screen, as ever; all else ends it."""

    DEFAULT_CSS = """
    HopScreen { background: $background 25%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, found: Sequence[tuple[Widget, Offset]]) -> None:
        super().__init__()
        self._size_drawn: Size | None = None
        self._found = {
            letter: (widget, at) for letter, (widget, at) in zip(LETTERS, found, strict=False)
        }

    def compose(self) -> ComposeResult:
        for letter, (_, at) in self._found.items():
            yield Letter(letter, at)

    def go(self, letter: str) -> None:
        self.dismiss(self._found[letter][0])

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if event.character in self._found:
            self.go(event.character)
            return
        self.dismiss(None)
        if event.character is not None and event.character.isdigit():
            self.app.simulate_key(event.character)

    def on_click(self) -> None:
        self.dismiss(None)

    def on_resize(self, event: events.Resize) -> None:
        """The first size is its own; with another one the letters stand in the wrong places."""
        before, self._size_drawn = self._size_drawn, event.size
        if before is not None and before != event.size:
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)
