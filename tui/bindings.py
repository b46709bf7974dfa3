"""Every key of every screen, once: bindings, footer, `?` help and palette all read this table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Key:
    """key: Textual's name(s), comma-separated.  label: footer word.  help: what it does.

    shown: how the key is written for people.  footer: listed at the bottom of the screen.
    bound: False where the focused list answers the key itself.
    """

    key: str
    action: str
    label: str
    help: str
    shown: str = ""
    footer: bool = True
    bound: bool = True

    @property
    def written(self) -> str:
        return self.shown or self.key.split(",")[0]


@dataclass(frozen=True, slots=True)
class Place:
    """A top-level screen. The number is fixed for good, so that fingers can learn it."""

    number: str
    mode: str
    name: str
    purpose: str
    keys: tuple[Key, ...]


PILOT = (
    Key(
        "enter",
        "run_check",
        "run check",
        "Run this item's check and keep its evidence",
        bound=False,
    ),
    Key("n", "note", "note", "Add a note as evidence, for what no program can check"),
    Key("o", "open_job", "open job", "Show the job behind the newest evidence"),
    Key("D", "decide", "decide", "Record GO or NO-GO, with a reason"),
)

TRAIN = (
    Key("s", "start", "start", "Start a training job: pick a recipe, confirm"),
    Key("x", "stop", "stop", "Stop the job shown; it ends at its next checkpoint"),
    Key("o", "jobs", "jobs", "Go to the list of jobs; enter shows one"),
    Key("f", "follow", "follow", "Follow the end of the log again"),
    Key("slash", "search", "search", "Search the log; n and N go on", shown="/"),
    Key("y", "log_y", "log y", "Logarithmic loss axis on or off"),
    Key("z", "zoom", "zoom", "The log or the curve alone, and back"),
    Key("n", "search_next", "next match", "Next match of the search", footer=False),
    Key("N", "search_previous", "previous match", "Previous match of the search", footer=False),
    Key("g", "log_top", "log top", "First line of the log; stops following", footer=False),
    Key("G", "follow", "log end", "Last line of the log, and follow", footer=False),
)

EVALUATE = (
    Key("enter", "open_answer", "whole answer", "The highlighted answer in full", bound=False),
    Key("v", "choose_version", "version", "Choose whose evaluation is shown"),
    Key("c", "categories", "categories", "Scores by question category, on or off"),
    Key("f", "flips", "flips", "What the version before had right, and the other way round"),
    Key("r", "report", "report", "The whole report; `qa report --out FILE.html` is for leadership"),
    Key("e", "evaluate", "evaluate", "Start an evaluation of this version on the host"),
)

VERSIONS = (
    Key("p", "promote", "promote", "Make this version live in staging or production"),
    Key("r", "roll_back", "roll back", "Put the previous version back"),
    Key("u", "return_live", "return", "Undo the last switch, while its window is open"),
    Key("a", "approve", "approve", "Agree to a promotion that somebody else makes"),
    Key("m", "mark", "compare", "Mark this version; m on another one compares the two"),
    Key("e", "evaluate", "evaluate", "Start an evaluation of this version on the host"),
    Key("enter", "open_scores", "scores", "Show this version's evaluation", bound=False),
    Key("i", "card", "model card", "This version's model card", footer=False),
    Key("t", "look_back", "look back", "What was live at a moment of the past", footer=False),
    Key("l", "trail", "audit trail", "Every row of the audit about this version", footer=False),
    Key("h", "history", "history", "What was promoted and rolled back, by whom", footer=False),
)

SOURCES = (
    Key("slash", "filter", "filter", "Filter by id, name, address or example", shown="/"),
    Key("r", "resolve", "resolve", "This unknown id is a source: give its name and address"),
    Key("a", "alias", "alias", "This unknown id is another name of a known source"),
    Key("d", "drop_source", "dismiss", "This unknown id is no source; keeps why"),
    Key("w", "open_url", "open URL", "Open its address in the browser"),
)

PLACES = (
    Place("1", "pilot", "Pilot", "The four weeks of the pilot, item by item, with evidence", PILOT),
    Place("3", "train", "Train", "Start and watch jobs: live log and loss curve", TRAIN),
    Place("5", "evaluate", "Evaluate", "Is the model good enough? Systems side by side", EVALUATE),
    Place(
        "6", "versions", "Versions", "What exists, what is live; promote and roll back", VERSIONS
    ),
    Place("7", "sources", "Sources", "What markers may point to, and what is unknown", SOURCES),
)

EVERYWHERE = (
    *(Key(p.number, f"go('{p.mode}')", p.name, p.purpose, footer=False) for p in PLACES),
    Key("question_mark", "help", "help", "These keys and signs", shown="?"),
    Key("ctrl+p", "command_palette", "palette", "Find any command by name"),
    Key("colon", "command_palette", "palette", "The same palette", shown=":", footer=False),
    Key("ctrl+r", "reconnect", "reconnect", "Open the route to the host again", footer=False),
    Key("escape", "back", "back", "One level back; never quits", shown="esc", footer=False),
    Key("q", "quit", "quit", "Leave. A running job goes on without the app", footer=False),
)

LISTS = (
    Key("j,down", "", "down", "Next row", shown="j ↓", bound=False),
    Key("k,up", "", "up", "Previous row", shown="k ↑", bound=False),
    Key("g,home", "", "first", "First row", shown="g", bound=False),
    Key("G,end", "", "last", "Last row", shown="G", bound=False),
    Key("ctrl+d,pagedown", "", "page down", "A page down", shown="ctrl+d", bound=False),
    Key("ctrl+u,pageup", "", "page up", "A page up", shown="ctrl+u", bound=False),
    Key("tab", "", "next pane", "Next pane; shift+tab goes back", bound=False),
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
        Binding(k.key, k.action, k.label, show=False, key_display=k.written, tooltip=k.help)
        for k in keys
        if k.bound
    ]
