"""The lines of a log in sight, drawn. What is not in sight is not read.

Scrolls by itself, not by Textual's virtual size: that would lay the whole screen out again for every
line that comes in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.log import paint as log_paint
from tui.widgets.log import row as log_row
from tui.widgets.log.file import LINE_CAP, RawLine
from tui.widgets.log.paint import Drawn, Palette, Piece
from tui.widgets.log.query import Query
from tui.widgets.log.row import Entry
from tui.widgets.log.rows import Found, Rows

CACHED_LINES = 2000
CACHED_LENGTH = 2000  # characters; longer lines are drawn anew


class LogCanvas(Widget):
    """Draws `rows` from `top` on, or while `following` from the end."""

    DEFAULT_CSS = """
    LogCanvas {
        width: 1fr;
        height: 1fr;
        &> .log--error { color: $text-error; }
        &> .log--warn { color: $text-warning; }
        &> .log--dim { color: $text-muted; }
        &> .log--bar { color: $foreground 20%; }
        &> .log--thumb { color: $foreground 50%; }
        &> .log--hit { background: $warning 40%; color: $foreground; text-style: bold; }
        &> .log--mark { color: $accent; text-style: bold; }
        &> .log--cursor { background: $block-cursor-blurred-background; }
        &> .log--selected { background: $primary 30%; }
        &> .log--pill { background: $primary; color: $background; text-style: bold; }
        &> .log--source-a { color: $primary; }
        &> .log--source-b { color: $warning; }
        &:focus > .log--cursor { background: $block-cursor-background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--error", "log--warn", "log--dim", "log--bar", "log--thumb", "log--hit", "log--mark",
        "log--cursor", "log--selected", "log--pill", "log--source-a", "log--source-b",
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.empty = ""
        self.rows: Rows | None = None
        self.following = True
        self.cursor: int | None = None  # line number
        self.select_from: int | None = None  # other end of a selection
        self.top = 0  # row
        self.column = 0
        self.wrap = False
        self.numbers = False
        self.marks: set[int] = set()
        self.search: Query | None = None
        self.hits: Found | None = None
        self.spans: Callable[[str], list[tuple[int, int]]] | None = None  # of a regular expression
        self._seen = 0  # rows when following stopped
        self._entries: list[Entry] | None = None
        self._cache: OrderedDict[tuple[int, int], tuple[Drawn, int]] = OrderedDict()
        self._palette: Palette | None = None
        self._known_size: Size | None = None

    # what is there

    def redraw(self) -> None:
        """Draw what is in sight again."""
        self._entries = self._known_size = None
        self.refresh()

    def on_focus(self) -> None:
        self._palette = None  # the cursor has another colour now
        self.redraw()

    def on_blur(self) -> None:
        self._palette = None
        self.redraw()

    def notify_style_update(self) -> None:
        self._palette = None
        self._cache.clear()
        self._entries = None
        super().notify_style_update()

    @property
    def count(self) -> int:
        """Rows there are."""
        return len(self.rows) if self.rows is not None else 0

    @property
    def new_rows(self) -> int:
        """Rows that came in since following stopped."""
        return 0 if self.following else max(0, self.count - self._seen)

    @property
    def _room(self) -> Size:
        """The size, asked for once a frame: Textual finds it out anew each time."""
        if self._known_size is None:
            self._known_size = self.size
        return self._known_size

    @property
    def text_width(self) -> int:
        return max(1, self._room.width - self._gutter_width - 1)

    @property
    def _gutter_width(self) -> int:
        return self._digits + (2 if self._merged else 0) + 2

    @property
    def _digits(self) -> int:
        """Cells of a line number and the gap after it; 0 without them."""
        if not self.numbers or self.rows is None:
            return 0
        return len(f"{max(1, self.rows.log.lines):,}") + 1

    @property
    def page(self) -> int:
        return max(1, self._room.height)

    # drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        self._known_size = None
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        palette, width = self._colours(), self._room.width
        if self.rows is None or not self.rows.log.size:
            words = self.empty if y == 0 else ""
            return Strip([Segment(words, palette.base + palette.dim)]).adjust_cell_length(
                width, palette.base
            )
        entries = self._laid_out()
        if y < len(entries):
            pieces, back = self._row(entries[y])
        else:
            pieces, back = [(" " * (width - 1), Style())], palette.base
        strip = log_row.strip(pieces, back, self._bar(y), palette.base, width)
        if y == self._room.height - 1 and (pill := self._pill()):
            strip = Strip.join(
                [strip.crop(0, width - len(pill)), Strip([Segment(pill, palette.pill)])]
            )
        return strip

    def _pill(self) -> str:
        n = self.new_rows
        return f" ▼ {n:,} new line{'s' if n != 1 else ''} · f " if n else ""

    def _laid_out(self) -> list[Entry]:
        if self._entries is None:
            self._entries = self._at_end() if self.following else self._from_top()
        return self._entries

    def _at_end(self) -> list[Entry]:
        rows, height = self.rows, self.page
        if rows is None:
            return []
        log = rows.log
        found: list[tuple[int | None, Drawn, int]] = []
        if rows.only is None:
            # from the end, so that the end of a big log is in sight before it is counted
            raws = log.tail(height, self.column)
            first = log.lines - len(raws)
            for at, raw in enumerate(raws, first):
                number = at if log.complete and first >= 0 else None
                found.append((number, log_paint.draw(raw, self._colours()), raw.source))
        else:
            for row in range(max(0, self.count - height), self.count):
                number = rows.number(row)
                found.append((number, *self._drawn(number)))
        if not self.wrap:
            return [Entry(*item) for item in found]
        entries: list[Entry] = []
        for item in reversed(found):
            entries[:0] = self._folded(*item)
            if len(entries) >= height:
                break
        return entries[-height:]

    def _from_top(self) -> list[Entry]:
        rows = self.rows
        if rows is None:
            return []
        entries: list[Entry] = []
        for row in range(self.top, self.count):
            if len(entries) >= self.page:
                break
            number = rows.number(row)
            drawn, source = self._drawn(number)
            if self.wrap:
                entries += self._folded(number, drawn, source)
            else:
                entries.append(Entry(number, drawn, source))
        return entries[: self.page]

    def _drawn(self, number: int) -> tuple[Drawn, int]:
        assert self.rows is not None
        log = self.rows.log
        key = (log.key(number), self.column // (LINE_CAP // 2))
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        raw = log.line(number, self.column) or RawLine()
        found = (log_paint.draw(raw, self._colours()), raw.source)
        # the last line may still be written to
        if len(found[0].text) <= CACHED_LENGTH and number < log.lines - 1:
            self._cache[key] = found
            if len(self._cache) > CACHED_LINES:
                self._cache.popitem(last=False)
        return found

    def _folded(self, number: int | None, drawn: Drawn, source: int) -> list[Entry]:
        start = max(0, self.column - drawn.origin)
        text = drawn.text[start:] if start else drawn.text
        most = max(1, self.page - 1)
        spans = log_paint.folds(text, self.text_width, most)
        if not spans:
            spans = [(0, 0)]
        end = spans[-1][1]
        cut = end < len(text) or drawn.origin + len(drawn.text) < drawn.length
        return [
            Entry(number, drawn, source, begin + start, stop + start, cut and stop == end)
            for begin, stop in spans
        ]

    def _row(self, entry: Entry) -> tuple[list[Piece], Style]:
        palette = self._colours()
        hits = self._hits(entry.drawn.text) if self.search is not None else ()
        gutter = log_row.gutter(
            entry,
            palette,
            marked=entry.number in self.marks,
            digits=self._digits,
            merged=self._merged,
        )
        line = log_row.line(entry, hits, self.column, self.text_width, palette)
        return gutter + line, palette.base + self._back(entry.number, palette)

    def _back(self, number: int | None, palette: Palette) -> Style:
        """What lies behind a row."""
        if number is None or self.following or self.cursor is None:
            return Style()
        if number == self.cursor:
            return palette.cursor
        other = self.cursor if self.select_from is None else self.select_from
        low, high = sorted((other, self.cursor))
        return palette.selected if low <= number <= high else Style()

    @property
    def _merged(self) -> bool:
        return self.rows is not None and self.rows.log.sources > 1

    def _hits(self, text: str) -> list[tuple[int, int]]:
        query = self.search
        if query is None or query.inverse:
            return []
        if query.regex:
            return self.spans(text) if self.spans is not None else []
        return log_paint.hits(text, query.text, folded=query.folded)

    def _bar(self, y: int) -> Piece:
        """One cell of the bar at the right: what is in sight, and where the hits are."""
        height, count, palette = self.page, self.count, self._colours()
        if count <= height or self.rows is None:
            return " ", Style()
        top = count - height if self.following else self.top
        begin = min(height - 1, top * height // count)
        end = max(begin + 1, (top + height) * height // count)
        inside = begin <= y < end
        if self.hits is not None and len(self.hits):
            low = self.rows.number(y * count // height)
            high = self.rows.number(min(count - 1, (y + 1) * count // height))
            if self.hits.rank(high) > self.hits.rank(low):
                return "┫" if inside else "┤", palette.warn
        return ("┃", palette.thumb) if inside else ("│", palette.bar)

    def _colours(self) -> Palette:
        if self._palette is None:
            # blended with the background: the partial styles leave transparency out
            full = {
                name: self.get_component_rich_style(f"log--{name.replace('_', '-')}")
                for name in Palette.__slots__
                if name != "base"
            }
            behind = {n: Style(bgcolor=full[n].bgcolor) for n in ("cursor", "selected")}
            whole = {n: full[n] for n in ("hit", "pill")}
            ink = {
                n: Style(color=style.color, bold=style.bold)
                for n, style in full.items()
                if n not in behind and n not in whole
            }
            self._palette = Palette(self.rich_style, **ink, **behind, **whole)
        return self._palette
