"""The keys of Host."""

from __future__ import annotations

from tui.keys import Key, table

HOST = table(
    "host",
    Key("c", "check", "check", "Look at the host: what would fail there", command="qa doctor"),
    Key(
        "F",
        "fix",
        "make environment",
        "Start the job that makes the Python environment of the jobs",
        command="qa doctor --fix",
        writes=True,
    ),
    Key(
        "t",
        "open_tunnel",
        "tunnel",
        "Open a port of the host here",
        command="qa tunnel",
        writes=True,
    ),
    Key("x", "close_tunnel", "close", "Close the highlighted tunnel", writes=True),
)
