"""One thing that was looked at on a host, and how untrusted facts are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from remote.helper_client import plain

Outcome = Literal["pass", "warn", "fail", "info"]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """consequence: what it means for the work. try_next: empty where nothing is to be done."""

    id: str
    title: str
    outcome: Outcome
    detail: str
    consequence: str = ""
    try_next: str = ""


def text_of(facts: Facts, key: str) -> str:
    return plain(facts.get(key) or "unknown", 200)


def int_of(facts: Facts, key: str) -> int | None:
    value = facts.get(key)
    return int(value) if isinstance(value, (int, float)) else None


def version_of(text: object) -> tuple[int, ...]:
    """`555.42.06` → (555, 42, 6); what is no number ends it."""
    parts: list[int] = []
    for word in str(text).split("."):
        if not word.isdigit():
            break
        parts.append(int(word))
    return tuple(parts)
