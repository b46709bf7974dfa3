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


LONG = table(
    "long",
    Key("ctrl+s", "app.export", "write to a file", "Write the list to a file", id="export"),
    Key("ctrl+y", "copy", "copy", "Copy the name of the highlighted row"),
    Key("ctrl+o", "open_file", "open file", "Open the file at the row's line in $EDITOR"),
    Key("J", "scroll(1)", "down", "Scroll the row in full down", id="scroll_down"),
    Key("K", "scroll(-1)", "up", "Scroll the row in full up", id="scroll_up"),
    Key("escape,q", "leave", "close", "Back to the screen below", shown="esc"),
)
"""Of a page that is one long list and the highlighted row in full."""


def inside(mode: str) -> tuple[Key, ...]:
    """For the help of a screen that holds such a table, which answers these keys itself."""
    return table(mode, *(replace(key, bound=False, id="") for key in PULL))
