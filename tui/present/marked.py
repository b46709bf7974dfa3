"""An answer with its markers as numbers, each coloured and shaped by its class, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from tui import clean
from tui.desk.api_traces import MarkRow
from tui.present import words
from tui.present.words import text

CLASSES = {
    "correct": ("✔", "ok", "the right source"),
    "known": ("●", "accent", "in the registry"),
    "wrong_entity": ("✘", "warn", "a source, but not of this question"),
    "stale": ("→", "warn", "renamed or withdrawn"),
    "unknown_entity": ("✘", "bad", "invented: no such entity"),
    "unknown_domain": ("✘", "bad", "invented: no such domain"),
    "malformed": ("✘", "bad", "not a marker"),
}
OTHER = ("·", "dim", "")
MAX_SHOWN = 20_000  # characters of an answer
MAX_MARKS = 60


def answer(said: str, marks: Sequence[MarkRow]) -> Text:
    """The text with [1✔] in place of markers; the same marker keeps its number."""
    out, last, numbers = text(), 0, _numbers(marks)
    for m in marks:
        if not last <= m.start <= m.end or m.start > MAX_SHOWN:
            break
        out.append(_kept(said[last : m.start]))
        shape, role, _ = CLASSES.get(m.cls, OTHER)
        out.append(f"[{numbers[m.text]}{shape}]", role)
        last = m.end
    out.append(_kept(said[last:MAX_SHOWN]).rstrip())
    if len(said) > MAX_SHOWN:
        out.append(clean.CUT, "dim")
    return out


def legend(marks: Sequence[MarkRow], width: int) -> Text:
    """A line or two for each marker: number, class, name and address."""
    out = text()
    if not marks:
        return out.append("○ it cites nothing\n", "dim")
    numbers = _numbers(marks)
    for m in list({m.text: m for m in reversed(marks)}.values())[::-1][:MAX_MARKS]:
        shape, role, meaning = CLASSES.get(m.cls, OTHER)
        out.append(f"[{numbers[m.text]}{shape}] ", role)
        out.append(f"{m.cls.replace('_', ' ')}", role)
        out.append(f"  {meaning}\n", "dim")
        shown = m.name or m.text
        out.append(words.hang(clean.line(shown, 300), width, 5))
        if m.link:
            # an escape would end the terminal's link early; such an address is only shown
            style = Style(link=m.link) if m.link.isprintable() else Style()
            start = len(out)
            out.append(words.hang(clean.line(m.link, 300), width, 5), "dim")
            out.stylize(style, start)
    return out


def _numbers(marks: Sequence[MarkRow]) -> dict[str, int]:
    return {name: n for n, name in enumerate(dict.fromkeys(m.text for m in marks), 1)}


def _kept(piece: str) -> str:
    """The piece cleaned, with its line ends."""
    return "\n".join(clean.line(part, MAX_SHOWN) for part in piece.split("\n"))
