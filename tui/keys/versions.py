"""The keys of Versions."""

from __future__ import annotations

from tui.keys import Key, table
from tui.keys.pull_table import inside

VERSIONS = (
    *table(
        "versions",
        Key(
            "p",
            "promote",
            "promote",
            "Make this version live in staging or production",
            writes=True,
            command="qa versions promote",
        ),
        Key(
            "r",
            "roll_back",
            "roll back",
            "Put the previous version back",
            writes=True,
            command="qa versions rollback",
        ),
        Key(
            "u",
            "return_live",
            "return",
            "Undo the last switch, while its window is open",
            writes=True,
            command="qa versions return",
        ),
        Key(
            "a",
            "approve",
            "approve",
            "Agree to a promotion that somebody else makes",
            writes=True,
            command="qa versions approve",
        ),
        Key(
            "m",
            "mark",
            "compare",
            "Mark this version; m on another one compares the two",
            command="qa versions compare",
        ),
        Key(
            "e",
            "evaluate",
            "evaluate",
            "Start an evaluation of this version on the host",
            writes=True,
            command="qa jobs evaluate",
        ),
        Key(
            "enter",
            "open_scores",
            "scores",
            "Show this version's evaluation",
            bound=False,
            command="qa versions show",
        ),
        Key(
            "i",
            "card",
            "model card",
            "This version's model card",
            footer=False,
            command="qa versions card",
        ),
        Key(
            "t",
            "look_back",
            "look back",
            "What was live at a moment of the past",
            footer=False,
            command="qa at",
        ),
        Key(
            "l",
            "trail",
            "audit trail",
            "Every row of the audit about this version",
            footer=False,
            command="qa audit list",
        ),
        Key(
            "h",
            "history",
            "history",
            "What was promoted and rolled back, by whom",
            footer=False,
            command="qa versions history",
        ),
    ),
    *inside("versions"),
)
