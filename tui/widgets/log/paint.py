"""How one line of a log looks: colours of its own, its level, hits of the search. No widget in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.widgets.log import ansi as log_ansi
from tui.widgets.log import levels as log_levels
from tui.widgets.log.ansi import Ink
from tui.widgets.log.file import LINE_CAP, RawLine

WIDE_CAP = 2000  # characters; a longer line of wide characters is cut by characters, not by cells
MAX_HITS = 100
READABLE = 0.18  # difference in brightness; what is closer would be written on its own colour
NOTHING = Style()
_GREY = 244
Piece = tuple[str, Style]
_OWN = {0: None, 7: None, 15: None}  # black and white are the theme's text: they must be readable


@dataclass(frozen=True, slots=True)
class Palette:
    """Styles a log is drawn with; all but `base` are laid over it. back: (r, g, b) of the background,
    None where the terminal's own is used."""

    base: Style = NOTHING
    warn: Style = NOTHING
    error: Style = NOTHING
    dim: Style = NOTHING
    hit: Style = NOTHING
    mark: Style = NOTHING
    cursor: Style = NOTHING
    selected: Style = NOTHING
    bar: Style = NOTHING
    thumb: Style = NOTHING
    pill: Style = NOTHING
    source_a: Style = NOTHING
    source_b: Style = NOTHING

    @property
    def back(self) -> tuple[int, int, int] | None:
        colour = self.base.bgcolor
        return None if colour is None or colour.is_default else colour.get_truecolor()

    def level(self, level: int) -> Style:
        return {log_levels.ERROR: self.error, log_levels.WARN: self.warn}.get(level, Style())


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line ready for the screen. text: printable.  origin: bytes of the line before it."""

    text: str
    pieces: tuple[Piece, ...]
    level: int
    origin: int = 0
    length: int = 0
    seam: bool = False

    @property
    def width(self) -> int:
        """Cells to scroll over; bytes where the line is longer than what is read of it."""
        return max(self.length if self.length > LINE_CAP else 0, self.origin + len(self.text))


def draw(raw: RawLine, palette: Palette) -> Drawn:
    level = log_levels.level(raw.data)
    spans = log_ansi.spans(raw.data.decode("utf-8", "replace"), LINE_CAP)
    base = palette.dim if raw.seam else palette.level(level)
    pieces = tuple((text, base + _style(ink, palette)) for text, ink in spans)
    text = "".join(text for text, _ in spans)
    return Drawn(text, pieces, level, raw.origin, raw.length, raw.seam)


def _style(ink: Ink, palette: Palette) -> Style:
    colour = ink.colour
    if colour is None or (isinstance(colour, int) and colour in _OWN):
        return Style(bold=True) if ink.bold else Style()
    if isinstance(colour, int):
        found = Color.from_ansi(_GREY if colour == 8 else colour)
        known = found.get_truecolor()
    else:
        found, known = Color.from_rgb(*colour), ColorTriplet(*colour)
    named = isinstance(colour, int) and colour < 16  # the theme or the terminal sees to these
    if not named and palette.back is not None and _distance(known, palette.back) < READABLE:
        return Style(bold=ink.bold or None)
    return Style(color=found, bold=ink.bold or None)


def _distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """How far apart two colours are in brightness, 0..1."""
    weights = (0.299, 0.587, 0.114)
    return abs(sum(w * (a - b) for w, a, b in zip(weights, one, other, strict=True))) / 255


def hits(text: str, needle: str, *, folded: bool) -> list[tuple[int, int]]:
    """Where `needle` is in `text`: [begin, end) in characters, the first hundred."""
    if not needle:
        return []
    hay = text.lower() if folded else text
    if len(hay) != len(text):
        return []  # a character that is longer in lower case: places would be off
    found: list[tuple[int, int]] = []
    at = hay.find(needle)
    while at >= 0 and len(found) < MAX_HITS:
        found.append((at, at + len(needle)))
        at = hay.find(needle, at + len(needle))
    return found


def marked(pieces: Sequence[Piece], spans: Iterable[tuple[int, int]], style: Style) -> list[Piece]:
    """`pieces` with `style` over the character ranges `spans`, which rise and do not overlap."""
    out: list[Piece] = []
    left = list(spans)[::-1]
    at = 0
    for text, own in pieces:
        begin = 0
        while left and left[-1][0] < at + len(text):
            low, high = left[-1]
            low, high = max(low - at, begin), min(high - at, len(text))
            out += [(text[begin:low], own), (text[low:high], own + style)]
            begin = high
            if left[-1][1] > at + len(text):
                break
            left.pop()
        out.append((text[begin:], own))
        at += len(text)
    return [(text, own) for text, own in out if text]


def window(pieces: Sequence[Piece], start: int, width: int) -> list[Piece]:
    """Cells start..start+width of a line: `width` cells, or fewer where it ends."""
    length = sum(len(text) for text, _ in pieces)
    if all(text.isascii() for text, _ in pieces):
        return sliced(pieces, start, start + width)
    if length > WIDE_CAP:
        pieces, start = sliced(pieces, start, start + width), 0
    strip = Strip([Segment(text, style) for text, style in pieces]).crop(start, start + width)
    return [(segment.text, segment.style or Style()) for segment in strip]


def cells(pieces: Iterable[Piece]) -> int:
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in pieces)


def sliced(pieces: Sequence[Piece], start: int, stop: int) -> list[Piece]:
    out, at = [], 0
    for text, style in pieces:
        part = text[max(0, start - at) : max(0, stop - at)]
        if part:
            out.append((part, style))
        at += len(text)
        if at >= stop:
            break
    return out


def folds(text: str, width: int, most: int) -> list[tuple[int, int]]:
    """The character ranges of the rows of `text` wrapped to `width` cells; at most `most` rows."""
    if width <= 0 or not text:
        return [(0, len(text))]
    rows, begin = [], 0
    if text.isascii():
        return [(n, min(n + width, len(text))) for n in range(0, len(text), width)][:most]
    cells = 0
    for at, char in enumerate(text):
        size = cell_len(char)
        if cells + size > width and at > begin:
            rows.append((begin, at))
            if len(rows) == most:
                return rows
            begin, cells = at, 0
        cells += size
    return [*rows, (begin, len(text))]
