"""What an empty screen says: what is missing, and what to do first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tui.present.words import text


def state(title: str, what: str = "", steps: Sequence[tuple[str, str]] = ()) -> Text:
    """title: what there is not.  steps: (key, what it does), the first one first.

    The words are the program's own; what came from elsewhere is to be cleaned before.
    """
    out = text((title, "strong"))
    if what:
        out.append(f"\n{what}", "dim")
    if steps:
        out.append("\n")
        room = max(len(key) for key, _ in steps)
    for key, does in steps:
        out.append(f"\n  {key:<{room}}", "key")
        out.append(f"  {does}")
    return out
