"""What surrounds every screen but the status strip: tabs, key bar, error and help texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.style import Style
from rich.text import Text

from core.errors import QAError
from tui import clean
from tui.bindings import EVERYWHERE, LISTS, PLACES, SIGNS, Key, Place
from tui.present import words
from tui.present.words import text

KEY_ROOM = 9  # cells of a key's name on the help page
CRUMB_ROOM = 8  # cells; in less, a crumb says nothing


def tabs(width: int, current: str, crumb: str = "", places: Sequence[Place] = PLACES) -> Text:
    """Tab row: the places that exist, the crumb of what is open on the right.

    Where not all names fit, the other places are their numbers; where those do not, they go.
    """
    here = [p for p in places if p.mode == current]
    for shown, brief in ((places, False), (places, True), (here, True)):
        out = _tabs(current, shown, brief=brief)
        if out.cell_len <= width:
            break
    room = width - out.cell_len - 2
    if room < CRUMB_ROOM:
        return words.fit(out, width)
    trail = text((clean.line(crumb, 60), "dim"))
    trail.truncate(room, overflow="ellipsis")
    return words.join(out, Text.assemble(trail, " ", end=""), width)


def _tabs(current: str, places: Sequence[Place], *, brief: bool) -> Text:
    out = text()
    for place in places:
        on = place.mode == current
        name = place.number if brief and not on else f"{place.number} {place.name}"
        label = Text(f" {name} ", "reverse" if on else "dim", end="")
        label.stylize(Style(meta={"act": f"go('{place.mode}')"}))
        out.append_text(label)
    return out


def key_bar(
    width: int,
    keys: Iterable[Key],
    blocked: Callable[[Key], bool] = lambda key: False,
    everywhere: Iterable[Key] = EVERYWHERE,
) -> Text:
    """The keys that matter here; those that cannot be used now are dim."""
    right = text()
    for key in everywhere:
        if key.footer:
            right.append_text(_key(key, False))
    room = width - right.cell_len - 1
    if room < 8:
        return words.fit(Text.assemble(" ", right, end=""), width)
    left = text(" ")
    for key in keys:
        if not key.footer:
            continue
        piece = _key(key, blocked(key))
        if left.cell_len + piece.cell_len > room:
            break
        left.append_text(piece)
    return words.join(left, right, width)


def _key(key: Key, dim: bool) -> Text:
    out = text(
        (key.written, "faint" if dim else "key"), (f" {key.label}  ", "faint" if dim else "dim")
    )
    if key.action:
        # a click presses the key, so that both do the same
        out.stylize(Style(meta={"press": key.key.split(",")[0]}))
    return out


def error(problem: QAError) -> Text:
    """what / why / try next, one below the other."""
    out = text((clean.block(problem.what), "strong"))
    for label, role, said in (("why", "dim", problem.why), ("try next", "key", problem.try_next)):
        if said:
            out.append(f"\n\n{label}\n", role)
            out.append(clean.block(said))
    return out


def help_page(
    place: Place,
    *,
    pane: tuple[str, Iterable[Key]] | None = None,
    lists: Iterable[Key] = LISTS,
    everywhere: Iterable[Key] = EVERYWHERE,
    width: int = 88,
) -> Text:
    """The `?` page of a screen, from the same tables as its bindings. pane: what is in focus."""
    out = text((place.name, "title"), (f"   {place.purpose}\n", "dim"))
    parts = [(place.name, place.keys), pane, ("Lists", lists), ("Everywhere", everywhere)]
    for title, keys in (part for part in parts if part is not None):
        if title != place.name:
            out.append(f"\n{title}\n", "title")
        for key in keys:
            out.append_text(_explained(key, width))
    out.append("\nSigns\n", "title")
    for shape, role, meaning in SIGNS:
        out.append(f"  {shape:<{KEY_ROOM}}", role)
        out.append(f"{meaning}\n")
    return out


def keys_page(name: str, purpose: str, keys: Iterable[Key], width: int = 88) -> Text:
    """The `?` page of something that lies over a screen: its own keys alone."""
    out = text((name, "title"), (f"   {purpose}\n", "dim"))
    for key in keys:
        out.append_text(_explained(key, width))
    out.append_text(_explained(Key("escape", "leave", "leave", "Close it", "esc"), width))
    return out


def _explained(key: Key, width: int) -> Text:
    """A key, what it does, and its `qa` command: on the same line if there is room."""
    out = text((f"  {key.written:<{KEY_ROOM}}", "key"))
    lines = words.hang(key.help, width, KEY_ROOM + 2)[KEY_ROOM + 2 : -1]
    out.append(lines)
    if key.command:
        last = len(lines.rpartition("\n")[2]) + (0 if "\n" in lines else KEY_ROOM + 2)
        fits = last + 3 + len(key.command) <= width
        out.append("   " if fits else "\n" + " " * (KEY_ROOM + 2))
        out.append(key.command, "dim")
    out.append("\n")
    return out
