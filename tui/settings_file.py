"""The operator's own settings of the app: `settings.toml` in the XDG configuration folder.

A missing file costs one look. A faulty entry is told and left out; the app starts with the rest.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from core import locations
from core.errors import SettingsError
from core.jobdir import write_atomic

NAME = "settings.toml"
_ONE_WRITER = threading.Lock()


@dataclass(frozen=True, slots=True)
class AppSettings:
    """theme: "" takes the default one.  reduced_motion: nothing moves by itself.
    times: local, utc or age.
    panes: sizes of panes, as the app writes them (tui.splits).
    production: names of hosts whose frame is coloured, beside those that configs/hosts.yaml marks.
    """

    theme: str = ""
    read_only: bool = False
    reduced_motion: bool = False
    host: str = ""
    times: str = "local"
    production: tuple[str, ...] = ()
    panes: tuple[str, ...] = ()


def path() -> Path:
    return locations.user_config_dir() / NAME


def load(file: Path | None = None) -> tuple[AppSettings, list[SettingsError]]:
    """The settings, and what is wrong with the file."""
    file = file or path()
    data, problems = read_toml(file)
    settings = AppSettings()
    known = {f.name: type(getattr(settings, f.name)) for f in fields(settings)}
    for name, value in data.items():
        where = f"{file}:{line_of(file, name)}"
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1, 0.5)
            problems.append(
                SettingsError(
                    f"{where}: unknown key {name!r}",
                    try_next=f"did you mean {near[0]!r}?"
                    if near
                    else f"one of: {', '.join(known)}",
                )
            )
        elif (typed := _typed(value, known[name])) is None:
            wanted = {bool: "true or false", str: "a text", tuple: "a list of texts"}[known[name]]
            problems.append(SettingsError(f"{where}: {name!r} has to be {wanted}"))
        else:
            settings = replace(settings, **{name: typed})
    return settings, problems


def stated(file: Path | None = None) -> dict[str, int]:
    """The entries that hold, each with its line."""
    file = file or path()
    data, _ = read_toml(file)
    known = {f.name: type(getattr(AppSettings(), f.name)) for f in fields(AppSettings)}
    good = (n for n, value in data.items() if n in known and _typed(value, known[n]) is not None)
    return {name: line_of(file, name) for name in good}


def _typed(value: Any, kind: type) -> Any:
    if kind is tuple:
        good = isinstance(value, list) and all(isinstance(v, str) for v in value)
        return tuple(value) if good else None
    return value if isinstance(value, kind) else None


def read_toml(file: Path) -> tuple[dict[str, Any], list[SettingsError]]:
    """The tables of a TOML file; none if it is missing or cannot be read, with what is wrong."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as e:
        return {}, [SettingsError(f"{file}: cannot be read", why=str(e))]
    import tomllib

    try:
        return tomllib.loads(text), []
    except tomllib.TOMLDecodeError as e:
        return {}, [SettingsError(f"{file}: not valid TOML", why=str(e))]


def line_of(file: Path, key: str) -> int:
    """The line (from 1) where `key` stands, or its last part after a dot; 1 if it is not found."""
    words = (re.escape(key), re.escape(key.rpartition(".")[2]))
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return 1
    for word in words:
        for number, line in enumerate(lines, 1):
            if re.match(rf'\s*(?:[\w."-]*\.)?"?{word}"?\s*=', line):
                return number
    return 1


Value = str | bool | list[str]


def store(name: str, value: Value | Callable[[], Value], file: Path | None = None) -> None:
    """Change one entry and nothing else of the file. Raises SettingsError.

    A callable is asked when its turn has come: of several in a row, none writes what is old.
    """
    import tomllib

    file = file or path()
    try:
        with _ONE_WRITER:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            text = file.read_text("utf-8") if file.exists() else ""
            quoted = json.dumps(value() if callable(value) else value, ensure_ascii=False)
            changed = with_entry(text, name, quoted)  # JSON of these types is TOML too
            tomllib.loads(changed)  # an entry of several lines is not written over by halves
            write_atomic(file.resolve(), changed.encode())
    except (OSError, ValueError) as e:
        raise SettingsError(
            f"{file}: {name} could not be stored", why=str(e), try_next="it holds until you leave"
        ) from e


def with_entry(text: str, name: str, value: str) -> str:
    """A TOML text with `name = value` at its top level; comments and order stay."""
    lines = text.splitlines()
    tables = next((n for n, s in enumerate(lines) if s.lstrip().startswith("[")), len(lines))
    for n in range(tables):
        if re.match(rf"\s*{re.escape(name)}\s*=", lines[n]):
            lines[n] = f"{name} = {value}"
            return "\n".join(lines) + "\n"
    lines.insert(tables, f"{name} = {value}")
    return "\n".join(lines) + "\n"
