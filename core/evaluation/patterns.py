"""Regular expressions for word lists, in the form that `re` searches fast."""

from __future__ import annotations

from collections.abc import Iterable


def any_of(words: Iterable[str]) -> str:
    """A pattern for any of the words, common beginnings shared; the longest word wins.

    `re` tries the alternatives of a branch one after the other at every character of the text; with
    shared beginnings one look at the first letter rules most of them out.
    """
    rests: dict[str, list[str]] = {}
    for word in sorted(set(words)):
        rests.setdefault(word[:1], []).append(word[1:])
    may_end = rests.pop("", None) is not None
    branches = [_escape(letter) + any_of(rest) for letter, rest in rests.items()]
    if not branches:
        return ""
    pattern = branches[0] if len(branches) == 1 and not may_end else f"(?:{'|'.join(branches)})"
    return pattern + "?" if may_end else pattern


def _escape(letter: str) -> str:
    return letter if letter.isalnum() or letter in " /-%" else "\\" + letter
