"""The keys of Evaluate, of an answer in full, and of the golden set's editor."""

from __future__ import annotations

from tui.keys import Key, table

EVALUATE = table(
    "evaluate",
    Key(
        "enter",
        "open_answer",
        "open",
        "The answer in full, to label it; or the questions of a group",
        bound=False,
    ),
    Key("w", "causes", "why", "Failures by cause: forgotten, invented, refused …"),
    Key("c", "categories", "categories", "Failures by category, and what to do; esc leads back"),
    Key(
        "a", "all", "all", "Right answers too, or only what is not right", command="qa eval labels"
    ),
    Key(
        "t",
        "trace",
        "trace",
        "From the highlighted answer to the pairs that may have taught it",
        command="qa trace",
    ),
    Key(
        "v",
        "choose_version",
        "version",
        "Choose whose evaluation is shown",
        command="qa versions list",
    ),
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

ANSWER = table(
    "answer",
    Key(
        "y",
        "label('correct')",
        "right",
        "Label the answer as right: kept with your name and the time; no gate reads it",
        id="right",
        command="qa eval label",
        writes=True,
    ),
    Key("n", "label('incorrect')", "wrong", "Label it as wrong", id="wrong", writes=True),
    Key(
        "u",
        "label('not_attempted')",
        "not tried",
        "Label it as not attempted",
        id="not_tried",
        writes=True,
    ),
    Key("l,right", "go(1)", "next", "The next answer of the list", id="next"),
    Key("h,left", "go(-1)", "previous", "The one before", id="previous"),
    Key("j", "scroll('down')", "down", "Scroll down", id="down"),
    Key("k", "scroll('up')", "up", "Scroll up", id="up"),
    Key("escape,q,enter", "leave", "close", "Back to Evaluate", shown="esc"),
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
