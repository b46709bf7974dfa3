"""Typed YAML settings: an error names the file, the line, the key and the nearest valid key."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import SettingsError


class Settings(BaseModel):
    """Base of every settings model: unknown keys are refused, values do not change afterwards, numbers
    are finite."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )


# libyaml's parser where PyYAML was built with it: ten times faster, same events
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]


def load(path: Path, model: type[M], *, key: str | None = None) -> M:
    """Read one YAML file into `model`. `key`: validate only that top-level entry.

    Raises SettingsError: unreadable, not YAML, wrong type, missing or unknown key.
    """
    data, lines = read_yaml(path)
    if key is not None:
        if not isinstance(data, dict) or key not in data:
            known = ", ".join(sorted(map(str, data))) if isinstance(data, dict) else "nothing"
            raise SettingsError(f"{path}: no entry {key!r}", try_next=f"one of: {known}")
        data = data[key]
        lines = {loc[1:]: n for loc, n in lines.items() if loc and loc[0] == key}
    return validate(data, model, origin=str(path), lines=lines)


def read_yaml(path: Path) -> tuple[Any, dict[Loc, int]]:
    """The plain data of a YAML file, and the line (from 1) of each key and item.

    Raises SettingsError: unreadable, not YAML, a key that stands twice.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _siblings(path), 1)
        raise SettingsError(
            f"{path}: no such file", try_next=f"did you mean {near[0]}?" if near else ""
        ) from None
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: cannot be read", why=str(e)) from e
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # a SafeLoader either way
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise SettingsError(
            f"{path}{where}: not valid YAML", why=str(getattr(e, "problem", None) or e)
        ) from e
    lines: dict[Loc, int] = {}
    if node is not None:
        _mark(node, (), lines, str(path))
    return data, lines


def refuse_twice(text: str, origin: str) -> None:
    """Raises SettingsError for YAML in which a key stands twice: the reader keeps the last one only."""
    node = yaml.compose(text, Loader=_Loader)
    if node is not None:
        _mark(node, (), {}, origin)


def _siblings(path: Path) -> list[str]:
    return [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []


def _mark(node: yaml.Node, loc: Loc, lines: dict[Loc, int], origin: str) -> None:
    lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for k, v in node.value:
            at, line = (*loc, str(k.value)), k.start_mark.line + 1
            if at in lines:
                raise SettingsError(
                    f"{origin}:{line}: the key {'.'.join(map(str, at))!r} stands there twice",
                    why=f"first in line {lines[at]}; of two only the last would be read",
                    try_next="keep one of them",
                )
            lines[at] = line
            _mark(v, at, lines, origin)
    elif isinstance(node, yaml.SequenceNode):
        for i, v in enumerate(node.value):
            _mark(v, (*loc, i), lines, origin)


def validate(data: Any, model: type[M], *, origin: str, lines: dict[Loc, int] | None = None) -> M:
    """Plain data into `model`; SettingsError lists every fault with its line and nearest key."""
    try:
        return model.model_validate(data)
    except ValidationError as e:
        faults = [_fault(err, model, origin, lines or {}) for err in e.errors()]
        raise SettingsError(
            faults[0][0],
            why="; ".join(what for what, _ in faults[1:]),
            try_next="; ".join(hint for _, hint in faults if hint),
        ) from None


def _fault(err: Any, model: type[BaseModel], origin: str, lines: dict[Loc, int]) -> tuple[str, str]:
    loc: Loc = tuple(err["loc"])
    line = next((lines[loc[:n]] for n in range(len(loc), -1, -1) if loc[:n] in lines), None)
    where = f"{origin}:{line}" if line else origin
    key = ".".join(map(str, loc)) or "(the whole file)"
    if err["type"] == "extra_forbidden":
        valid = _keys_at(model, loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), valid, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}"
        return f"{where}: unknown key {key!r}", hint
    if err["type"] == "missing":
        return f"{where}: key {key!r} is missing", f"add {key!r}"
    found = err.get("input")
    shown = f", not {found!r}" if isinstance(found, int | float | None) else ""
    return f"{where}: {key!r}: {err['msg']}{shown}", ""


def _keys_at(model: Any, loc: Loc) -> list[str]:
    """Valid keys of the settings model found by walking `loc` through the fields' annotations."""
    for step in loc:
        if isinstance(step, int):
            continue
        fields = getattr(model, "model_fields", {})
        if str(step) in fields:
            model = _inner(fields[str(step)].annotation)
        # else: a key of a mapping; the model of its values is already in hand
    return list(getattr(model, "model_fields", {}))


def _inner(annotation: Any) -> Any:
    """The settings model inside `X | None`, `list[X]` or `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for arg in getattr(annotation, "__args__", ()):
        found = _inner(arg)
        if found is not None:
            return found
    return None
