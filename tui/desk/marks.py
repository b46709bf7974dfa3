"""Which calls of a desk change something: said once, at the Protocol's own method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

C = TypeVar("C", bound=Callable[..., object])


def writes(method: C) -> C:
    """Marks a method of a desk's Protocol that changes the registry, a host or a file.

    Read-only mode refuses it (tui.desk.read_only).
    """
    method.__writes__ = True  # type: ignore[attr-defined]
    return method


def is_write(protocol: type, name: str) -> bool:
    return bool(getattr(getattr(protocol, name, None), "__writes__", False))
