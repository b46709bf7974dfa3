"""The words of a filter as SQL, whatever the case of their letters, as `str.casefold` has it.

SQLite folds a…z alone, and a function of our own, called for every cell, takes seven times as long as
its LIKE. So other letters become classes of a GLOB, as é becomes [Éé].
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

LONGEST = 200  # characters that are read; SQLite takes no pattern of 50,000

_CASED = 0x1F000  # no character from here on has a case
_JOINED = (("ffi", "ﬃ"), ("ffl", "ﬄ"), ("ff", "ﬀ"), ("fi", "ﬁ"), ("fl", "ﬂ"), ("ss", "ß"))


def condition(text: str, searched: Sequence[str]) -> tuple[list[str], list[str]]:
    """Conditions that all hold, and their values. searched: columns, each may hold any of the words.

    text: words that a row must hold; `!word`: must not.
    """
    parts: list[str] = []
    values: list[str] = []
    for word in text[:LONGEST].split() if searched else ():
        without = word.startswith("!") and len(word) > 1
        tests = _tests((word[1:] if without else word).casefold())
        some = " OR ".join(f"ifnull({c}, '') {test}" for c in searched for test, _ in tests)
        parts.append(f"{'NOT ' if without else ''}({some})")
        values += [value for _ in searched for _, value in tests]
    return parts, values


def _tests(word: str) -> list[tuple[str, str]]:
    """(test of a column, its value); one that holds is enough."""
    if not word.isascii():
        return [("GLOB ?", glob) for form in _forms(word) for glob in _globs(form)]
    like = [("LIKE ? ESCAPE '\\'", "%" + re.sub(r"([%_\\])", r"\\\1", word) + "%")]
    return like + [("GLOB ?", g) for form in _forms(word)[1:] for g in _globs(form)]


def _forms(word: str) -> list[str]:
    """The word, and with letters joined into one, as ß is of two."""
    joined = word
    for letters, one in _JOINED:
        joined = joined.replace(letters, one)
    return [word] if joined == word else [word, joined]


def _globs(word: str) -> list[str]:
    """One for each case of the first letter: SQLite looks for a class at the start ten times as long."""
    rest = "".join(map(_class, word[1:]))
    return [f"*{_literal(c)}{rest}*" for c in _cases(word[0])]


def _class(letter: str) -> str:
    cases = _cases(letter)
    return f"[{cases}]" if len(cases) > 1 else _literal(letter)


def _literal(letter: str) -> str:
    return f"[{letter}]" if letter in "*?[" else letter


def _cases(letter: str) -> str:
    """Every character that folds as this one does."""
    return _all_cases().get(letter.casefold(), letter)


@cache
def _all_cases() -> dict[str, str]:
    found: dict[str, str] = {}
    for c in map(chr, range(_CASED)):
        if (folded := c.casefold()) != c:
            found[folded] = found.get(folded, folded if len(folded) == 1 else "") + c
    return found
