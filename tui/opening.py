"""What makes the first look at a screen quick: imported ahead, its styles read ahead, styled once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual.app import ScreenStackError

from tui.bindings import PLACES

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

BETWEEN_S = 0.02
LOOK_AHEAD_S = 0.6  # after the first frame, while the operator reads it
NEW = -1  # how often a screen was styled that was not shown yet
SCREENS = Path(__file__).parent / "screens"
STATISTICS = ("core.evaluation.rejudge", "scipy.stats")
"""What the first judgement of a gate would import, a second long, while keys are pressed."""


class OpensSoon:
    """Mixin of the app."""

    _styled: tuple[Mapping[str, str], str] | None = None  # with which colours

    def begin_looking_ahead(self) -> None:
        cast("App[Any]", self).set_timer(LOOK_AHEAD_S, self._look_ahead)

    def _look_ahead(self) -> None:
        modules = [*(f"tui.screens.{place.mode}" for place in PLACES), *STATISTICS]
        threading.Thread(target=lambda: list(map(import_module, modules)), daemon=True).start()
        self._read_styles([SCREENS / f"{place.mode}.tcss" for place in PLACES])

    def _read_styles(self, left: Sequence[Path]) -> None:
        """One file at a time: each is some milliseconds of parsing."""
        app = cast("App[Any]", self)
        sheet = app.stylesheet
        for at, path in enumerate(left, 1):
            if path.is_file() and not sheet.has_source(str(path), ""):
                sheet.read(path)
                sheet.parse()  # read alone leaves a table of the old rules: the next widget matches none
                app.set_timer(BETWEEN_S, partial(self._read_styles, left[at:]))
                return

    def first_frame_is_up(self) -> None:
        """What start-up made stays; collecting it in between costs a fifth of the start. From here on
        full collections are six times rarer than usual: each holds the screen up by some 40 ms, and
        if they are rarer still, by as much longer."""
        gc.freeze()
        gc.set_threshold(2000, 20, 10)
        gc.enable()

    def settled(self) -> None:
        """What connecting or a new screen loaded stays, and is not looked through again."""
        gc.collect(1)
        gc.freeze()

    def refresh_css(self, animate: bool = True) -> None:
        """Textual asks for it twice at the first look at a screen, and would parse every rule again
        and style the screen that is left; a new screen's widgets get their styles when they come."""
        app = cast("App[Any]", self)
        colours = (app.get_css_variables(), app.theme)
        try:
            screen = app.screen
        except ScreenStackError:
            screen = None
        known = screen is not None and screen._css_update_count in (NEW, app._css_update_count)
        if colours != self._styled or not known:
            self._styled = colours
            super().refresh_css(animate)  # type: ignore[misc]
        elif screen is not None and screen._css_update_count == NEW:
            app.stylesheet.update(screen, animate=animate)
            screen._css_update_count = app._css_update_count


class StyledOnce:
    """Mixin of the screens: what has its styles is not styled again for coming into sight.

    Textual styles a new screen's widgets when they come, at two resumes, and for its width: four times,
    and at each later look once more.
    """

    def take_width(self) -> None:
        """Have the class of the app's width before there is a widget that depends on it."""
        here = cast("Screen[Any]", self)
        points = sorted(here.HORIZONTAL_BREAKPOINTS or ())
        fit = [name for least, name in points if here.app.size.width >= least][-1:]
        here.update_classes({name: name in fit for _, name in points}, animate=False)

    def _on_screen_resume(self, event: events.ScreenResume) -> None:
        here = cast("Screen[Any]", self)
        if here._css_update_count == here.app._css_update_count:
            event.refresh_styles = False
