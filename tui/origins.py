"""What holds at this desk, value by value, and where each was found: `qa settings`, and the palette."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields

from core import locations, whoami
from tui import keymap, settings_file, theme
from tui.desk.api_host import Setting
from tui.settings_file import AppSettings

DEFAULT = "default"
_OPTIONS = {"host": "--host", "theme": "--theme", "read_only": "--read-only"}
_VARIABLES = {"host": "QA_HOST", "reduced_motion": "QA_REDUCED_MOTION"}
_PLACES = (
    ("registry", locations.registry_path, ("QA_REGISTRY",)),
    ("state", locations.state_dir, ("QA_STATE", "XDG_STATE_HOME")),
    ("own settings", locations.user_config_dir, ("QA_USER_CONFIG", "XDG_CONFIG_HOME")),
    ("cache", locations.cache_dir, ("QA_CACHE", "XDG_CACHE_HOME")),
    ("models", locations.models_dir, ("QA_MODELS", "QA_CACHE", "XDG_CACHE_HOME")),
    ("configs", locations.configs, ("QA_CONFIGS",)),
)


def told(given: Iterable[str] = (), now: Mapping[str, str] | None = None) -> list[Setting]:
    """given: settings that came from the command line.  now: values that were changed since."""
    settings, _ = settings_file.load()
    lines, now = settings_file.stated(), now or {}
    rows = [_chosen(f.name, settings, lines, frozenset(given), now) for f in fields(settings)]
    rows.append(_keys())
    rows.append(Setting("operator", whoami.whoami(), _variable("QA_OPERATOR") or "login name"))
    if os.environ.get("NO_COLOR"):
        rows.append(Setting("colour", "shades of grey", "NO_COLOR"))
    for label, place, names in _PLACES:
        origin = next((n for n in names if os.environ.get(n)), DEFAULT)
        rows.append(Setting(label, str(place()), origin))
    return rows


def _chosen(
    name: str,
    settings: AppSettings,
    lines: Mapping[str, int],
    given: frozenset[str],
    now: Mapping[str, str],
) -> Setting:
    """One entry of the settings file: the command line goes before the environment, this before the file."""
    label, in_file = name.replace("_", " "), getattr(settings, name)
    written = _words(in_file) or ("sandbox" if name == "host" else "none")
    if name == "theme":
        written = theme.chosen(in_file)
    variable = _variable(_VARIABLES.get(name, ""))
    if name in given:
        return Setting(label, now.get(name, written), _OPTIONS[name])
    if variable and (name == "host" or os.environ[variable] != "0"):
        value = os.environ[variable] if name == "host" else "yes"
        return Setting(label, now.get(name, value), variable)
    origin = f"{settings_file.NAME}:{lines[name]}" if name in lines else DEFAULT
    value = now.get(name, written)
    return Setting(label, value, origin if value == written else "changed in the app")


def _variable(name: str) -> str:
    return name if name and os.environ.get(name) else ""


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _keys() -> Setting:
    own, _ = keymap.load()
    if not own.own:
        return Setting("keys", "as they come", DEFAULT)
    return Setting("keys", f"{len(own.own)} of your own", keymap.NAME)
