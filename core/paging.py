"""A list in SQLite, page by page: counted, ordered, filtered, and the place of a row in it.

A page beside one that is known is read from its row, wherever in the list it lies; any other from the
nearer end. With an index on what it is ordered by, nothing is read to be passed over; without one the
keys are looked through for each page, and sorted as far as the page reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import filtering

Read = Callable[[str, Sequence[Any]], Sequence[Any]]  # SQL and values → rows

FAR = 1000  # rows; from here on it is worth while to count how far the end is


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed. Every name in it is ours, never an operator's.

    table: a table's name.  key: its unique column.  columns: what a page gives.
    orders: name → SQL expressions that are never NULL; "" is the order where none is asked for.
    searched: columns in which a filter looks.  where: the condition of every row, "" for none.
    values: of the places in `where`; they may be an operator's.
    """

    table: str
    key: str
    columns: str = "*"
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    where: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of a listing, in which order. text: words that each row holds; `!word`: does not."""

    text: str = ""
    order: str = ""
    descending: bool = False


def count(read: Read, listing: Listing, part: Part) -> int:
    condition, values = _condition(listing, part.text)
    found = read(f"SELECT count(*) FROM {listing.table} WHERE {condition}", values)
    return int(found[0][0])


def page(
    read: Read,
    listing: Listing,
    part: Part,
    offset: int,
    limit: int,
    *,
    after: str = "",
    before: str = "",
) -> Sequence[Any]:
    """Rows `offset` to `offset + limit`; fewer at the end.

    after, before: key of the row that stands just before or just behind them, "" if that is not known.
    Pages read each after the last row of the one before hold every row that stays as it is once, unless
    that last row itself moves or goes meanwhile.
    """
    for key, backwards in ((after, False), (before, True)):
        found = _beside(read, listing, part, key, limit, backwards) if key else ()
        if found:  # else the end, or that row is gone
            return found
    return _at(read, listing, part, offset, limit)


def _beside(
    read: Read, listing: Listing, part: Part, key: str, limit: int, backwards: bool
) -> Sequence[Any]:
    condition, values = _condition(listing, part.text)
    by, down = ", ".join(_order(listing, part)), part.descending != backwards
    here = f"SELECT {by} FROM {listing.table} WHERE {listing.key} = ?"
    beyond = f"({by}) {'<' if down else '>'} ({here})"
    return _read(
        read, listing, part, f"{condition} AND {beyond}", (*values, key), backwards, 0, limit
    )


def _at(read: Read, listing: Listing, part: Part, offset: int, limit: int) -> Sequence[Any]:
    backwards = False
    if offset >= FAR and not part.text:
        total = count(read, listing, part)
        limit = min(limit, total - offset)
        if limit <= 0:
            return []
        behind = total - offset - limit
        if behind < offset:
            backwards, offset = True, behind
    condition, values = _condition(listing, part.text)
    return _read(read, listing, part, condition, values, backwards, offset, limit)


def _read(
    read: Read,
    listing: Listing,
    part: Part,
    condition: str,
    values: Sequence[str],
    backwards: bool,
    offset: int,
    limit: int,
) -> Sequence[Any]:
    """The rows in the order of the part, whichever way they are read."""
    down = part.descending != backwards
    by = ", ".join(f"{e} DESC" if down else e for e in _order(listing, part))
    # the keys first, so that no row is read only to be passed over
    sql = (
        f"SELECT {listing.columns} FROM (SELECT {listing.key} FROM {listing.table}"
        f" WHERE {condition} ORDER BY {by} LIMIT ? OFFSET ?)"
        f" CROSS JOIN {listing.table} USING ({listing.key}) ORDER BY {by}"
    )
    found = read(sql, (*values, limit, offset))
    return list(reversed(found)) if backwards else found


def index_of(read: Read, listing: Listing, part: Part, key: str) -> int | None:
    """The place of a row, from 0; None if the filter leaves it out or it is not there."""
    condition, values = _condition(listing, part.text)
    by = ", ".join(_order(listing, part))
    here = f"SELECT {by} FROM {listing.table} WHERE {listing.key} = ? AND {condition}"
    if not read(here, (key, *values)):
        return None
    before = ">" if part.descending else "<"
    sql = f"SELECT count(*) FROM {listing.table} WHERE {condition} AND ({by}) {before} ({here})"
    return int(read(sql, (*values, key, *values))[0][0])


def _order(listing: Listing, part: Part) -> tuple[str, ...]:
    """Expressions that give every row its place; unknown names mean the order of the listing."""
    by = listing.orders.get(part.order) or listing.orders.get("") or ()
    return by if listing.key in by else (*by, listing.key)


def _condition(listing: Listing, text: str) -> tuple[str, list[str]]:
    parts, values = filtering.condition(text, listing.searched)
    if listing.where:
        parts.insert(0, f"({listing.where})")
    return " AND ".join(parts) or "1", [*listing.values, *values]
