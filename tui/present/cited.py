"""An answer with its citations for a terminal: footnote numbers that lead to their sources."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from core.citations import Malformed, SourceIndex
from core.citations.rendering import Note, take_apart
from tui import clean


def answer(text: str, index: SourceIndex | None) -> Text:
    """As `render_plain`, with styles; numbers and notes are links where the address is http(s).

    Nothing in the text, a name or an address can act on the terminal.
    Raises RegistryNotLoaded as `core.citations.classify` does.
    """
    cited = take_apart(text, index)
    notes = {note.number: note for note in cited.notes}
    out = Text()
    for piece in cited.pieces:
        if isinstance(piece, Malformed):
            out.append(clean.line(piece.text), "red")
        elif isinstance(piece, int):
            out.append(f"[{piece}]", _style(notes[piece]))
        else:
            out.append_text(Text(_kept(piece)))
    if cited.notes:
        out.append("\n")
    for note in cited.notes:
        out.append(f"\n[{note.number}] ", "dim")
        out.append(clean.line(note.name), _style(note))
        if note.link:
            out.append(f"  {clean.line(note.link)}", "dim")
        if note.remark:
            out.append(f"  ({clean.line(note.remark)})", "yellow")
    return out


def _style(note: Note) -> Style:
    # Escapes end a terminal's link early; such an address is shown, and not made a link.
    link = note.link if note.link and note.link.isprintable() else None
    return Style(bold=True, color="yellow" if note.source is None else "cyan", link=link)


def _kept(piece: str) -> str:
    """The piece cleaned, with the line ends around it."""
    return "\n".join(clean.line(line, 100_000) for line in piece.split("\n"))
