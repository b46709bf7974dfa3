"""Two versions of a file: what is copied and what is new make the new one again."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote.agent import delta

ROW = st.binary(min_size=0, max_size=200)


def rebuilt(old: bytes, new: bytes, least: int) -> tuple[bytes, int]:
    """The new version, made at the other end; and how many of its bytes travelled."""
    base = delta.index(delta.signature(io.BytesIO(old), least))
    out, sent = [], 0
    for fresh, copies in delta.differences(io.BytesIO(new), least, base):
        sent += len(fresh)
        out += [fresh] if fresh else [old[at : at + n] for at, n in copies]
        assert delta.unpack_copies(delta.pack_copies(copies)) == copies
    return b"".join(out), sent


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(ROW, max_size=40),
    edits=st.lists(st.tuples(st.integers(0, 60), st.sampled_from("dir"), ROW), max_size=8),
    least=st.sampled_from([1, 16, 300, delta.MOST]),
)
def test_any_edit_of_any_rows(
    rows: list[bytes], edits: list[tuple[int, str, bytes]], least: int
) -> None:
    old = b"\n".join(rows)
    for at, kind, row in edits:
        if kind == "i":
            rows.insert(at, row)
        elif at < len(rows):
            rows[at : at + 1] = [] if kind == "d" else [row]
    new = b"\n".join(rows)
    assert rebuilt(old, new, least)[0] == new
    assert b"".join(delta.blocks(io.BytesIO(new), least)) == new


def test_one_row_in_a_thousand_costs_about_itself() -> None:
    rows = [b"%06d " % n + b"x" * 1500 + b"\n" for n in range(2000)]
    changed = [*rows]
    changed[700] = b"another\n"
    del changed[100]
    changed.insert(1500, b"more " * 300 + b"\n")
    new, sent = rebuilt(b"".join(rows), b"".join(changed), delta.LEAST)
    assert new == b"".join(changed)
    assert sent < 8000


def test_bytes_without_lines_and_large_files_keep_the_list_short() -> None:
    old = bytes(3 * delta.MOST + 7)
    assert rebuilt(old, old + b"x", delta.LEAST)[1] <= delta.MOST + 7
    assert len(delta.signature(io.BytesIO(old), delta.LEAST)) == 4 * delta.RECORD.size
    assert delta.least_for(0) == delta.LEAST
    assert (300 << 30) // delta.least_for(
        300 << 30
    ) > delta.MAX_BLOCKS  # the largest block is a limit
    assert (10 << 30) // delta.least_for(10 << 30) <= delta.MAX_BLOCKS


@pytest.mark.parametrize("odd", [b"x", b"x" * 11, b"x" * (delta.RECORD.size * 3 + 1)])
def test_what_is_no_signature_or_no_copies_is_refused(odd: bytes) -> None:
    with pytest.raises(ValueError):
        delta.index(odd)
    with pytest.raises(ValueError):
        delta.unpack_copies(odd)
