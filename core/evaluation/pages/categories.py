"""The section of categories: bars with intervals, and accuracy by what the snapshot gives away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.evaluation.pages.fields import (
    candidate,
    columns,
    count,
    mapping,
    number,
    one_line,
    system_name,
)
from core.evaluation.pages.fields import words as spaced
from core.evaluation.pages.figures import MOST_SYSTEMS, measure
from core.evaluation.pages.model import Bar, Bars, Block, Picture, Section, Table, flat, line

Scores = Mapping[str, Any]
MOST_CATEGORIES = 24


def categories(s: Scores) -> Iterator[Section]:
    own = candidate(s)
    found = mapping(s.get("categories"))
    kinds = [str(k) for k in mapping(found.get(own))][:MOST_CATEGORIES]
    names = [n for n in columns(s) if mapping(found.get(n))][-MOST_SYSTEMS:]
    if not kinds or not names:
        return

    def cell(n: str, kind: str) -> Mapping[str, Any]:
        return mapping(mapping(found.get(n)).get(kind))

    blocks: list[Block] = []
    bars = tuple(tuple(_bar(cell(n, k)) for n in names) for k in kinds)
    if any(b for group in bars for b in group):
        labels = tuple(f"{spaced(k)} (n={count(cell(own, k).get('n'))})" for k in kinds)
        drawing = Bars(
            "Answers that are correct, per cent",
            labels,
            tuple(system_name(n, own) for n in names),
            bars,
            system_name(own, own),
        )
        text = "; ".join(f"{spaced(k)} {flat(measure(cell(own, k)))}" for k in kinds)
        blocks.append(Picture(drawing, f"Correct answers by category, this version: {text}"))
    head = ("", *(system_name(n, own) for n in names))
    body = tuple((line(spaced(k)), *(measure(cell(n, k)) for n in names)) for k in kinds)
    blocks.append(Table(head, body, chosen=names.index(own) + 1 if own in names else None))
    blocks += _strata(s, names, own)
    yield Section("Categories", tuple(blocks))


def _strata(s: Scores, names: list[str], own: str) -> list[Block]:
    """Accuracy by what the snapshot gives away of a question, where it was measured."""
    found = mapping(s.get("strata"))
    names = [n for n in names if mapping(found.get(n))]
    kinds = list(dict.fromkeys(str(k) for n in names for k in mapping(found[n])))
    if not kinds:
        return []
    body = tuple(
        (line(one_line(k, 60)), *(measure(mapping(found[n]).get(k)) for n in names)) for k in kinds
    )
    head = ("accuracy by what was trained", *(system_name(n, own) for n in names))
    return [Table(head, body, chosen=names.index(own) + 1 if own in names else None)]


def _bar(m: Mapping[str, Any]) -> Bar | None:
    x = number(m.get("estimate"))
    if x is None or not 0 <= x <= 1:
        return None
    return Bar(x, number(m.get("low")), number(m.get("high")))
