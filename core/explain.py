"""What the end of a failed job's log means, by rules of configs/explain.yaml. Pure but for reading them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import locations
from core.errors import SettingsError

MAX_LINE = 2000  # a pattern never meets an unbounded line
MAX_LINES = 4000  # of the end of a log


@dataclass(frozen=True, slots=True)
class Rule:
    """One known failure."""

    id: str
    pattern: re.Pattern[str]
    what: str
    try_next: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """rule: which one matched.  line: the text it matched.  number: of that line within what was
    given, counted from 0 at its first line."""

    rule: str
    what: str
    try_next: str
    line: str
    number: int


def explain(lines: Iterable[str], rules: Sequence[Rule] | None = None) -> Explanation | None:
    """The first rule that is met by any of the last lines, at the last line that meets it.

    lines: the end of a log, then reasons, in any number; only the last MAX_LINES are looked at.
    """
    rules = known() if rules is None else rules
    given = list(lines)
    first = max(0, len(given) - MAX_LINES)
    for rule in rules:
        for number in range(len(given) - 1, first - 1, -1):
            if rule.pattern.search(given[number][:MAX_LINE]):
                return Explanation(rule.id, rule.what, rule.try_next, given[number], number)
    return None


def known() -> tuple[Rule, ...]:
    """The rules of configs/explain.yaml. Raises SettingsError."""
    path = locations.configs() / "explain.yaml"
    try:
        changed = path.stat().st_mtime_ns
    except OSError as e:
        raise SettingsError(
            f"{path} cannot be read",
            why=e.strerror or str(e),
            try_next="restore it, or `rules: []`",
        ) from e
    return _rules(path, changed)


@lru_cache(maxsize=2)
def _rules(path: Path, changed: int) -> tuple[Rule, ...]:
    import yaml

    try:
        data: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise SettingsError(f"{path} cannot be read", why=str(e)[:300]) from e
    listed = data.get("rules") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise SettingsError(f"{path} has no list of rules", try_next="begin it with `rules:`")
    return tuple(_rule(path, n, row) for n, row in enumerate(listed, 1))


def _rule(path: Path, number: int, row: Any) -> Rule:
    wanted = ("id", "pattern", "what", "try")
    if not isinstance(row, dict) or set(row) != set(wanted):
        raise SettingsError(
            f"{path}: rule {number} is not of the right form",
            try_next=f"give it exactly {', '.join(wanted)}",
        )
    try:
        pattern = re.compile(str(row["pattern"]), re.IGNORECASE)
    except re.error as e:
        raise SettingsError(f"{path}: the pattern of {row['id']!r} is wrong", why=str(e)) from e
    return Rule(str(row["id"]), pattern, str(row["what"]), str(row["try"]))
