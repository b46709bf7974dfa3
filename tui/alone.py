"""One pane alone on its screen, and all of them again.

Textual's own maximising covers the status strip and the keys too; here only what stands beside the
pane is put away, level by level up to the screen's body.
"""

from __future__ import annotations

from typing import Any

from textual.screen import Screen
from textual.widget import Widget

# classes of widgets; the app's CSS hides the first and gives the second all the room
ASIDE = "-aside"
ALONE = "-alone"


def put_back(screen: Screen[Any]) -> bool:
    """Show every pane again; False if none was away."""
    away = screen.query(f".{ASIDE}")
    found = bool(away)
    away.remove_class(ASIDE)
    screen.query(f".{ALONE}").remove_class(ALONE)
    return found


def show(widget: Widget) -> bool:
    """Leave only the pane that holds `widget`; False if nothing stands beside it."""
    levels: list[Widget] = []
    at: object = widget
    while isinstance(at, Widget) and at.id != "body":
        levels.append(at)
        at = at.parent
    if not isinstance(at, Widget):
        return False
    beside = [
        other
        for level in levels
        if isinstance(level.parent, Widget)
        for other in level.parent.children
        if other is not level and other.display
    ]
    for other in beside:
        other.add_class(ASIDE)
    for level in levels if beside else ():
        level.add_class(ALONE)
    return bool(beside)
