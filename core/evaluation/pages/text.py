"""A page as plain text of so many columns, for terminals and mails: the brief sections only."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from core.evaluation.pages.fields import SIGNS, one_line
from core.evaluation.pages.model import Answer, Block, Facts, Line, Page, Para, Points, Table, flat

WIDTH = 100
CELL = 400  # characters of a cell
SAYS = 300  # of an answer


def text(page: Page, width: int = WIDTH) -> str:
    """At most `width` columns; wide characters count as two."""
    title = one_line(f"{SIGNS[page.verdict]} {page.verdict} · {page.name} · {page.summary}", 160)
    out = [*wrap(title, width), "=" * min(width, columns(title)), ""]
    for one in page.loud:
        out += wrap(_flat(one), width, "!! ", "   ")
    out += ["", *wrap(one_line(page.lead, 600), width)]
    for section in page.sections:
        if section.brief:
            out += ["", *wrap(one_line(section.title, 200).upper(), width)]
            for block in section.blocks:
                out += _block(block, width)
    out += ["", *wrap(one_line(page.made, 200), width)]
    return "\n".join(part.rstrip() for part in out) + "\n"


def _block(block: Block, width: int) -> list[str]:
    if isinstance(block, Para):
        return wrap(_flat(block.line), width, "  ", "  ")
    if isinstance(block, Points):
        return [part for one in block.lines for part in wrap(_flat(one), width, "  → ", "    ")]
    if isinstance(block, Table):
        keep = block.brief or tuple(range(len(block.head)))
        whole = [[one_line(h, 60) for h in block.head]]
        whole += [[_flat(cell) for cell in row] for row in block.rows]
        return table([[row[n] for n in keep] for row in whole], width)
    if isinstance(block, Facts):
        pairs = [
            one for k, v in block.pairs for one in wrap(f"{k}: {_flat(v)}", width, "  ", "    ")
        ]
        return [*wrap(one_line(block.title, 200), width), *pairs]
    if isinstance(block, Answer):
        return _answer(block, width)
    return []  # a picture


def _answer(a: Answer, width: int) -> list[str]:
    out = wrap(one_line(a.question, 160), width, "  ? ", "    ")
    said = one_line("".join(r.text for r in a.body), SAYS) or "(nothing)"
    notes = [one_line(f"{label}: {flat(runs)}", SAYS) for label, runs in a.notes]
    for one in (_flat(a.tags), f"says: {said}", *notes):
        out += wrap(one, width, "    ", "      ")
    return out


def _flat(runs: Line) -> str:
    return one_line(flat(runs).strip(), CELL)


def table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned columns; cells are cut where the table would be wider than the page."""
    widths = [max(columns(row[i]) for row in rows) for i in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 6:
        widths[widths.index(max(widths))] -= 1
    return [
        "  ".join(fit(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def fit(cell: str, width: int) -> str:
    """Exactly `width` columns."""
    if columns(cell) > width:
        while cell and columns(cell) > width - 1:
            cell = cell[:-1]
        cell += "…"
    return cell + " " * (width - columns(cell))


def columns(value: str) -> int:
    """Terminal columns: wide characters take two, combining ones none."""
    if value.isascii():
        return len(value)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in value
    )


def wrap(line_: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most `width` columns; counts wide characters as two by halving the room."""
    room = width if columns(line_) == len(line_) else width // 2
    return textwrap.wrap(
        line_, room, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first.rstrip()]
