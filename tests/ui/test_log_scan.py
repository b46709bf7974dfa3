"""Searching and filtering a log, against going over its lines one by one."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ui.test_log_file import counted
from tui.widgets.log import levels as log_levels
from tui.widgets.log import query as log_query
from tui.widgets.log import regex as log_regex
from tui.widgets.log import scan as log_scan
from tui.widgets.log.file import LogFile
from tui.widgets.log.query import Query, typed
from tui.widgets.log.rows import Rows, meeting
from tui.widgets.log.scan import Scan
from tui.widgets.log.seeking import Seeker
from tui.widgets.log.spans import Spans

WORDS = ("loss", "LOSS", "step 7", "an error: x", "WARNING deep", "b", "nan", "é", "\r", "")
line = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
lines = st.lists(line, max_size=60)


def finish(scan: Scan, log: LogFile | None = None) -> list[int]:
    end = time.monotonic() + 20
    while not scan.done:
        assert time.monotonic() < end, "the scan never ended"
        if log is not None:
            log.count()
        scan.keep_up()
        time.sleep(0.001)
    return [scan.number(n) for n in range(len(scan))]


def fits(query: Query, raw: bytes) -> bool:
    """The definition."""
    if query.level > log_levels.INFO and log_levels.level(raw) < query.level:
        return False
    if not query.text:
        return True
    if query.regex:
        flags = re.IGNORECASE if query.folded else 0
        return bool(re.search(query.text.encode(), raw, flags)) != query.inverse
    hay, needle = raw, query.text.encode()
    if query.folded:
        hay = hay.lower()
    return (needle in hay) != query.inverse


def write(path: Path, body: list[str], *, ends: bool = True) -> list[bytes]:
    data = "\n".join(body).encode() + (b"\n" if ends and body else b"")
    path.write_bytes(data)
    return [part.removesuffix(b"\n") for part in io.BytesIO(data)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(
    body=lines.filter(bool),
    ends=st.booleans(),
    query=st.builds(
        Query,
        text=st.sampled_from(["", "loss", "LOSS", "step", "é", "7 b"]),
        inverse=st.booleans(),
        level=st.sampled_from([0, log_levels.WARN, log_levels.ERROR]),
    ).filter(lambda q: bool(q.text) or not q.inverse),
    cut=st.integers(0, 200),
    piece=st.sampled_from([512, 1 << 20]),
)
def test_a_scan_finds_what_going_line_by_line_finds(
    tmp_path: Path, body: list[str], ends: bool, query: Query, cut: int, piece: int
) -> None:
    path = tmp_path / "log"
    raws = write(path, body * 3, ends=ends)
    whole = path.read_bytes()
    want = [n for n, raw in enumerate(raws) if fits(query, raw)] if query else None
    path.write_bytes(whole[:cut])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_scan, "PIECE", piece)
        patch.setattr(log_query, "CROWDED", 3)
        log = counted(path)
        scan = log.scan(query)
        finish(scan)  # the beginning, with a last line that is not finished
        with open(path, "ab") as out:
            out.write(whole[cut:])
        log.look()
        found = finish(scan, log)
    if want is not None:
        assert found == want
        assert [n for n in range(len(raws)) if scan.has(n)] == want
        assert [scan.rank(n) for n in range(len(raws) + 1)] == [
            sum(w < n for w in want) for n in range(len(raws) + 1)
        ]
    scan.cancel()


@pytest.mark.parametrize(
    "pattern", ["step \\d", "^an error", "^$", "(?:nan|b) ?$", "LOSS|é", "\\S+ deep"]
)
@pytest.mark.parametrize("inverse", [False, True])
def test_a_regular_expression_finds_what_re_finds(
    tmp_path: Path, pattern: str, inverse: bool
) -> None:
    body = [" ".join(WORDS[n % 8 : n % 8 + 2 + n % 2]) if n % 9 else "" for n in range(400)]
    path = tmp_path / "log"
    raws = write(path, body)
    query = Query(pattern, regex=True, inverse=inverse)
    scan = counted(path).scan(query)
    assert finish(scan) == [n for n, raw in enumerate(raws) if fits(query, raw)]
    scan.cancel()


def test_a_pattern_that_never_ends_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_regex, "PATIENCE_S", 0.5)
    path = tmp_path / "log"
    write(path, ["a" * 60])
    scan = counted(path).scan(Query("(a+a+)+b", regex=True))
    assert finish(scan) == [] and "takes more than" in scan.error


def test_a_search_that_is_left_ends_its_process(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, ["a" * 60])
    scan = counted(path).scan(Query("(a+a+)+b", regex=True))
    scan.keep_up()
    thread = scan._thread
    scan.cancel()
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive() and scan._matcher._process is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("needle", ["needle", "seam-crossing"])
@pytest.mark.parametrize("inverse", [False, True])
def test_a_line_longer_than_a_step_is_one_line(tmp_path: Path, needle: str, inverse: bool) -> None:
    path = tmp_path / "log"
    piece = log_scan.PIECE
    long = b"x" * (piece - 5) + b"seam-crossing" + b"y" * piece + b"needle" + b"z" * piece
    path.write_bytes(b"first\n" + long + b"\nlast needle\nend\n" + long)
    scan = counted(path).scan(Query(needle, inverse=inverse))
    with_it = {1, 4} | ({2} if needle == "needle" else set())
    assert finish(scan) == [n for n in range(5) if (n in with_it) != inverse]


def test_lines_after_a_seam_are_counted_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a hit\nb\nhit unfinished")
    log = counted(path)
    scan = log.scan(Query("hit"))
    assert finish(scan) == [0, 2]
    path.rename(tmp_path / "old")
    path.write_text("c\na hit\n")
    log.look()
    log.count()
    assert finish(scan) == [0, 2, 5]
    assert all("hit" in log.text(n) for n in (0, 2, 5)), "the numbers are those of the log"


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("loss", Query("loss")),
        ("!loss", Query("loss", inverse=True)),
        ("/lo.s/", Query("lo.s", regex=True)),
        ("/lo.s", Query("lo.s", regex=True)),
        ("!/a/", Query("a", regex=True, inverse=True)),
        ("/", Query("/")),
        ("", Query()),
    ],
)
def test_what_is_typed(words: str, query: Query) -> None:
    assert typed(words) == query


def test_a_capital_letter_makes_case_matter() -> None:
    assert Query("loss").folded and not Query("Loss").folded
    assert Query(r"\S+\W", regex=True).folded, "an escape is no capital letter"


def test_a_broken_pattern_is_told() -> None:
    assert "unterminated" in (Query("(a", regex=True).problem() or "")
    assert Query("(a").problem() is None


def test_hits_are_gone_through_in_both_directions_and_round(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, [f"{n} {'hit' if n % 10 == 3 else ''} {'x' if n % 4 else ''}" for n in range(40)])
    log = counted(path)
    log.count()
    hits, only = log.scan(Query("hit")), log.scan(Query("x"))
    assert finish(hits) == [3, 13, 23, 33]
    finish(only)
    seeker = Seeker(hits)
    for start, step, want, note in (
        (0, 1, 3, ""), (4, 1, 13, ""), (34, 1, 3, "went on from the top"),
        (39, -1, 33, ""), (2, -1, 33, "went on from the end"),
    ):  # fmt: skip
        seeker.start(start, step)
        assert (seeker.advance(), seeker.note) == (want, note)
    assert meeting(hits, only, 0, 1) == 3
    none = Seeker(log.scan(Query("nowhere")))
    none.start(0, 1)
    finish(none.hits)  # type: ignore[arg-type]
    assert none.advance() is None and none.note == "not found" and not none.waiting
    rows = Rows(log, hits)
    assert [rows.number(n) for n in range(len(rows))] == [3, 13, 23, 33]
    assert [rows.row(n) for n in (0, 3, 4, 33, 39)] == [0, 0, 1, 3, 3]


def test_where_a_regular_expression_hits_is_fetched_in_the_background() -> None:
    spans = Spans(Query("l[aeiou]", regex=True))
    assert spans.of("la le") == []
    end = time.monotonic() + 20
    while not spans.advance():
        assert time.monotonic() < end
        time.sleep(0.005)
    assert spans.of("la le") == [(0, 2), (3, 5)]
    spans.close()


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b"2026-11-23 14:02:05 INFO  step 3, error rate 0.1", log_levels.INFO),
        (b"2026-11-23T14:02:05Z ERROR it broke", log_levels.ERROR),
        (b"[2026-11-23 14:02:05,123] [warning] gradient", log_levels.WARN),
        (b'{"ts": 1, "level": "error", "msg": "x"}', log_levels.ERROR),
        (b'{"msg": "no error", "level": "info"}', log_levels.INFO),
        (b"Traceback (most recent call last):", log_levels.ERROR),
        (b"torch.OutOfMemoryError: CUDA out of memory.", log_levels.ERROR),
        (b"RuntimeError: boom", log_levels.ERROR),
        (b"Killed", log_levels.ERROR),
        (b"FutureWarning: `x` is deprecated", log_levels.WARN),
        (b"mean_error 0.3, 0 errors, error_rate 0", log_levels.INFO),
        (b"finished with no error", log_levels.INFO),
        (b"DEBUG an exception was handled", log_levels.QUIET),
        (b"", log_levels.INFO),
    ],
)
def test_levels(line: bytes, level: int) -> None:
    assert log_levels.level(line) == level
    if level >= log_levels.WARN:
        assert any(mark in line.lower() for mark in log_levels.marks(level))
