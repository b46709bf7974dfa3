"""The operator's own keys: `keys.toml` in the XDG configuration folder, `action id = keys`.

    [train]
    start = "S"                # or, at the top of the file: "train.start" = "S"
    stop = ["X", "ctrl+x"]

What cannot hold (an unknown id or key, a key that is taken) is told and left out; the rest holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core import locations
from core.errors import SettingsError
from tui.bindings import EVERYWHERE, INSIDE, LISTS, PLACES, Key, Place
from tui.keys.pull_table import PULL
from tui.settings_file import line_of, read_toml

NAME = "keys.toml"
MODIFIERS = frozenset({"ctrl", "shift", "alt", "meta", "super", "hyper"})
FIXED = frozenset({"escape", "ctrl+c"})  # the way out stays the way out


@dataclass(frozen=True, slots=True)
class KeyMap:
    """own: action id → Textual's key names. Empty: every key as the program has it."""

    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def keys(self, rows: Iterable[Key]) -> tuple[Key, ...]:
        """The table as the operator has it."""
        return tuple(self._mapped(row) for row in rows)

    def place(self, place: Place) -> Place:
        return replace(place, keys=self.keys(place.keys)) if self.own else place

    def as_textual(self) -> dict[str, str]:
        """For `App.set_keymap`."""
        return {name: ",".join(keys) for name, keys in self.own.items()}

    def _mapped(self, row: Key) -> Key:
        name = row.id if row.bound or row.id in _LIST_IDS else _opened_by(row)
        keys = self.own.get(name)
        return row if keys is None else replace(row, key=",".join(keys), shown=written(keys[0]))


def path() -> Path:
    return locations.user_config_dir() / NAME


def load(file: Path | None = None) -> tuple[KeyMap, list[SettingsError]]:
    """The key map, and what is wrong with the file."""
    file = file or path()
    data, problems = read_toml(file)
    if not data:
        return KeyMap(), problems
    found, faults = check(dict(_flat(data)))
    for name, what, hint in faults:
        problems.append(SettingsError(f"{file}:{line_of(file, name)}: {what}", try_next=hint))
    return found, problems


def check(wanted: Mapping[str, Any]) -> tuple[KeyMap, list[tuple[str, str, str]]]:
    """action id → keys as given; and of what cannot hold: the id, what is wrong, what to try."""
    faults: list[tuple[str, str, str]] = []
    own: dict[str, tuple[str, ...]] = {}
    known = {row.id: row for row in every_key() if row.bound or row.id in _LIST_IDS}
    for name, value in wanted.items():
        if name not in known:
            faults.append((name, f"no action {name!r}", _near_action(name, known)))
            continue
        keys = [value] if isinstance(value, str) else value
        if not isinstance(keys, list) or not keys or not all(isinstance(k, str) for k in keys):
            faults.append((name, f"{name!r} has to be a key or a list of keys", 'like "S"'))
            continue
        named = [(k, key_name(k)) for k in keys]
        bad = next((k for k, n in named if n is None or n in FIXED), None)
        if bad is not None:
            faults.append((name, f"{name}: {bad!r} is no key that can be given", _near_key(bad)))
            continue
        # "/" and "slash" are one key
        own[name] = tuple(dict.fromkeys(n for _, n in named if n is not None))
    # what is refused has its own key again, which another row may just have taken
    while clashes := [c for c in _clashes(own) if c[0] in own]:
        for name, key, other in clashes:
            if own.pop(name, None) is not None:
                hint = f"give {other!r} another key too, or {name!r} a key that is free"
                faults.append((name, f"{name}: {written(key)!r} is the key of {other!r}", hint))
    return KeyMap(own), faults


def every_key() -> Iterator[Key]:
    """Of the screens, of what is inside them, of the app and of its lists."""
    for rows in _tables():
        yield from rows
    yield from EVERYWHERE
    yield from LISTS


def _tables() -> list[tuple[Key, ...]]:
    return [*(place.keys for place in PLACES), *INSIDE]


def key_name(key: str) -> str | None:
    """Textual's name of a key as people write it (`/`, `S`, `ctrl+x`, `f5`); None if there is none."""
    from textual.keys import Keys, _character_to_key

    *modifiers, last = key.strip().split("+") if key.strip() != "+" else [key.strip()]
    if not set(modifiers) <= MODIFIERS or not last:
        return None
    if len(last) == 1:
        last = _character_to_key(last) if last.isprintable() and last != " " else ""
    elif last not in {k.value for k in Keys} and last not in _signs():
        return None
    return "+".join([*modifiers, last]) if last else None


def written(key: str) -> str:
    """A Textual key name as people write it."""
    return {name: sign for sign, name in _SIGNS.items()}.get(key, key)


_SIGNS = {
    "/": "slash", "?": "question_mark", ":": "colon", "!": "exclamation_mark", "-": "minus",
    "+": "plus", ",": "comma", ".": "full_stop", ";": "semicolon", "*": "asterisk", "#": "number_sign",
    "[": "left_square_bracket", "]": "right_square_bracket", "<": "less_than_sign",
    ">": "greater_than_sign", "=": "equals_sign", "&": "ampersand", "%": "percent_sign",
    "$": "dollar_sign", "@": "at", "_": "underscore", "|": "vertical_line", "~": "tilde",
    "'": "apostrophe", '"': "quotation_mark", "(": "left_parenthesis", ")": "right_parenthesis",
    "\\": "backslash", "^": "circumflex_accent", "`": "grave_accent", "{": "left_curly_bracket",
    "}": "right_curly_bracket",
}  # fmt: skip
_LIST_IDS = frozenset(row.id for row in LISTS)


def _signs() -> set[str]:
    return set(_SIGNS.values())


_OF_TABLES = {row.action: row.id for row in PULL}


def _opened_by(row: Key) -> str:
    """A screen's enter is the enter of its list; of a table inside it, the table's own keys."""
    return "list.open" if row.key == "enter" else _OF_TABLES.get(row.action, row.id)


def _flat(data: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _near_action(name: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else "qa app --keys lists them"


def _near_key(key: str) -> str:
    import difflib

    from textual.keys import Keys

    if key in FIXED:
        return "it always leads back; take another one"
    names = [k.value for k in Keys if not k.value.startswith("<")]
    near = difflib.get_close_matches(key.replace("-", "+").lower(), names, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else "like S, /, f5, ctrl+x or shift+tab"


def _clashes(own: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str, str]]:
    """(id, key, the other id) of new keys that mean something else already where both can be used."""
    found = []
    mapped = KeyMap(own)
    for rows in _tables():
        here = [row for row in (*rows, *EVERYWHERE) if row.bound]
        here += LISTS
        taken: dict[str, str] = {}
        for row in sorted(mapped.keys(here), key=lambda r: r.id in own):  # the defaults first
            for key in row.key.split(","):
                other = taken.setdefault(key, row.id)
                if other != row.id and row.id in own:
                    found.append((row.id, key, other))
    return list(dict.fromkeys(found))
