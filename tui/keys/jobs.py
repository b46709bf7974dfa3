"""The keys of Jobs."""

from __future__ import annotations

from tui.keys import Key, table
from tui.keys.pull_table import inside

MAIN = table(
    "jobs",
    Key("enter", "open_log", "log", "Go to the log of the highlighted job", bound=False),
    Key(
        "x",
        "stop",
        "stop",
        "Stop it; it ends at its next checkpoint",
        command="qa jobs stop",
        writes=True,
    ),
    Key(
        "u",
        "resume",
        "resume",
        "Go on from its last checkpoint, as a new job",
        command="qa jobs resume",
        writes=True,
    ),
    Key(
        "R",
        "rerun",
        "run again",
        "The same settings and inputs again, as a new job",
        command="qa jobs rerun",
        writes=True,
    ),
    Key(
        "a",
        "artifacts",
        "artifacts",
        "What it left; enter copies one here",
        command="qa jobs artifacts",
    ),
    Key(
        "d",
        "remove",
        "remove",
        "Remove it, or the marked ones, on the host; what is mirrored here stays",
        command="qa jobs rm",
        writes=True,
    ),
    Key("w", "why_line", "why", "Show the line of the log that tells why it failed"),
    Key("b", "beside", "beside", "Mark this job; b on another one merges both logs by time"),
    Key("z", "zoom", "zoom", "The log alone, and back"),
    Key(
        "K",
        "kill",
        "kill",
        "End it at once, without a checkpoint",
        footer=False,
        command="qa jobs stop --kill",
        writes=True,
    ),
)

JOBS = (*MAIN, *inside("jobs"))
