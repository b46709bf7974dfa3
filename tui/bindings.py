"""Every key of every screen, once: bindings, footer, `?` help, palette and key map all read these tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType

from tui.keys import Key, table
from tui.keys.data import DATA
from tui.keys.evaluate import ANSWER, EVALUATE, GOLDEN
from tui.keys.host import HOST
from tui.keys.jobs import JOBS
from tui.keys.pilot import PILOT
from tui.keys.pull_table import LONG, PULL
from tui.keys.sources import SOURCES
from tui.keys.trace import TRACE
from tui.keys.train import CURVE, PLAN, TRAIN
from tui.keys.versions import VERSIONS

__all__ = [
    "ANSWER",
    "CURVE",
    "DATA",
    "EVALUATE",
    "EVERYWHERE",
    "GOLDEN",
    "HOST",
    "INSIDE",
    "JOBS",
    "LISTS",
    "LONG",
    "PILOT",
    "PLACES",
    "PLAN",
    "SIGNS",
    "SOURCES",
    "TRACE",
    "TRAIN",
    "VERSIONS",
    "Key",
    "Place",
    "bindings",
    "place",
    "table",
]


@dataclass(frozen=True, slots=True)
class Place:
    """A top-level screen. The number is fixed for good, so that fingers can learn it."""

    number: str
    mode: str
    name: str
    purpose: str
    keys: tuple[Key, ...]


PLACES = (
    Place("1", "pilot", "Pilot", "The four weeks of the pilot, item by item, with evidence", PILOT),
    Place("2", "data", "Data", "Files, problems, snapshots and what is in them", DATA),
    Place("3", "train", "Train", "Start and watch jobs: live log and loss curve", TRAIN),
    Place("4", "jobs", "Jobs", "Every job here and on the host, its log and what came of it", JOBS),
    Place("5", "evaluate", "Evaluate", "Is the model good enough? Systems side by side", EVALUATE),
    Place(
        "6", "versions", "Versions", "What exists, what is live; promote and roll back", VERSIONS
    ),
    Place("7", "sources", "Sources", "What markers may point to, and what is unknown", SOURCES),
    Place("8", "trace", "Trace", "From an answer back to the pairs that taught it", TRACE),
    Place("9", "host", "Host", "The way to the host, its readings, its environment", HOST),
)

# of pages and panes inside a screen
INSIDE = (CURVE, PLAN, ANSWER, GOLDEN, PULL, LONG)

EVERYWHERE = table(
    "app",
    *(
        Key(p.number, f"go('{p.mode}')", p.name, p.purpose, footer=False, id=f"go_{p.mode}")
        for p in PLACES
    ),
    Key("question_mark", "help", "help", "These keys and signs", shown="?"),
    Key("ctrl+p", "command_palette", "palette", "Find any command by name", id="palette"),
    Key(
        "colon",
        "command_palette",
        "palette",
        "The same palette",
        shown=":",
        footer=False,
        id="palette_colon",
    ),
    Key(
        "exclamation_mark",
        "notices",
        "notices",
        "Every notice so far, in full; y copies one",
        shown="!",
        footer=False,
    ),
    Key(
        "ctrl+n",
        "handover",
        "handover note",
        "Write down what ran, what changed, what is open",
        footer=False,
        command="qa handover",
    ),
    Key(
        "ctrl+l",
        "read_only",
        "read-only",
        "Read-only mode on or off: nothing can be changed",
        footer=False,
        command="qa app --read-only",
    ),
    Key(
        "ctrl+t",
        "theme",
        "theme",
        "Choose the colours; each is tried as you go",
        footer=False,
        command="qa app --theme",
    ),
    Key("ctrl+y", "copy", "copy", "Copy the name of the highlighted row", footer=False),
    Key(
        "ctrl+s",
        "export",
        "export",
        "Write the list in sight to a file: CSV of a table",
        footer=False,
    ),
    Key(
        "ctrl+o",
        "open_file",
        "open file",
        "Open the file behind the highlighted row in $EDITOR, at its line",
        footer=False,
    ),
    Key("Z", "alone", "this pane alone", "This pane alone, and all of them back", footer=False),
    Key(
        "ctrl+g",
        "hop",
        "go to a pane",
        "A letter on every pane: press it to go there",
        footer=False,
    ),
    *(
        Key(
            f"ctrl+{way}",
            f"border('{way}')",
            f"border {where}",
            f"Move the border beside this pane {where}; the mouse drags it",
            shown=f"ctrl+{sign}",
            footer=False,
            id=f"border_{way}",
        )
        for way, where, sign in (
            ("left", "to the left", "←"),
            ("right", "to the right", "→"),
            ("up", "up", "↑"),
            ("down", "down", "↓"),
        )
    ),
    Key(
        "vertical_line",
        "borders",
        "own sizes",
        "The panes as the program has them; of one border, two clicks on it",
        shown="|",
        footer=False,
    ),
    Key("T", "times", "times", "Times as local time, as UTC, as age", footer=False),
    Key(
        "ctrl+r",
        "reconnect",
        "reconnect",
        "Open the route to the host again",
        footer=False,
        command="qa doctor",
    ),
    Key(
        "minus",
        "last_place",
        "last screen",
        "The screen before this one, and back",
        shown="-",
        footer=False,
    ),
    Key(
        "tab",
        "focus_next",
        "next pane",
        "The next pane; shift+tab goes back",
        footer=False,
        bound=False,
        id="next_pane",
    ),
    Key("escape", "back", "back", "One level back; never quits", shown="esc", footer=False),
    Key("q", "quit", "quit", "Leave. A running job goes on without the app", footer=False),
    Key(
        "ctrl+z",
        "suspend_process",
        "to the shell",
        "Back to the shell; `fg` returns",
        footer=False,
        id="suspend",
    ),
)

LISTS = table(
    "list",
    Key("j,down", "cursor_down", "down", "Next row", shown="j ↓", bound=False, id="down"),
    Key("k,up", "cursor_up", "up", "Previous row", shown="k ↑", bound=False, id="up"),
    Key("g,home", "first", "first", "First row", shown="g", bound=False),
    Key("G,end", "last", "last", "Last row", shown="G", bound=False),
    Key("ctrl+d,pagedown", "page_down", "page down", "A page down", shown="ctrl+d", bound=False),
    Key("ctrl+u,pageup", "page_up", "page up", "A page up", shown="ctrl+u", bound=False),
    Key("enter", "select", "open", "Open the highlighted row", bound=False, id="open"),
    Key("slash", "find", "find", "Find a row, where / does nothing else", shown="/", bound=False),
    Key(
        "ampersand",
        "filter",
        "filter",
        "Show only rows with these words; !word: without it; esc shows all",
        shown="&",
        bound=False,
    ),
    Key("n", "find_next", "next", "The next row found, after /", bound=False),
    Key("N", "find_previous", "previous", "The row found before, after /", bound=False),
)

SIGNS = (
    ("✔", "ok", "done, passed, succeeded"),
    ("✘", "bad", "failed"),
    ("◌", "unsure", "undecided: the sample is too small to say"),
    ("▲", "warn", "warning, or lost sight of"),
    ("●", "accent", "live, or running now"),
    ("○", "dim", "open, or not live"),
    ("■", "warn", "stopped by the operator"),
)


def place(mode: str) -> Place:
    return next(p for p in PLACES if p.mode == mode)


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Textual bindings; the footer is ours, so none is shown by Textual's own."""
    return [
        Binding(
            k.key, k.action, k.label, show=False, key_display=k.written, tooltip=k.help, id=k.id
        )
        for k in keys
        if k.bound
    ]
