"""The keys of Train: the screen, its curve, and the plan before a start."""

from __future__ import annotations

from tui.keys import Key, table

TRAIN = table(
    "train",
    Key(
        "s",
        "start",
        "start",
        "What a training would take and whether it can teach; then start it",
        writes=True,
        command="qa jobs train",
    ),
    Key(
        "x",
        "stop",
        "stop",
        "Stop the job shown; it ends at its next checkpoint",
        writes=True,
        command="qa jobs stop",
    ),
    Key("o", "jobs", "jobs", "Go to the list of jobs; enter shows one", command="qa jobs list"),
    Key("f", "follow", "follow", "Follow the end of the log again", command="qa logs"),
    Key("slash", "search", "search", "Search the log; n and N go on", shown="/"),
    Key("p", "point", "cross-hair", "A cross-hair on the curve; the log goes along with it"),
    Key("i", "why", "why", "Go to the line of the log that says why it failed"),
    Key("y", "log_y", "log y", "Logarithmic loss axis on or off"),
    Key("a", "smooth", "smooth", "The exponential mean of the loss, the loss itself behind it"),
    Key(
        "b", "ghost", "best run", "The best earlier run of the same recipe, on or off", footer=False
    ),
    Key("r", "recall", "recall", "Recall, fabrication and refusal instead of the loss, and back"),
    Key("z", "zoom", "zoom", "The log or the curve alone, and back"),
    Key("n", "search_next", "next match", "Next match of the search", footer=False),
    Key("N", "search_previous", "previous match", "Previous match of the search", footer=False),
    Key("g", "log_top", "log top", "First line of the log; stops following", footer=False),
    Key("G", "follow", "log end", "Last line of the log, and follow", footer=False, id="log_end"),
    Key("h,left", "move", "left", "Cross-hair to the left; H by ten cells", "h ←", False, False),
    Key(
        "l,right",
        "move",
        "right",
        "Cross-hair to the right; L by ten",
        "l →",
        False,
        False,
        "right",
    ),
    Key("plus", "zoom_in", "closer", "On the curve: fewer steps; - more, 0 all", "+", False, False),
)

# in the curve while it has the focus
CURVE = table(
    "curve",
    Key("h,left", "move(-1)", "left", "Cross-hair to the left", "h ←", id="left"),
    Key("l,right", "move(1)", "right", "Cross-hair to the right", "l →", id="right"),
    Key("H,shift+left", "move(-10)", "far left", "Ten cells to the left", "H", id="far_left"),
    Key("L,shift+right", "move(10)", "far right", "Ten cells to the right", "L", id="far_right"),
    Key("g,home", "end(-1)", "first", "First step", "g", id="first"),
    Key("G,end", "end(1)", "last", "Newest step", "G", id="last"),
    Key("plus,equals_sign", "zoom(0.5)", "closer", "Half as many steps", "+", id="closer"),
    Key("minus,underscore", "zoom(2)", "wider", "Twice as many steps", "-", id="wider"),
    Key("0", "whole", "all", "All steps"),
)

# before a training is started
PLAN = table(
    "plan",
    Key(
        "y",
        "start",
        "start",
        "Start it, or put it in line when the accelerator is busy",
        writes=True,
    ),
    Key("m", "smoke", "smoke run", "A smoke run (1 epoch, 20 rows) or the full training"),
    Key("p", "profile", "profile", "The next profile of the recipe"),
    Key("o", "overrides", "override", "Type values that differ from the recipe: key=value"),
    Key("a", "accept", "accept", "Take an error of the lint, with a typed reason"),
    Key("w", "why", "why", "Reasons and sources of the lint, on or off"),
    Key("d", "down", "scroll", "Scroll the plan down; u up", "d u", bound=True),
    Key("u", "up", "up", "Scroll the plan up", footer=False),
)
