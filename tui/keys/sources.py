"""The keys of Sources."""

from __future__ import annotations

from tui.keys import Key, table
from tui.keys.pull_table import inside

SOURCES = (
    *table(
        "sources",
        Key(
            "slash",
            "filter",
            "filter",
            "Words of an id, name, address or example; !word: without it",
            shown="/",
            bound=False,
            command="qa sources list",
        ),
        Key(
            "r",
            "resolve",
            "resolve",
            "This unknown id is a source: give its name and address",
            writes=True,
            command="qa sources resolve",
        ),
        Key(
            "a",
            "alias",
            "alias",
            "This unknown id is another name of a known source",
            writes=True,
            command="qa sources resolve",
        ),
        Key(
            "d",
            "drop_source",
            "dismiss",
            "This unknown id is no source; keeps why",
            writes=True,
            command="qa sources resolve",
        ),
        Key("w", "open_url", "open URL", "Open its address in the browser"),
    ),
    *inside("sources"),
)
