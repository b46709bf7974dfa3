"""The keys of Pilot."""

from __future__ import annotations

from tui.keys import Key, table

PILOT = table(
    "pilot",
    Key(
        "enter",
        "run_check",
        "run check",
        "Run this item's check and keep its evidence",
        bound=False,
        command="qa checklist run",
        writes=True,
    ),
    Key(
        "n",
        "note",
        "note",
        "Add a note as evidence, for what no program can check",
        writes=True,
        command="qa checklist note",
    ),
    Key("o", "open_job", "open job", "Show the job behind the newest evidence"),
    Key(
        "D",
        "decide",
        "decide",
        "Record GO or NO-GO, with a reason",
        writes=True,
        command="qa checklist decide",
    ),
)
