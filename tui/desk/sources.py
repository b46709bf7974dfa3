"""The source registry at the desk: what is known, what answers cited and is not, and settling that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.desk.api import SourceRow, SourcesView, UnknownRow
from tui.desk.launching import operator

if TYPE_CHECKING:
    from core.registry import Registry

SHOWN = 500  # known sources in one list; a filter finds the others


def view(reg: Registry, text: str = "") -> SourcesView:
    """Sources and open unknown ids with `text` in them (any case)."""
    from core.registry import source_patterns, sources

    index = sources.index(reg)
    found = sources.search(reg, text, limit=SHOWN)
    low = text.casefold()
    checked = {r["source_id"]: r["checked_at"] for r in sources.rows(reg)} if found else {}
    known = []
    for s in found:
        target = index.resolve(s.source_id)
        known.append(
            SourceRow(
                s.source_id,
                s.display_name,
                s.url,
                s.status,
                target.source_id if target and target.source_id != s.source_id else "",
                checked.get(s.source_id) or "",
                (target or s).link or "",
            )
        )
    unknown = tuple(
        UnknownRow(
            u.source_id,
            u.occurrences,
            u.first_seen,
            u.last_seen,
            u.model_version or "",
            u.example,
            source_patterns.proposed_url(reg, u.source_id) or "",
        )
        for u in sources.unknown(reg)
        if low in u.source_id.casefold() or low in u.example.casefold()
    )
    return SourcesView(tuple(known), len(index.by_id), unknown)


def resolve(reg: Registry, source_id: str, name: str, url: str) -> None:
    from core.registry import sources

    sources.resolve_unknown(reg, source_id, name, url, who=operator())


def alias(reg: Registry, source_id: str, to: str) -> None:
    from core.registry import sources

    sources.alias_unknown(reg, source_id, to, who=operator())


def dismiss(reg: Registry, source_id: str, why: str) -> None:
    from core.registry import sources

    sources.dismiss_unknown(reg, source_id, why, who=operator())
