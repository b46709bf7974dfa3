"""A desk that only looks: every call that its Protocol marks as a write is refused, whoever makes it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn, cast

from core.errors import ReadOnlyMode
from tui.desk.api import Desk
from tui.desk.marks import is_write


class ReadOnlyDesk:
    """`guarded(desk, on)` makes it. Sub-desks are guarded by their own Protocols."""

    def __init__(self, desk: Any, protocol: type, on: Callable[[], bool]) -> None:
        self._desk, self._protocol, self._on = desk, protocol, on
        self._parts: dict[str, ReadOnlyDesk] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._desk, name)
        if is_write(self._protocol, name):
            return lambda *args, **kwargs: (
                self._refuse(name) if self._on() else found(*args, **kwargs)
            )
        part = part_of(self._protocol, name)
        if part is None:
            return found
        if name not in self._parts:
            self._parts[name] = ReadOnlyDesk(found, part, self._on)
        return self._parts[name]

    def _refuse(self, name: str) -> NoReturn:
        words = name.strip("_").replace("_", " ")
        raise ReadOnlyMode(
            f"{words}: refused in read-only mode",
            why="this desk only looks; nothing was changed",
            try_next="ctrl+l ends read-only mode, if the app was not started with --read-only",
        )


def guarded(desk: Desk, on: Callable[[], bool]) -> Desk:
    """The desk itself while `on()` is False; while it is True, nothing can be changed through it."""
    return cast("Desk", ReadOnlyDesk(desk, Desk, on))


def part_of(protocol: type, name: str) -> type | None:
    """The Protocol of a sub-desk: `data: DataDesk` of a desk lies in tui.desk.api_data."""
    said = getattr(protocol, "__annotations__", {}).get(name)
    if said is None and isinstance(found := protocol.__dict__.get(name), property):
        said = getattr(found.fget, "__annotations__", {}).get("return")
    if said is None or isinstance(said, type):
        return said if said is not None and said.__name__.endswith("Desk") else None
    if not str(said).endswith("Desk"):
        return None
    return cast("type", getattr(import_module(f"tui.desk.api_{name}"), str(said)))
