"""The keys of a pull table, beside those of every list."""

from __future__ import annotations

from dataclasses import replace

from tui.keys import Key, table

PULL = table(
    "table",
    Key("space", "mark_row", "mark", "Mark this row, or take its mark away", footer=False),
    Key("s", "sort", "sort", "Sort by the next column; so does a click on its name", footer=False),
    Key("S", "turn", "turn", "Sort the other way round", footer=False),
    Key("c", "columns", "columns", "Choose which columns are shown", footer=False),
)


def inside(mode: str) -> tuple[Key, ...]:
    """For the help of a screen that holds such a table, which answers these keys itself."""
    return table(mode, *(replace(key, bound=False, id="") for key in PULL))
