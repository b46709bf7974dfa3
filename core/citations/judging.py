"""Each marker into exactly one class, against the source registry. "Not loaded" is never "unknown"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from core.citations.grammar import Malformed, Marker, scan
from core.errors import RegistryNotLoaded

MarkerClass = Literal[
    "correct", "known", "wrong_entity", "unknown_entity", "unknown_domain", "stale", "malformed"
]
SourceStatus = Literal["active", "renamed", "tombstoned"]
STATUSES: tuple[SourceStatus, ...] = ("active", "renamed", "tombstoned")


@dataclass(frozen=True, slots=True)
class Source:
    """One row of the source registry. renamed_to is a source id, set when status is "renamed"."""

    source_id: str
    display_name: str
    url: str
    status: SourceStatus = "active"
    renamed_to: str | None = None

    @property
    def domain(self) -> str:
        return self.source_id.partition(":")[0]

    @property
    def link(self) -> str | None:
        """The URL if a reader may be sent there: http or https with a host; else None."""
        return self.url if is_web_link(self.url) else None


@dataclass(frozen=True, slots=True)
class Classified:
    """One marker (or malformed marker) and the single class it falls into."""

    text: str
    cls: MarkerClass
    start: int
    end: int
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class SourceIndex:
    """The source registry in the form judging needs: by id, and the set of known domains."""

    by_id: Mapping[str, Source]
    domains: frozenset[str]

    @classmethod
    def load(cls, rows: Iterable[Mapping[str, Any]]) -> SourceIndex:
        """Rows {source_id, display_name, url, status?, renamed_to?}; later rows win.

        Raises RegistryNotLoaded when there is no row: nothing could be told from unknown.
        """
        by_id = {
            s.source_id: s
            for s in (
                Source(
                    row["source_id"],
                    row.get("display_name") or row["source_id"],
                    row.get("url") or "",
                    row.get("status") or "active",
                    row.get("renamed_to"),
                )
                for row in rows
            )
        }
        if not by_id:
            raise not_loaded()
        return cls(by_id, frozenset(s.domain for s in by_id.values()))

    def resolve(self, source_id: str) -> Source | None:
        """The source a reader is sent to: renamed ones are followed to where they lead.

        A chain that leads nowhere or in a circle ends at its last source. None: not registered.
        """
        source, seen = self.by_id.get(source_id), {source_id}
        while source is not None and source.status == "renamed" and source.renamed_to:
            target = self.by_id.get(source.renamed_to)
            if target is None or target.source_id in seen:
                break
            seen.add(target.source_id)
            source = target
        return source

    def rows(self) -> list[dict[str, Any]]:
        """The rows `load` reads back to an equal index."""
        return [
            {
                "source_id": s.source_id,
                "display_name": s.display_name,
                "url": s.url,
                "status": s.status,
                "renamed_to": s.renamed_to,
            }
            for s in self.by_id.values()
        ]


def classify(
    text: str, registry: SourceIndex | None, accepted: Iterable[str] | None = None
) -> list[Classified]:
    """Give each marker of `text` exactly one class.

    accepted: source ids that are right for this question. With None nothing is said about
    rightness and a marker of the registry is "known".
    Order of the tests: malformed, unknown_domain, unknown_entity, stale, then right or wrong.
    Raises RegistryNotLoaded if the registry is None or empty: "not loaded" is never "unknown".
    """
    if registry is None or not registry.by_id:
        raise not_loaded()
    right = None if accepted is None else frozenset(accepted)
    out = []
    for m in scan(text):
        if isinstance(m, Malformed):
            out.append(Classified(m.text, "malformed", m.start, m.end))
            continue
        source = registry.by_id.get(m.source_id)
        cls = _class_of(m, source, registry.domains, right)
        out.append(Classified(str(m), cls, m.start, m.end, source))
    return out


def _class_of(
    marker: Marker, source: Source | None, domains: frozenset[str], right: frozenset[str] | None
) -> MarkerClass:
    if source is None:
        return "unknown_entity" if marker.domain in domains else "unknown_domain"
    if source.status != "active":
        return "stale"
    if right is None:
        return "known"
    return "correct" if marker.source_id in right else "wrong_entity"


def is_web_link(url: str) -> bool:
    """http or https, with a host, and nothing that could leave its place in a document."""
    if not url or any(c <= " " or c in "<>\"'`\\" for c in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def not_loaded() -> RegistryNotLoaded:
    return RegistryNotLoaded(
        "the source registry is not loaded, so no citation can be judged",
        why="it is missing or has no rows",
        try_next="open the registry once (it is filled on first use), or give a sources file",
    )
