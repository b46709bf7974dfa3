"""Dragging the border between two panes, and moving it by keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import events
from textual.errors import NoWidget

from tui import splits
from tui.alone import ALONE
from tui.splits import Seam, Side
from tui.widgets.pane import Pane

if TYPE_CHECKING:
    from tui.screens.base import DeskScreen

_NONE = (None, None)


class Sized:
    """Mixin of the screens with panes."""

    _dragged: Seam | None = None
    _held: Pane | None = None  # where the mouse took it
    _grip = 0
    _hovered: Seam | None = None
    _moved = False

    @property
    def _here(self) -> DeskScreen:
        return cast("DeskScreen", self)

    def give_sizes(self) -> None:
        """Every pane as large as the operator left it; one that is alone has all the room."""
        here = self._here
        sizes = {} if here.query(f".{ALONE}") else here.centre.sizes
        splits.apply(here, sizes, here.MODE, not here.wide)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        pane, seam = self._under(event)
        if pane is None or seam is None or event.button != 1:
            return
        event.stop()
        self._dragged, self._held, self._moved = seam, pane, False
        self._grip = self._place(event, seam) - seam.at()  # it has two cells to be held at
        pane.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        seam = self._dragged
        if seam is None:
            self._light(self._under(event)[1])
            return
        self._light(seam)
        if self._move_seam(seam, self._place(event, seam) - self._grip - seam.at()):
            self._moved = True

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragged is None:
            return
        if self._held is not None:
            self._held.release_mouse()
        self._dragged = self._held = None
        self._light(None)
        if self._moved:
            self._here.centre.keep_sizes()

    def on_click(self, event: events.Click) -> None:
        """Two clicks on a border: both panes have the program's own sizes again."""
        seam = self._under(event)[1] if event.chain == 2 else None
        if seam is not None:
            self.forget_sizes(seam)

    def _under(self, event: events.MouseEvent) -> tuple[Pane | None, Seam | None]:
        """The frame under the mouse and the border it is part of; what is inside a frame is none."""
        x, y = event.screen_x, event.screen_y
        try:
            widget, _ = self._here.get_widget_at(x, y)
        except NoWidget:
            return None, None
        return (widget, splits.seam_at(self._here, x, y)) if isinstance(widget, Pane) else _NONE

    @staticmethod
    def _place(event: events.MouseEvent, seam: Seam) -> int:
        return event.screen_x if seam.axis == "width" else event.screen_y

    def _light(self, seam: Seam | None) -> None:
        before, self._hovered = self._hovered, seam
        if before == seam:
            return
        for each, on in ((before, False), (seam, True)):
            for pane in () if each is None else (each.before, each.after):
                pane.set_class(on, splits.DRAGGED)

    # by keys

    def move_border(self, way: Side) -> str | None:
        """Move the border beside the focused pane; a reason if it cannot be moved."""
        here = self._here
        seam = here.focused and splits.seam_beside(here, here.focused, way)
        if not seam:
            beside = "beside" if way in ("left", "right") else "above or below"
            return f"No pane stands {beside} this one."
        step = splits.STEP[seam.axis]
        if not self._move_seam(seam, step if way in ("right", "down") else -step):
            return "The pane there is as small as it can be."
        here.centre.keep_sizes()
        return None

    def _move_seam(self, seam: Seam, by: int) -> bool:
        here = self._here
        moved = splits.move(here, seam, by, here.centre.sizes, here.MODE, not here.wide)
        if moved:
            here.call_after_refresh(here.redraw)
        return moved

    def forget_sizes(self, seam: Seam | None = None) -> None:
        """The program's own sizes, of all panes or of those at a border."""
        here = self._here
        only = None
        if seam is not None:
            only = next((row for row in splits.panes(here) if seam.before in row), None)
        splits.forget(here.centre.sizes, here.MODE, not here.wide, only)
        self.give_sizes()
        here.call_after_refresh(here.redraw)
        here.centre.keep_sizes()
