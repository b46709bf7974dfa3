"""The first steps: shown once, while the registry holds neither a job nor a version."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rich.text import Text

from core import locations
from tui import clean
from tui.bindings import PLACES
from tui.present import empty

STEPS = (
    ("host", "the way to the host, and what would fail there", "qa doctor"),
    ("data", "the question/answer pairs and their problems", "qa pairs check"),
    ("pilot", "the four weeks: enter runs an item's check", "qa checklist run"),
    ("train", "a training, which goes on without the app", "qa jobs train"),
    ("evaluate", "is the model good enough?", "qa jobs evaluate"),
    ("versions", "make it live; take it back in one key", "qa versions promote"),
)


def _marker() -> Path:
    return locations.state_dir() / "first-steps-seen"


def wanted() -> bool:
    """Whether this operator has not put the guide away yet."""
    return not _marker().exists()


def seen() -> None:
    with contextlib.suppress(OSError):
        _marker().parent.mkdir(parents=True, exist_ok=True)
        _marker().touch()


def guide(host: str) -> Text:
    """What to do first, in the order in which it is done."""
    numbers = {p.mode: p.number for p in PLACES}
    widest = max(len(what) for _, what, _ in STEPS)
    out = empty.state(
        "Nothing has been trained here yet",
        f"This desk drives {clean.line(host, 30)}. To a version that is live:",
        [(numbers[mode], f"{what:<{widest}}   {command}") for mode, what, command in STEPS],
    )
    out.append("\n\nEverywhere  ", "dim")
    for key, what in (("?", "keys"), (":", "find"), ("esc", "back"), ("q", "leave; jobs go on")):
        out.append(key, "key")
        out.append(f" {what}   ", "dim")
    return out
