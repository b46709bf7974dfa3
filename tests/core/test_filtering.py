"""Filters in SQLite against the same words looked for in Python."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import filtering

LETTERS = "aéÉßẞsSΣςσИиıi%_*?[]-^\\'ǅǆ漢 "


def passes(said: list[str | None], text: str) -> bool:
    names = [f"c{n}" for n in range(len(said))]
    parts, values = filtering.condition(text, names)
    row = ", ".join(f"? AS {name}" for name in names)
    sql = f"SELECT count(*) FROM (SELECT {row}) WHERE {' AND '.join(parts) or '1'}"
    with sqlite3.connect(":memory:") as db:
        return bool(db.execute(sql, (*said, *values)).fetchone()[0])


def in_python(said: list[str | None], text: str) -> bool:
    cells = [(cell or "").casefold() for cell in said]
    for word in text.split():
        without = word[0] == "!" and len(word) > 1
        wanted = (word[1:] if without else word).casefold()
        if any(wanted in cell for cell in cells) is without:
            return False
    return True


@given(
    st.lists(st.none() | st.text(LETTERS, max_size=6), min_size=1, max_size=2),
    st.text(LETTERS.replace("ß", "").replace("ẞ", "") + "!", max_size=4),
)
def test_a_filter_folds_as_python_does(said: list[str | None], text: str) -> None:
    whole = [None if cell is None else cell.replace("ß", "x").replace("ẞ", "x") for cell in said]
    assert passes(whole, text) is in_python(whole, text)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("École", "éCOLE"), ("STRASSE", "straße"), ("Straße", "STRASSE"), ("Straẞe", "strasse"),
        ("ΟΔΟΣ", "οδος"), ("ŠKODA", "škoda"), ("the ﬁle", "file"), ("МОСКВА", "москва"),
        ("Bucks 100%", "100%"), ("a[b]é*", "[b]É*"),
    ],
)  # fmt: skip
def test_letters_of_one_kind_are_the_same(said: str, text: str) -> None:
    assert passes([said], text)
    assert not passes([said], "!" + text)


def test_one_that_is_too_long_is_cut() -> None:
    parts, values = filtering.condition("é" * 50_000, ["c"])
    assert len(parts) == 1 and max(map(len, values)) < 5 * filtering.LONGEST
    assert not passes(["é"], "é" * 50_000)
