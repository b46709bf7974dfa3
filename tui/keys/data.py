"""The keys of Data."""

from __future__ import annotations

from tui.keys import Key, table

DATA = table(
    "data",
    Key(
        "enter",
        "open_pairs",
        "pairs",
        "Every pair of this snapshot or file, to be searched and read",
        bound=False,
    ),
    Key(
        "f",
        "freeze",
        "freeze",
        "Freeze the good rows of all files as a snapshot",
        command="qa snapshots freeze",
        writes=True,
    ),
    Key(
        "m",
        "mark",
        "compare",
        "Mark this snapshot; m on another one shows what changed",
        command="qa snapshots diff",
    ),
    Key(
        "t",
        "contamination",
        "contamination",
        "Which golden questions this snapshot gives away",
        command="qa snapshots contamination",
    ),
    Key(
        "h",
        "verify",
        "verify",
        "Compute every hash of this snapshot again",
        command="qa snapshots verify",
    ),
    Key("s", "sync", "sync", "Copy the files to the host", command="qa sync push", writes=True),
    Key("x", "stop_sync", "stop", "Stop the transfer; s goes on from there"),
    Key("a", "add_file", "add file", "Add a JSONL file of pairs to the list", writes=True),
    Key(
        "d",
        "leave_out",
        "leave out",
        "Take an added file off the list; the file stays",
        footer=False,
        writes=True,
    ),
    Key("r", "again", "check again", "Read and check the files again", command="qa pairs check"),
)
