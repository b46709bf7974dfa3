"""Lines by number from a growing file, against the plain way of reading it."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remote.segments import Copy
from tui.widgets.log import index as log_index
from tui.widgets.log.file import LINE_CAP, LogFile, last_state
from tui.widgets.log.index import BLOCK, OpenFile

here = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
raw_bytes = st.lists(
    st.one_of(st.binary(max_size=30), st.sampled_from([b"\n", b"\n\n", b"\r", b"\xc3", b"\x00"])),
    max_size=40,
).map(b"".join)


def counted(path: Path) -> LogFile:
    file = LogFile(path)
    file.look()
    wait(file)
    return file


def wait(file: LogFile) -> None:
    end = time.monotonic() + 20
    while not file.count():
        assert time.monotonic() < end, "the lines were never counted"
        time.sleep(0.001)


def plain(body: bytes) -> list[bytes]:
    """The lines of `body` by the definition: a newline ends a line, a rest without one is a line."""
    return [line.removesuffix(b"\n") for line in io.BytesIO(body)]


@here
@given(body=raw_bytes, copies=st.integers(1, 30), small=st.booleans())
def test_lines_are_those_of_the_file(tmp_path: Path, body: bytes, copies: int, small: bool) -> None:
    body *= copies
    path = tmp_path / "log"
    path.write_bytes(body)
    want = [last_state(line) for line in plain(body)]
    with pytest.MonkeyPatch.context() as patch:
        if small:  # blocks of a few bytes: every line crosses some
            patch.setattr(log_index, "BLOCK", 7)
            patch.setattr(log_index, "STEP", 21)
        file = counted(path)
        assert file.lines == len(want)
        found = [file.line(n) for n in range(file.lines)]
        assert [raw.data for raw in found if raw is not None] == want
        assert [raw.data for raw in file.tail(7)] == want[-7:]
        assert file.line(file.lines) is None and file.line(-1) is None


@given(states=st.lists(st.binary(max_size=9).filter(lambda s: b"\n" not in s and b"\r" not in s)))
def test_of_a_progress_line_the_last_state_that_is_not_empty_is_shown(states: list[bytes]) -> None:
    want = next((s for s in reversed(states) if s), b"")
    assert last_state(b"\r".join(states)) == want


def test_growing_in_pieces_gives_the_same_index(tmp_path: Path) -> None:
    path = tmp_path / "log"
    body = b"".join(b"line %d %s\n" % (n, b"x" * (n % 300)) for n in range(5000))
    path.write_bytes(b"")
    file = LogFile(path)
    for at in range(0, len(body), 7919):
        with open(path, "ab") as out:
            out.write(body[at : at + 7919])
        file.look()
        assert file.count()
        seen = body[: at + 7919]
        assert file.lines == seen.count(b"\n") + (not seen.endswith(b"\n"))
    want = body.decode().split("\n")[:-1]
    for number in (0, 1, 2499, 4998, 4999):
        assert file.text(number) == want[number]
    assert file.text(5000) == ""


def test_a_line_over_many_blocks_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    long = b"".join(b"%07d|" % n for n in range(BLOCK))
    path.write_bytes(b"first\n" + long + b"\nlast\n")
    file = counted(path)
    assert file.lines == 3
    assert (file.text(0), file.text(2)) == ("first", "last")
    for column in (0, 5, LINE_CAP - 1, LINE_CAP, 200_000, len(long) - 1, len(long) * 2):
        raw = file.line(1, column)
        assert raw is not None and len(raw.data) <= LINE_CAP and raw.length == len(long)
        assert long[raw.origin : raw.origin + len(raw.data)] == raw.data
        assert raw.origin <= min(column, len(long) - 1) < raw.origin + len(raw.data)


def test_a_part_of_a_long_line_begins_with_a_whole_character(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("x" + "é" * 20_000 + "\n")
    raw = counted(path).line(0, 9000)
    assert raw is not None and raw.origin > 0
    assert "\ufffd" not in raw.data[:99].decode("utf-8", "replace")


def test_of_a_long_progress_line_the_last_state_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    states = b"\r".join(b"step %d of 20000" % n for n in range(20_001))
    path.write_bytes(states + b"\nnext\n" + states)
    file = counted(path)
    assert file.text(0) == "step 20000 of 20000"
    assert file.text(1) == "next"
    assert file.tail(1)[0].data == b"step 20000 of 20000"


def test_what_is_read_for_one_line_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    with open(path, "wb") as out:
        out.truncate(100 << 20)  # NUL bytes, no newline
    file = counted(path)
    read: list[int] = []
    plain_read = OpenFile.read

    def counting(self: OpenFile, offset: int, length: int) -> bytes:
        data = plain_read(self, offset, length)
        read.append(len(data))
        return data

    monkeypatch.setattr(OpenFile, "read", counting)
    assert file.lines == 1
    assert file.line(0, 50 << 20) is not None
    file.tail(40)
    assert sum(read) < 6 * BLOCK


def test_a_file_that_is_replaced_goes_on_after_a_seam(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\n")
    file = counted(path)
    path.rename(tmp_path / "log.old")
    assert not file.look(), "nothing is there for a moment"
    path.write_text("z\n")
    assert file.look() and file.count()
    assert file.lines == 4 and file.generation == 0
    seam = file.line(2)
    assert seam is not None and seam.seam and b"replaced by another file" in seam.data
    assert [file.text(n) for n in (0, 1, 3)] == ["a", "b", "z"]
    assert [raw.data for raw in file.tail(2)] == [seam.data, b"z"]


def test_a_file_that_is_cut_short_says_so_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\n")
    file = counted(path)
    os.truncate(path, 0)
    with open(path, "a") as out:
        out.write("z\n")
    assert file.look() and file.count()
    assert file.generation == 1
    assert "cut short" in file.text(0) and file.text(1) == "z" and file.lines == 2


def test_a_file_that_was_overwritten_and_grew_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old line 1\nold line 2\n")
    file = counted(path)
    with open(path, "r+") as out:
        out.write("new line one\nnew line two\nnew line three\n")
    assert file.look() and file.count()
    assert [file.text(n) for n in range(1, file.lines)] == [
        "new line one", "new line two", "new line three",
    ]  # fmt: skip


def test_a_mirror_that_turned_over_is_one_log_with_the_mirrors_own_words(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "output.log")
    copy.write(b"one\n", 0)
    assert copy.turn("truncated")
    copy.write(b"two\n", 0)
    file = counted(tmp_path / "output.log")
    assert [file.text(0), file.text(2)] == ["one", "two"]
    assert "cut short on the host" in file.text(1)
    assert file.place(0) == (tmp_path / "output.log.1", 0)
    assert file.place(2) == (tmp_path / "output.log", 0)
    assert copy.turn("replaced")  # while it is looked at
    copy.write(b"three\n", 0)
    assert file.look() and file.count()
    assert file.text(4) == "three"
    assert "replaced by another file on the host" in file.text(3)
    copy.close()
