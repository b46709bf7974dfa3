"""Colours that a log asks for with SGR escapes, as far as they cannot hide or fake anything.

Foreground colours and bold are kept. Backgrounds, blinking, concealing, links, titles, clipboard and
cursor sequences are dropped with everything else that `tui.clean` drops.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui import clean

_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")


@dataclass(frozen=True, slots=True)
class Ink:
    """colour: number of the 256-colour palette, an (r, g, b), or None for the line's own."""

    colour: int | tuple[int, int, int] | None = None
    bold: bool = False


PLAIN = Ink()
Span = tuple[str, Ink]


def spans(text: str, limit: int = clean.MAX_LINE) -> list[Span]:
    """`text` as printable pieces, each with its ink; at most `limit` characters and a cut mark.

    The pieces hold no control character, whatever `text` holds.
    """
    if "\x1b[" not in text:
        return [(clean.line(text, limit), PLAIN)]
    out: list[Span] = []
    ink, room, at = PLAIN, limit, 0
    for match in _SGR.finditer(text, 0, limit * 4):
        room = _add(out, text[at : match.start()], ink, room)
        ink = _after(ink, match[1])
        at = match.end()
        if room <= 0:
            break
    if room > 0:
        _add(out, text[at:], ink, room)
    elif at < len(text):
        out.append((clean.CUT, PLAIN))
    return out


def _add(out: list[Span], text: str, ink: Ink, room: int) -> int:
    piece = clean.line(text, room) if text else ""
    if piece:
        out.append((piece, ink))
    return room - len(piece)


def _after(ink: Ink, codes: str) -> Ink:
    """The ink after one SGR sequence."""
    numbers = [int(c) if c else 0 for c in re.split("[;:]", codes)][:32]
    colour, bold, at = ink.colour, ink.bold, 0
    while at < len(numbers):
        code = numbers[at]
        if code == 0:
            colour, bold = None, False
        elif code in (1, 22):
            bold = code == 1
        elif 30 <= code <= 37:
            colour = code - 30
        elif 90 <= code <= 97:
            colour = code - 82
        elif code == 39:
            colour = None
        elif code in (38, 48, 58):
            found, used = _wide(numbers[at + 1 :])
            colour = found if code == 38 and found is not None else colour
            at += used
        at += 1
    return Ink(colour, bold)


def _wide(rest: list[int]) -> tuple[int | tuple[int, int, int] | None, int]:
    """The colour after 38 or 48, and how many numbers it took."""
    if rest[:1] == [5] and len(rest) > 1:
        return (rest[1] if rest[1] < 256 else None), 2
    if rest[:1] == [2] and len(rest) > 3:
        red, green, blue = (min(c, 255) for c in rest[1:4])
        return (red, green, blue), 4
    return None, len(rest)
