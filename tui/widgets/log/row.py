"""One row of the log view as pieces of styled text: gutter, line, bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.widgets.log import levels as log_levels
from tui.widgets.log import paint as log_paint
from tui.widgets.log.paint import Drawn, Palette, Piece

LETTERS = "abcdefgh"  # names of the logs in a merged view


@dataclass(frozen=True, slots=True)
class Entry:
    """What one row of the screen shows. number: None while the lines are still being counted.
    begin, end: of the characters, where the line is wrapped.  more: the line goes on, but not here.
    """

    number: int | None
    drawn: Drawn
    source: int = 0
    begin: int = 0
    end: int | None = None
    more: bool = False


def line(
    entry: Entry, hits: Sequence[tuple[int, int]], column: int, width: int, palette: Palette
) -> list[Piece]:
    """The text of the row in exactly `width` cells, with `hits` marked."""
    drawn = entry.drawn
    pieces: Sequence[Piece] = drawn.pieces
    if hits:
        pieces = log_paint.marked(pieces, hits, palette.hit)
    if entry.end is None:
        out = log_paint.window(pieces, column - drawn.origin, width)
        more = drawn.width > column + width
    else:
        out = log_paint.sliced(pieces, entry.begin, entry.end)
        more = entry.more
    if more:
        out = log_paint.window(out, 0, width - 1)
    used = log_paint.cells(out)
    if used < width - more:
        out.append((" " * (width - more - used), Style()))
    if more:
        out.append(("›", palette.dim))
    return out


def gutter(
    entry: Entry, palette: Palette, *, marked: bool, digits: int, merged: bool
) -> list[Piece]:
    """Line number in `digits` cells, which log, and a sign: a mark, an error, a warning."""
    out: list[Piece] = []
    first, drawn = entry.begin == 0, entry.drawn
    if digits:
        shown = f"{entry.number + 1:,}" if first and entry.number is not None else ""
        out.append((f"{shown:>{digits - 1}} ", palette.dim))
    if merged:
        style = palette.source_b if entry.source % 2 else palette.source_a
        out.append((f"{LETTERS[entry.source % len(LETTERS)]}▏", style))
    sign, style = "  ", Style()
    if first and marked:
        sign, style = "◆ ", palette.mark
    elif first and not drawn.seam and drawn.level == log_levels.ERROR:
        sign, style = "✘ ", palette.error
    elif first and not drawn.seam and drawn.level == log_levels.WARN:
        sign, style = "▲ ", palette.warn
    return [*out, (sign, style)]


def strip(pieces: Sequence[Piece], back: Style, end: Piece, base: Style, width: int) -> Strip:
    """`pieces` on `back`, and `end`, the bar's cell, on `base`: `width` cells in all."""
    segments = [Segment(text, back + style) for text, style in pieces]
    return Strip([*segments, Segment(end[0], base + end[1])], width)
