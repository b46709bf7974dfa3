"""One built row: the pair's answer to the letter under another question."""

from __future__ import annotations

from dataclasses import replace

from core.augment.templates import Wording
from core.pairs import Message, Pair

BUILT_FROM, FORM = "built_from", "form"


def row(pair: Pair, wording: Wording) -> Pair:
    """`pair` asked in other words; id "<pair id>#<form>", and both in the metadata."""
    form = f"{wording.family}:{wording.number}"
    return replace(
        pair,
        id=f"{pair.id}#{form}",
        messages=(*pair.messages[:-2], Message("user", wording.text), pair.messages[-1]),
        metadata={**pair.metadata, BUILT_FROM: pair.id, FORM: form},
    )


def built_from(pair: Pair) -> str | None:
    """The id of the pair a row was built from; None for a pair as it was extracted."""
    found = pair.metadata.get(BUILT_FROM)
    return found if isinstance(found, str) and found else None


def form_of(pair: Pair) -> str:
    """ "ask:interconnect:3"; "" for a pair as it was extracted."""
    found = pair.metadata.get(FORM)
    return found if isinstance(found, str) else ""
