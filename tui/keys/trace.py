"""The keys of Trace."""

from __future__ import annotations

from tui.keys import Key, table

TRACE = table(
    "trace",
    Key("enter", "open_row", "trace", "Trace this answer back to its pairs", bound=False),
    Key(
        "i",
        "give",
        "paste",
        "Type an id or paste an answer, of any length; in Ask: type a question",
        command="qa trace",
    ),
    Key("a", "ask_mode", "ask", "Ask a question, and back to tracing", command="qa ask"),
    Key(
        "c",
        "correct",
        "correct",
        "The suspect pair is wrong: type what it should say, and queue that",
        command="qa trace corrections add",
        writes=True,
    ),
    Key(
        "d",
        "drop",
        "drop",
        "The suspect pair is to be left out of the next snapshot: queue that",
        command="qa trace corrections add --remove",
        writes=True,
    ),
    Key("v", "choose", "whose", "Choose whose answers are listed; in Ask: who is asked"),
    Key(
        "u",
        "queue",
        "queue",
        "The corrections that are waiting for the next snapshot",
        command="qa trace corrections list",
    ),
    Key(
        "F",
        "freeze",
        "freeze",
        "Freeze the next snapshot, with the queued corrections in it",
        footer=False,
        command="qa trace corrections freeze",
        writes=True,
    ),
    Key("w", "beside", "side by side", "In Ask: choose a second one to ask, or none"),
    Key(
        "e",
        "endpoint",
        "endpoint",
        "In Ask: the address of a server that serves a version",
        command="qa ask --endpoint",
    ),
    Key("x", "stop_asking", "stop", "In Ask: stop waiting for the server", footer=False),
)
