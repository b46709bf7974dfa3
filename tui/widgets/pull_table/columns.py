"""Columns, and how wide each is: by what is seen in it, and by its importance where room is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.cells import cell_len, set_cell_size

from tui import clean

R = TypeVar("R")
Piece = tuple[str, str]  # text, role
Cell = str | Sequence[Piece]

GAP = 2  # cells between columns
ELLIPSIS = "…"
WHOLE = 100_000  # characters of a cell in a file
MOST = 4  # characters kept for a cell of width: wide, combining and dropped ones need more than one


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """draw: what stands in it; text from outside is cleaned by the table.

    rank: 0 stays longest where room is short.  least, most: cells.  right: numbers.
    sorts: the source can order by it.  descending: the direction that is asked for first.
    """

    name: str
    title: str
    draw: Callable[[R], Cell]
    rank: int = 5
    least: int = 4
    most: int = 60
    right: bool = False
    sorts: bool = True
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """What a column asks for. natural: cells of the widest thing seen in it."""

    rank: int
    least: int
    natural: int


def fit(wants: Sequence[Want], room: int, gap: int = GAP) -> list[int]:
    """The width of each column; 0 for those that are left out or want nothing.

    The least important go first. What is left over widens the others, the most important first.
    """
    widths, left = [0] * len(wants), room
    taken: list[int] = []
    for n in sorted(range(len(wants)), key=lambda n: (wants[n].rank, n)):
        if wants[n].natural <= 0:
            continue
        need = min(wants[n].least, wants[n].natural)
        cost = need + (gap if taken else 0)
        if cost > left:
            if not taken:
                widths[n] = max(0, room)
            break
        widths[n] = need
        left -= cost
        taken.append(n)
    for n in taken:
        more = min(left, wants[n].natural - widths[n])
        widths[n] += more
        left -= more
    return widths


def pieces(cell: Cell, most: int) -> list[Piece]:
    """A cell as safe text, long ones cut to what could be shown in `most` cells."""
    parts = ((cell, ""),) if isinstance(cell, str) else cell
    return [(_safe(words, most * MOST), role) for words, role in parts]


def words(cell: Cell) -> str:
    """A cell as safe text, for a file: as long as it is."""
    parts = ((cell, ""),) if isinstance(cell, str) else cell
    return "".join(_safe(said, WHOLE) for said, _ in parts)


def width(cell: Sequence[Piece]) -> int:
    return sum(_cells(words) for words, _ in cell)


def cut(cell: Sequence[Piece], room: int, *, right: bool = False) -> list[Piece]:
    """Exactly `room` cells: padded, or cut with an ellipsis."""
    if room <= 0:
        return []
    missing = room - width(cell)
    if missing >= 0:
        pad = [(" " * missing, "")] if missing else []
        return [*pad, *cell] if right else [*cell, *pad]
    return list(_cut(cell, room - 1))


def _cut(cell: Sequence[Piece], room: int) -> Iterator[Piece]:
    """The first `room` cells and an ellipsis in the colour of where it was cut."""
    for words, role in cell:
        size = _cells(words)
        if size > room:
            yield set_cell_size(words, room) + ELLIPSIS, role
            return
        yield words, role
        room -= size


def _cells(words: str) -> int:
    return len(words) if words.isascii() else cell_len(words)


def _safe(words: str, limit: int) -> str:
    if words.isprintable() and words.isascii():
        return words[:limit]
    return clean.line(words[: limit * 4], limit)
