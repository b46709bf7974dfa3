"""The keys of Evaluate, and of the golden set's editor."""

from __future__ import annotations

from tui.keys import Key, table

EVALUATE = table(
    "evaluate",
    Key("enter", "open_answer", "whole answer", "The highlighted answer in full", bound=False),
    Key(
        "v",
        "choose_version",
        "version",
        "Choose whose evaluation is shown",
        command="qa versions list",
    ),
    Key("c", "categories", "categories", "Scores by question category, on or off"),
    Key(
        "f",
        "flips",
        "flips",
        "What the version before had right, and the other way round",
        command="qa eval compare",
    ),
    Key(
        "s",
        "golden",
        "golden set",
        "The golden set: every question, and an editor",
        command="qa golden list",
    ),
    Key(
        "r",
        "report",
        "report",
        "The whole report; `qa report --out FILE.html` is for leadership",
        command="qa report",
    ),
    Key(
        "e",
        "evaluate",
        "evaluate",
        "Start an evaluation of this version on the host",
        writes=True,
        command="qa jobs evaluate",
    ),
)

GOLDEN = table(
    "golden",
    Key("e", "edit", "edit", "Edit the highlighted question", writes=True),
    Key(
        "a",
        "add",
        "add",
        "A new question of the highlighted one's category",
        command="qa golden add",
        writes=True,
    ),
    Key("d", "remove", "remove", "Remove the highlighted question", writes=True),
    Key(
        "c",
        "check",
        "check",
        "Labels, balance, wordings too alike, what a snapshot gives away",
        command="qa golden check",
    ),
    Key("escape", "leave", "close", "Back to Evaluate", shown="esc"),
)
