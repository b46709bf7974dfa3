"""Which live tools exist, as far as the training pairs tell."""

from __future__ import annotations

from collections.abc import Iterable

from core.evaluation.deferral import tools_named
from core.evaluation.normalise import normalise
from core.pairs import Pair
from core.subjects import source_data


def tools_of(pairs: Iterable[Pair]) -> frozenset[str]:
    """Tools that deferral pairs are labelled with or name in their answers."""
    found: set[str] = set()
    for pair in pairs:
        data = source_data(pair)
        labelled = data.get("expected_tools")
        if isinstance(labelled, list):
            found |= {t for t in labelled if isinstance(t, str)}
        elif data.get("kind") == "dynamic":
            found |= set(tools_named(normalise(pair.answer)))
    return frozenset(found)
