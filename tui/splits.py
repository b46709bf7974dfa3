"""Panes are as large as the operator makes them: the border between two is moved by mouse or keys.

A size is kept as a share among its neighbours, so that another size of the terminal keeps the look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from textual.screen import Screen
from textual.widget import Widget

from tui.widgets.pane import Pane

Side = Literal["left", "right", "up", "down"]
Sizes = MutableMapping[str, int]  # "train.left.width", "data.about.height@narrow" → share

LEAST = {"width": 14, "height": 3}  # cells; in less a pane shows nothing
STEP = {"width": 4, "height": 1}
DRAGGED = "-dragged"
WRITTEN = re.compile(r"([a-z]+\.[a-z0-9-]+\.(?:width|height)(?:@narrow)?) ([1-9]\d{0,3})")


@dataclass(frozen=True, slots=True)
class Seam:
    """The border between two panes. axis: what of them changes when it is moved."""

    before: Widget
    after: Widget
    axis: Literal["width", "height"]

    def holds(self, x: int, y: int) -> bool:
        """Whether a cell of the screen lies on it: the last of one pane or the first of the other."""
        a, b = self.before.region, self.after.region
        if self.axis == "width":
            return x in (a.right - 1, b.x) and a.y <= y < a.bottom
        return y in (a.bottom - 1, b.y) and a.x <= x < a.right

    def at(self) -> int:
        """Where it lies: a column or a row of the screen."""
        a = self.before.region
        return (a.right if self.axis == "width" else a.bottom) - 1


def read(lines: Iterable[str]) -> dict[str, int]:
    """Sizes as the settings file has them; what is none is left out."""
    found = (WRITTEN.fullmatch(line.strip()) for line in lines)
    return {m[1]: int(m[2]) for m in found if m is not None}


def lines(sizes: Mapping[str, int]) -> list[str]:
    """Sizes for the settings file."""
    return [f"{name} {size}" for name, size in sorted(sizes.items())]


def panes(screen: Screen[Any]) -> Iterator[list[Widget]]:
    """Panes, and columns of them, that stand beside or below each other; also those not in sight."""
    for body in screen.query("#body"):
        left = [body]
        while left:
            here = left.pop()
            inside = [w for w in here.children if _is_pane(w)]
            if len(inside) > 1:
                yield inside
            left += [w for w in inside if not isinstance(w, Pane)]


def _is_pane(widget: Widget) -> bool:
    return bool(widget.id) and (isinstance(widget, Pane) or bool(widget.query(Pane)))


def seams(screen: Screen[Any]) -> Iterator[Seam]:
    """Every border that can be moved now."""
    for row in panes(screen):
        shown = [w for w in row if w.display and w.region.area]
        for before, after in pairwise(shown):
            if before.region.right <= after.region.x:
                yield Seam(before, after, "width")
            elif before.region.bottom <= after.region.y:
                yield Seam(before, after, "height")


def seam_at(screen: Screen[Any], x: int, y: int) -> Seam | None:
    return next((s for s in seams(screen) if s.holds(x, y)), None)


def seam_beside(screen: Screen[Any], focused: Widget, way: Side) -> Seam | None:
    """The border that moves when the focused pane is to change that way: the one behind it, at the
    edge of the screen the one before it."""
    axis = "width" if way in ("left", "right") else "height"
    found = [s for s in seams(screen) if s.axis == axis]
    levels = [focused, *(w for w in focused.ancestors if isinstance(w, Widget))]
    for level in levels:
        for side in ("before", "after"):
            for seam in found:
                if getattr(seam, side) is level:
                    return seam
    return None


def move(screen: Screen[Any], seam: Seam, by: int, sizes: Sizes, mode: str, narrow: bool) -> bool:
    """Move a border by cells as far as both panes keep their least size; False if it stays."""
    least, axis = LEAST[seam.axis], seam.axis
    before, after = (getattr(w.outer_size, axis) for w in (seam.before, seam.after))
    by = max(least - before, min(by, after - least))
    if before + by < least or not by:
        return False
    row = next(r for r in panes(screen) if seam.before in r)
    for widget in row:
        size = getattr(widget.outer_size, axis)
        if widget is seam.before:
            size += by
        elif widget is seam.after:
            size -= by
        elif not size or _fits_its_text(widget, axis):
            continue
        sizes[name(mode, widget, axis, narrow)] = size
    apply(screen, sizes, mode, narrow)
    return True


def _fits_its_text(widget: Widget, axis: str) -> bool:
    asked = getattr(widget.styles, axis)
    return asked is not None and asked.is_auto


def forget(sizes: Sizes, mode: str, narrow: bool, only: Iterable[Widget] | None = None) -> None:
    """The program's own sizes again: of a whole screen, or of some panes."""
    ends = "@narrow" if narrow else ("width", "height")
    ids = None if only is None else {w.id for w in only}
    for key in [k for k in sizes if k.startswith(f"{mode}.") and k.endswith(ends)]:
        if ids is None or key.split(".")[1] in ids:
            del sizes[key]


def name(mode: str, widget: Widget, axis: str, narrow: bool) -> str:
    return f"{mode}.{widget.id}.{axis}{'@narrow' if narrow else ''}"


def apply(screen: Screen[Any], sizes: Mapping[str, int], mode: str, narrow: bool) -> None:
    """Give every pane of a screen its size; the program's own where none is kept."""
    for row in panes(screen):
        for widget in row:
            for axis in ("width", "height"):
                _size(widget, axis, sizes.get(name(mode, widget, axis, narrow)))


def _size(widget: Widget, axis: str, share: int | None) -> None:
    styles = widget.styles.inline
    rules = (axis, f"max_{axis}")
    if share is not None:
        wanted = f"{share}fr"
        if not styles.has_rule(axis) or str(getattr(styles, axis)) != wanted:
            setattr(styles, axis, wanted)
            setattr(styles, f"max_{axis}", "100%")
        return
    for rule in rules:
        if styles.has_rule(rule):  # type: ignore[arg-type]
            styles.clear_rule(rule)  # type: ignore[arg-type]
            widget.refresh(layout=True)
