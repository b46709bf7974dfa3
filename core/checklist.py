"""The pilot checklist's items, read from `configs/checklist.yaml`. Evidence is the registry's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core import locations
from core.errors import SettingsError

Action = Literal["check", "job", "note", "decide"]


@dataclass(frozen=True, slots=True)
class Item:
    """One item. checks: what its check looks at.  action: what Enter does on the screen."""

    id: str
    week: int
    week_title: str
    title: str
    checks: str
    action: Action


def checklist_path() -> Path:
    return locations.configs() / "checklist.yaml"


def load_items(path: Path | None = None) -> tuple[Item, ...]:
    """The items in order. Raises SettingsError: unreadable, unknown or missing key, repeated id."""
    from core import settings  # pydantic takes 30 ms; only the first open of a registry needs it

    class ItemSettings(settings.Settings):
        id: str
        title: str
        checks: str
        action: Action = "check"

    class Week(settings.Settings):
        week: int
        title: str
        items: list[ItemSettings]

    class File(settings.Settings):
        weeks: list[Week]

    path = path or checklist_path()
    file = settings.load(path, File)
    items = tuple(
        Item(i.id, week.week, week.title, i.title, i.checks, i.action)
        for week in file.weeks
        for i in week.items
    )
    repeated = [i for i, n in Counter(item.id for item in items).items() if n > 1]
    if repeated:
        raise SettingsError(
            f"{path}: the item id {repeated[0]!r} occurs twice",
            why="evidence is kept per id",
            try_next="give each item an id of its own",
        )
    return items
