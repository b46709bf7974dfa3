"""The source registry at the desk: what is known, what answers cited and is not, and settling that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from core.paging import Listing
from tui.desk.api import SourceRow, SourcesView, UnknownRow
from tui.desk.api_lists import ExampleRow
from tui.desk.launching import operator

if TYPE_CHECKING:
    from core.citations import Source
    from core.registry import Registry

SHOWN = 500  # known sources in one list; a filter finds the others
LOOKED_AT = 400  # sources compared with an unknown id
NEAR = 50  # of them offered
STEPS = 20  # of a chain of renamed sources that are followed

KNOWN = Listing(
    table="sources",
    key="source_id",
    orders={
        "": ("source_id",),
        "id": ("source_id",),
        "name": ("display_name", "source_id"),
        "status": ("status", "source_id"),
        "address": ("url", "source_id"),
        "checked": ("coalesce(checked_at, '')", "source_id"),
    },
    searched=("source_id", "display_name", "url", "status"),
)
UNKNOWN = Listing(
    table="unknown_sources",
    key="source_id",
    orders={
        "": ("occurrences", "source_id"),
        "cited": ("occurrences", "source_id"),
        "id": ("source_id",),
        "first": ("first_seen", "source_id"),
        "last": ("last_seen", "source_id"),
        "version": ("coalesce(model_version, '')", "source_id"),
    },
    searched=("source_id", "example", "coalesce(model_version, '')"),
    where="resolution IS NULL",
)


def view(reg: Registry, text: str = "") -> SourcesView:
    """The first sources and all open unknown ids with `text` in them (any case)."""
    from core.registry import sources

    low = text.casefold()
    unknown = reg.rows(
        "SELECT * FROM unknown_sources WHERE resolution IS NULL ORDER BY occurrences DESC, source_id"
    )
    like = [
        r for r in unknown if low in r["source_id"].casefold() or low in r["example"].casefold()
    ]
    names = [s.source_id for s in sources.search(reg, text, limit=SHOWN)]
    marks = ", ".join("?" * len(names))
    known = reg.rows(f"SELECT * FROM sources WHERE source_id IN ({marks}) ORDER BY 1", names)
    total = int(reg.value("SELECT count(*) FROM sources"))
    return SourcesView(tuple(known_of(reg, known)), total, tuple(unknown_of(reg, like)))


def known_of(reg: Registry, found: Sequence[Any]) -> list[SourceRow]:
    """The rows of a page of KNOWN."""
    return [_known(reg, r) for r in found]


def _known(reg: Registry, row: Any) -> SourceRow:
    from core.registry.sources import as_source

    source = as_source(row)
    target = _target(reg, source)
    return SourceRow(
        source.source_id,
        source.display_name,
        source.url,
        source.status,
        target.source_id if target.source_id != source.source_id else "",
        row["checked_at"] or "",
        target.link or "",
    )


def _target(reg: Registry, source: Source) -> Source:
    """Where a renamed source leads, as SourceIndex.resolve follows it, without reading all."""
    from core.registry.sources import as_source

    seen = {source.source_id}
    while source.status == "renamed" and source.renamed_to and len(seen) <= STEPS:
        row = reg.one("SELECT * FROM sources WHERE source_id = ?", (source.renamed_to,))
        if row is None or row["source_id"] in seen:
            break
        source = as_source(row)
        seen.add(source.source_id)
    return source


def unknown_of(reg: Registry, found: Sequence[Any]) -> list[UnknownRow]:
    """The rows of a page of UNKNOWN."""
    from core.registry import source_patterns

    return [
        UnknownRow(
            r["source_id"],
            r["occurrences"],
            r["first_seen"],
            r["last_seen"],
            r["model_version"] or "",
            r["example"],
            source_patterns.proposed_url(reg, r["source_id"]) or "",
        )
        for r in found
    ]


def near(reg: Registry, source_id: str, text: str = "") -> tuple[SourceRow, ...]:
    """Sources that an unknown id may be another name of: those of its domain first, by likeness.

    text: only those with these words. Of very many, those that share a word with the id are compared.
    """
    from core import paging

    domain, _, entity = source_id.partition(":")
    words = [w for w in re.split(r"[^0-9A-Za-z]+", entity) if len(w) > 2][:6]
    found: dict[str, Any] = {}
    for wanted in (*(f"{domain}: {w} {text}" for w in words), f"{domain}: {text}", *words, text):
        room = LOOKED_AT - len(found)
        for row in paging.page(reg.rows, KNOWN, paging.Part(wanted), 0, room):
            if all(w.casefold() in f"{row[0]} {row[2]} {row[3]}".casefold() for w in text.split()):
                found.setdefault(row["source_id"], row)
        if len(found) >= LOOKED_AT:
            break
    low = source_id.casefold()

    def unlike(name: str) -> tuple[bool, float, str]:
        alike = SequenceMatcher(None, low, name.casefold()).ratio()
        return name.partition(":")[0] != domain, -alike, name

    return tuple(_known(reg, found[name]) for name in sorted(found, key=unlike)[:NEAR])


def examples(reg: Registry, source_id: str) -> tuple[ExampleRow, ...]:
    """Stored answers that cite an id, the newest first."""
    from core.registry import answers

    return tuple(
        ExampleRow(a.question, a.answer, a.model_version or a.evaluated or "", a.at)
        for a in answers.citing(reg, source_id)
    )


def resolve(reg: Registry, source_id: str, name: str, url: str) -> None:
    from core.registry import sources

    sources.resolve_unknown(reg, source_id, name, url, who=operator())


def alias(reg: Registry, source_id: str, to: str) -> None:
    from core.registry import sources

    sources.alias_unknown(reg, source_id, to, who=operator())


def dismiss(reg: Registry, source_id: str, why: str) -> None:
    from core.registry import sources

    sources.dismiss_unknown(reg, source_id, why, who=operator())
