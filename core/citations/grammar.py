"""The `<<SRC:domain:entity_id>>` grammar: what is a marker, and where.

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
from collections.abc import Iterator
from dataclasses import dataclass

MARKER = re.compile(r"<<SRC:([^:<>\s]+):((?:(?!<<|>>)[^\r\n])+)>>")
# What a reader (or a model) would take for the start of a marker, in any case and spacing.
OPENER = re.compile(r"<<[ \t]*+SRC[ \t]*+(?=[:>]|\Z)", re.IGNORECASE)
# How far a malformed marker reaches: to its ">>", else to the next "<<", line break or end.
REACH = re.compile(r"(?:(?!<<|>>)[^\r\n])*+(>>)?")


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


def scan(text: str) -> Iterator[Marker | Malformed]:
    """All markers and malformed markers, left to right, without overlap."""
    at = text.find("<<")
    while at >= 0:
        found = MARKER.match(text, at)
        if found:
            domain, entity = found.groups()
            yield Marker(f"{domain}:{entity}", domain, entity, at, found.end())
            at = text.find("<<", found.end())
            continue
        opener = OPENER.match(text, at)
        if opener:
            bad, end = malformed_at(text, at, opener.end())
            yield bad
            at = text.find("<<", end)
        else:
            at = text.find("<<", at + 1)  # by one: "<<<SRC:a:b>>" holds a marker at its second "<"


def malformed_at(text: str, at: int, after: int) -> tuple[Malformed, int]:
    """What opens at `at` (its opener ends at `after`) and is no marker; and where to go on."""
    reach = REACH.match(text, after)
    end = reach.end() if reach else after
    closed = bool(reach and reach.group(1))
    piece = text[at:end] if closed else text[at:end].rstrip()
    return Malformed(piece, at, at + len(piece), _what_is_wrong(piece, closed)), end


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
