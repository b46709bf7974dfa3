"""Lines by number from a growing file, against the plain way of reading it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.widgets import log_file
from tui.widgets.log_file import BLOCK, LINE_CAP, LogFile, find


def indexed(path: Path) -> LogFile:
    file = LogFile(path)
    file.look()
    while not file.index():
        pass
    return file


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=60),
    copies=st.integers(1, 30),
    ends=st.booleans(),
)
def test_lines_are_those_of_the_file(
    tmp_path: Path, lines: list[str], copies: int, ends: bool
) -> None:
    body = "\n".join(lines * copies) + ("\n" if ends and lines else "")
    path = tmp_path / "log"
    path.write_bytes(body.encode())
    want = body.split("\n")
    if want[-1] == "":
        want.pop()
    file = indexed(path)
    assert file.lines == len(want)
    assert [file.text(n) for n in range(file.lines)] == want
    assert file.tail(7) == want[-7:]
    file.close()


def test_growing_in_pieces_gives_the_same_index(tmp_path: Path) -> None:
    path = tmp_path / "log"
    body = b"".join(b"line %d %s\n" % (n, b"x" * (n % 300)) for n in range(5000))
    path.write_bytes(b"")
    file = LogFile(path)
    for at in range(0, len(body), 7919):
        with open(path, "ab") as out:
            out.write(body[at : at + 7919])
        file.look()
        file.index()
        assert file.complete
        assert file.lines == body[: at + 7919].count(b"\n") + (
            not body[: at + 7919].endswith(b"\n")
        )
    want = body.decode().split("\n")[:-1]
    assert [file.text(n) for n in (0, 1, 2499, 4998, 4999)] == [
        want[n] for n in (0, 1, 2499, 4998, 4999)
    ]
    assert file.text(5000) == ""


def test_a_line_over_many_blocks_costs_a_bounded_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n" + b"y" * (BLOCK * 40) + b"\nlast\n")
    file = indexed(path)
    assert file.lines == 3
    assert file.text(0) == "first"
    assert len(file.text(1)) == LINE_CAP
    assert file.text(2) == "last"


def test_of_a_long_progress_line_the_last_state_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    states = b"\r".join(b"step %d of 20000" % n for n in range(20_001))
    path.write_bytes(states + b"\nnext\n")
    file = indexed(path)
    assert file.text(0).endswith("step 20000 of 20000")
    assert file.text(1) == "next"


def test_a_replaced_or_shortened_file_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\n")
    file = indexed(path)
    path.write_text("z\n")
    assert file.look()
    assert file.index()
    assert (file.lines, file.text(0)) == (1, "z")
    path.unlink()
    assert file.look()
    assert file.lines == 0


@pytest.mark.parametrize("size", [10, log_file.STEP - 3, log_file.STEP + 3])
def test_find_goes_round_in_both_directions(tmp_path: Path, size: int) -> None:
    path = tmp_path / "log"
    body = b"." * size + b"NeeDle" + b"." * 50 + b"needle\n"
    path.write_bytes(body)
    first, second = size, size + 56
    assert find(path, "needle", 0) == first
    assert find(path, "needle", first + 1) == second
    assert find(path, "needle", second + 1) == first
    assert find(path, "needle", second, backwards=True) == first
    assert find(path, "needle", first, backwards=True) == second
    assert find(path, "nothing", 0) is None
    assert find(path, "", 0) is None


def test_offsets_and_lines_agree(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%d\n" % n for n in range(30_000)))
    file = indexed(path)
    for number in (0, 1, 9_999, 23_456, 29_999):
        assert file.line_of(file.offset_of(number)) == number
    offset = find(path, "23456", 0)
    assert offset is not None and file.line_of(offset) == 23_456
