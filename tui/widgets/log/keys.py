"""Every key of the log view, once: its bindings, the footer and the help read this table."""

from __future__ import annotations

from tui.bindings import Key, table

ACTS = table(
    "log",
    Key("slash", "search", "search", "Search: text, or /regular expression/; n and N go on", "/"),
    Key("ampersand", "filter", "filter", "Show only lines with a text; !text: without it", "&"),
    Key("e", "next_error", "next error", "The next error below; from the end, the newest"),
    Key("f", "follow", "follow", "Follow the end of the log"),
    Key("enter", "detail", "whole line", "The line in full beside the log; JSON with structure"),
    Key("t", "go", "go to", "A time such as 14:02, a step such as +5m, a line number, or 50%"),
    Key("n", "search_next", "next match", "Next match of the search", footer=False),
    Key("N", "search_previous", "previous match", "Previous match of the search", footer=False),
    Key("E", "previous_error", "previous error", "The next error above", footer=False),
    Key("L", "level", "level", "Show all lines, warnings and errors, or errors", footer=False),
    Key("m", "mark", "mark", "Mark this line, or take its mark away", footer=False),
    Key("apostrophe", "next_mark", "next mark", "The next marked line", "'", footer=False),
    Key("M", "marks", "marks", "The list of the marked lines", footer=False),
    Key("w", "wrap", "wrap", "Wrap long lines, or cut them", footer=False),
    Key("number_sign", "numbers", "line numbers", "Line numbers on or off", "#", footer=False),
    Key("v", "select", "select", "Begin a selection of lines; j and k extend it", footer=False),
    Key("c", "copy", "copy", "Copy the line or the selection", footer=False),
    Key("P", "pager", "pager", "Open the file in $PAGER, at this line", footer=False),
    Key("V", "editor", "editor", "Open the file in $VISUAL or $EDITOR, to read", footer=False),
    Key("escape", "close", "close", "Close what is open: search, filter, panel", "esc", False),
)

MOVES = table(
    "log",
    Key("g,home", "top", "first line", "First line; stops following", "g", False),
    Key("G,end", "end", "last line", "Last line, and follow", "G", False),
    Key(
        "j,down", "move(1)", "down", "Next line; below the last it follows", "j ↓", False, id="down"
    ),
    Key("k,up", "move(-1)", "up", "Previous line; stops following", "k ↑", False, id="up"),
    Key("ctrl+d,pagedown", "page(1)", "page down", "A page down", "ctrl+d", False, id="page_down"),
    Key("ctrl+u,pageup", "page(-1)", "page up", "A page up", "ctrl+u", False, id="page_up"),
    Key("h,left", "sideways(-1)", "left", "Scroll to the left", "h ←", False, id="left"),
    Key("l,right", "sideways(1)", "right", "Scroll to the right", "l →", False, id="right"),
    Key("0", "line_start", "line start", "Begin of the line", footer=False),
    Key("dollar_sign", "line_end", "line end", "End of the line", "$", False),
)

LOG = (*ACTS, *MOVES)
