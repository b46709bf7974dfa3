"""Rows, header and placeholders as strips."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.widgets.pull_table import columns
from tui.widgets.pull_table.columns import GAP, Piece

MARK = "▸ "


class Painter:
    """style: a role's style in the theme of now.  base: what lies under everything."""

    def __init__(self, base: Style, style: Callable[[str], Style]) -> None:
        self.base = base
        self._style = style
        self._known: dict[tuple[str, Style], Style] = {}

    def strip(self, parts: Sequence[Piece], width: int, back: Style | None = None) -> Strip:
        """One line of exactly `width` cells."""
        under = self.base if back is None else self.base + back
        strip = Strip([Segment(words, self._of(role, under)) for words, role in parts])
        return strip.adjust_cell_length(width, under)

    def _of(self, role: str, under: Style) -> Style:
        if not role:
            return under
        known = self._known.get((role, under))
        if known is None:
            known = self._known[role, under] = under + self._style(role)
        return known


def laid_out(
    cells: Sequence[Sequence[Piece]], widths: Sequence[int], rights: Sequence[bool]
) -> list[Piece]:
    """The cells of a row side by side; a column of width 0 is left out."""
    out: list[Piece] = []
    for cell, room, right in zip(cells, widths, rights, strict=True):
        if room:
            if out:
                out.append((" " * GAP, ""))
            out += columns.cut(cell, room, right=right)
    return out


def spans(widths: Sequence[int]) -> list[tuple[int, int]]:
    """(first cell, cell after the last) of each column; the gap counts to the column before it."""
    out, at = [], 0
    for room in widths:
        end = at + room + GAP if room else at
        out.append((at, end))
        at = end
    return out
