"""What a log view says about itself: a title for its frame, and a row while something is going on."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from tui import clean
from tui.present import words
from tui.present.words import text
from tui.widgets.log import levels as log_levels
from tui.widgets.log.query import Query
from tui.widgets.log.rows import Found

NAMED = 24  # characters of a search or a filter that are shown


@dataclass(frozen=True, slots=True)
class LogState:
    """counted: share of the log that is counted, 0..1.  hit: place of the cursor among the hits, from 1.
    selected: lines, 0 for none.  note: a few words about the last act."""

    name: str = ""
    lines: int = 0
    counted: float = 1.0
    following: bool = True
    new: int = 0
    size: int = 0
    filter: Found | None = None
    search: Found | None = None
    hit: int | None = None
    seeking: bool = False
    selected: int = 0
    note: str = ""


def title(state: LogState) -> Text:
    """Name, lines, and whether the end is followed."""
    out = text()
    if state.name:
        out.append(f"{clean.line(state.name, 60)}  ")
    out.append(f"{state.lines:,} lines  ", "dim")
    if state.counted < 1:
        out.append(f"counting {state.counted:.0%}  ", "dim")
    if state.following:
        out.append("● following", "ok")
    else:
        out.append("‖ paused", "warn")
        out.append(" · f follows", "dim")
    return out


def row(state: LogState, width: int) -> Text:
    """What is active, left; what came of the last act, right. Empty if there is nothing to say."""
    left = text()
    if (found := state.filter) is not None:
        left.append(" & ", "reverse")
        left.append(f" {_asked(found.query)} ", "strong")
        left.append(f"{len(found):,} of {state.lines:,} lines", "dim")
        left.append_text(_progress(found, state.size))
        left.append("   ")
    if (found := state.search) is not None:
        left.append(" / ", "reverse")
        left.append(f" {_asked(found.query)} ", "strong")
        place = f"{state.hit:,}" if state.hit else "–"
        left.append(f"{place}/{len(found):,}", "dim")
        left.append_text(_progress(found, state.size))
        left.append("   ")
    if state.seeking and state.search is None:
        left.append("looking … ", "dim")
    if state.selected > 1:
        left.append(f"{state.selected:,} lines selected, c copies ", "accent")
    right = text()
    if state.note:
        right.append(f"{clean.line(state.note, 120)} ", "dim")
    elif left.cell_len:
        right.append("esc closes ", "dim")
    if not left.cell_len and not right.cell_len:
        return text()
    return words.join(left, right, width)


def _asked(query: Query) -> str:
    level = log_levels.NAMES[query.level] if query.level > log_levels.INFO else ""
    parts = [clean.line(query.written, NAMED) if query.text else "", level]
    return ", ".join(p for p in parts if p)


def _progress(found: Found, size: int) -> Text:
    if found.error:
        return text((f"  ✘ {found.error}", "bad"))
    if found.done or not size:
        return text()
    return text((f"  {min(0.99, found.seen / size):.0%}", "dim"))
