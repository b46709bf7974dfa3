"""Text that is told again and again, mostly the same: the screen is laid out anew only if it must be."""

from __future__ import annotations

from textual.visual import VisualType
from textual.widget import Widget
from textual.widgets import Static


class Steady(Static):
    """A Static whose width its place settles. Laying out a whole screen costs more than drawing what
    changed, so that happens only where the new text needs another height."""

    _told: tuple[VisualType, str] | None = None  # and in which theme

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        told = (content, self.app.theme)
        if told == self._told and self.size.width:
            return
        self._told = told
        super().update(content, layout=False)
        if layout:
            lay_out_if_needed(self)


def lay_out_if_needed(widget: Widget) -> None:
    """Have the screen laid out again if what `widget` now says needs more or fewer rows than it has."""
    width, height = widget.size
    asked = widget.styles.height
    if not widget.display or (width and asked is not None and not asked.is_auto):
        return
    if (
        not width
        or widget.get_content_height(widget.container_size, widget.app.size, width) != height
    ):
        widget.refresh(layout=True)
