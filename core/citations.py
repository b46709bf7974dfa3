"""The `<<SRC:domain:entity_id>>` grammar: find, classify, render; nothing else.

    marker = "<<SRC:" domain ":" entity ">>"
    domain = one or more characters other than ":", "<", ">" and white space
    entity = everything up to the first ">>": not empty, no line break, no "<<";
             ":" and spaces are fine

What opens like a marker and does not keep to this is malformed. Offsets count code points. Every
function here takes time linear in the length of the text: each opener looks no further than the
next "<<", so no character is read for two openers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from core.errors import RegistryNotLoaded

_MARKER = re.compile(r"<<SRC:([^:<>\s]+):((?:(?!<<|>>)[^\r\n])+)>>")
# What a reader (or a model) would take for the start of a marker, in any case and spacing.
_OPENER = re.compile(r"<<[ \t]*+SRC[ \t]*+(?=[:>]|\Z)", re.IGNORECASE)
# How far a malformed marker reaches: to its ">>", else to the next "<<", line break or end.
_REACH = re.compile(r"(?:(?!<<|>>)[^\r\n])*+(>>)?")

MarkerClass = Literal[
    "correct", "known", "wrong_entity", "unknown_entity", "unknown_domain", "stale", "malformed"
]
SourceStatus = Literal["active", "renamed", "tombstoned"]
STATUSES: tuple[SourceStatus, ...] = ("active", "renamed", "tombstoned")


@dataclass(frozen=True, slots=True)
class Marker:
    """One well-formed marker at text[start:end]. source_id is "domain:entity_id"."""

    source_id: str
    domain: str
    entity_id: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"<<SRC:{self.source_id}>>"


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something that opens like a marker and is none, at text[start:end]."""

    text: str
    start: int
    end: int
    what: str


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
            raise _not_loaded()
        return cls(by_id, frozenset(s.domain for s in by_id.values()))

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


def scan(text: str) -> Iterator[Marker | Malformed]:
    """All markers and malformed markers, left to right, without overlap."""
    at = text.find("<<")
    while at >= 0:
        found = _MARKER.match(text, at)
        if found:
            domain, entity = found.groups()
            yield Marker(f"{domain}:{entity}", domain, entity, at, found.end())
            at = text.find("<<", found.end())
            continue
        opener = _OPENER.match(text, at)
        if opener:
            reach = _REACH.match(text, opener.end())
            end = reach.end() if reach else opener.end()
            closed = bool(reach and reach.group(1))
            piece = text[at:end] if closed else text[at:end].rstrip()
            yield Malformed(piece, at, at + len(piece), _what_is_wrong(piece, closed))
            at = text.find("<<", end)
        else:
            at = text.find("<<", at + 1)  # by one: "<<<SRC:a:b>>" holds a marker at its second "<"


def find(text: str) -> list[Marker]:
    """The well-formed markers, left to right."""
    return [m for m in scan(text) if isinstance(m, Marker)]


def find_malformed(text: str) -> list[Malformed]:
    """What opens like a marker and is none, left to right."""
    return [m for m in scan(text) if isinstance(m, Malformed)]


def without_markers(text: str) -> str:
    """The text without markers and malformed markers, trailing white space dropped."""
    out, last = [], 0
    for m in scan(text):
        out.append(text[last : m.start])
        last = m.end
    out.append(text[last:])
    return "".join(out).rstrip()


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
        raise _not_loaded()
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


def render_markdown(text: str, index: SourceIndex | None) -> str:
    """Markers become numbered footnotes with links; the same source keeps its number.

    A source that is not in the registry, or has no http(s) address, is named without a link; a
    malformed marker is shown as code. Raises RegistryNotLoaded as `classify` does.
    """
    if index is None or not index.by_id:
        raise _not_loaded()
    numbers: dict[str, int] = {}
    out, last = [], 0
    for m in scan(text):
        out.append(text[last : m.start])
        last = m.end
        if isinstance(m, Malformed):
            out.append(_code(m.text))
        else:
            out.append(f"[^{numbers.setdefault(m.source_id, len(numbers) + 1)}]")
    out.append(text[last:])
    body = "".join(out).rstrip()
    notes = [
        f"[^{n}]: {_note(source_id, index.by_id.get(source_id))}"
        for source_id, n in numbers.items()
    ]
    return body + ("\n\n" + "\n".join(notes) if notes else "")


def is_web_link(url: str) -> bool:
    """http or https, with a host, and nothing that could leave its place in a document."""
    if not url or any(c <= " " or c in "<>\"'`\\" for c in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _note(source_id: str, source: Source | None) -> str:
    if source is None:
        return f"{_code(source_id)} (not in the source registry)"
    name = re.sub(r"([\\`*_\[\]<>&!|~#])", r"\\\1", " ".join(source.display_name.split()))
    link = source.link
    shown = f"[{name}]({link.replace('(', '%28').replace(')', '%29')})" if link else name
    if source.status == "renamed":
        return f"{shown} (renamed{f' to {_code(source.renamed_to)}' if source.renamed_to else ''})"
    return f"{shown} (withdrawn)" if source.status == "tombstoned" else shown


def _code(text: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _what_is_wrong(piece: str, closed: bool) -> str:
    if not piece.startswith("<<SRC:"):
        return "a marker opens with <<SRC: exactly"
    if not closed:
        return "not closed by >> before the end of the line or the next <<"
    domain, colon, entity = piece[len("<<SRC:") : -len(">>")].partition(":")
    if not domain:
        return "the domain is empty"
    if re.search(r"[\s<>]", domain):
        return "white space, < or > in the domain"
    if not colon:
        return "a domain and no entity"
    return "the entity is empty" if not entity else "not a marker"


def _not_loaded() -> RegistryNotLoaded:
    return RegistryNotLoaded(
        "the source registry is not loaded, so no citation can be judged",
        why="it is missing or has no rows",
        try_next="open the registry once (it is filled on first use), or give a sources file",
    )
