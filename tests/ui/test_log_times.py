"""Times in a log: reading them, going to one, merging two logs by them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ui.test_log_file import counted, wait
from tests.ui.test_log_scan import finish
from tui.widgets.log import line_times as log_line_times
from tui.widgets.log.file import LogFile
from tui.widgets.log.merge import MergedLog
from tui.widgets.log.query import Query
from tui.widgets.log.timeline import Arrivals, Timeline
from tui.widgets.log.times import Stamp, Target, stamp, target

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/Chicago")  # 6 h behind UTC in November
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("line", "at"),
    [
        (b"2026-11-23T12:00:00Z step 1", NOON),
        (b"2026-11-23 06:00:00 step 1", NOON),
        (b"[2026-11-23 06:00:00,250] INFO", NOON + 0.25),
        (b"2026/11/23 06:00:00.5 x", NOON + 0.5),
        (b"2026-11-23T13:00:00.000001+01:00 x", NOON + 1e-6),
        (b"2026-11-23T07:30:00-0430 x", NOON),
        (b'{"ts": %d.5, "msg": 1}' % NOON, NOON + 0.5),
        (b'{"time": %d123, "msg": 1}' % NOON, NOON + 0.123),
        (b"%d step" % NOON, NOON),
        (b"\x1b[90m2026-11-23 06:00:00\x1b[0m x", NOON),
    ],
)
def test_dated_stamps(line: bytes, at: float) -> None:
    found = stamp(line)
    assert found is not None and found.dated and found.at == pytest.approx(at, abs=1e-7)


def test_other_stamps() -> None:
    assert stamp(b"Nov 23 06:00:00 host kernel", 2026) == Stamp(NOON)
    assert stamp(b"14:02:05.5 x") == Stamp(14 * 3600 + 125.5, dated=False)
    for none in (b"", b"step 12 loss 0.4", b"2026-13-45 99:99:99", b"1.2.3.4:5:6", b"25:00:00",
                 b"took 1795435200123456 ns", b"Abc 12 10:00"):  # fmt: skip
        assert stamp(none) is None


@pytest.mark.parametrize(
    ("words", "want"),
    [
        ("+5m", Target(unix=NOON + 300)),
        ("-1h30m", Target(unix=NOON - 5400)),
        ("+0.5d", Target(unix=NOON + 43_200)),
        ("14:02", Target(unix=NOON + 8 * 3600 + 120)),
        (" 6:00:07 ", Target(unix=NOON + 7)),
        ("2026-11-24 06:00", Target(unix=NOON + 86_400)),
        ("1200", Target(line=1199)),
        ("#1", Target(line=0)),
        ("50%", Target(share=0.5)),
    ],
)
def test_what_is_typed(words: str, want: Target) -> None:
    assert target(words, NOON) == want


@pytest.mark.parametrize("words", ["", "soon", "25:00", "2026-02-30 10:00", "+5", "5m", "-"])
def test_what_is_no_place(words: str) -> None:
    with pytest.raises(ValueError, match=r"time|day"):
        target(words, NOON)


def test_without_times_a_step_has_nothing_to_count_from() -> None:
    with pytest.raises(ValueError, match="no times"):
        target("+5m", None)


def timeline(log: LogFile, arrivals: Arrivals | None = None) -> Timeline:
    return Timeline(log, log.ended, arrivals or Arrivals())


def clock(seconds: float, form: str) -> str:
    return time.strftime(form, time.localtime(seconds))


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%H:%M:%S"])
def test_a_moment_is_found_also_over_midnights(tmp_path: Path, form: str) -> None:
    path = tmp_path / "log"
    begin, count = NOON, 40_000  # one line in 5 s: more than two days
    with open(path, "w") as out:
        for n in range(count):
            out.write(f"{clock(begin + 5 * n, form)} step {n}\n  without a time\n")
    os.utime(path, (begin + 5 * count, begin + 5 * count))
    log = counted(path)
    times = timeline(log)
    for n in (0, 1, 12_345, 17_280, 39_999):
        assert times.line_at(begin + 5 * n) == 2 * n
        assert times.time_of(2 * n) == times.time_of(2 * n + 1) == begin + 5 * n
    assert times.line_at(begin + 5 * 1000 - 2) == 2000
    assert times.line_at(begin - 99) == 0
    assert times.line_at(begin + 10 * count) == 2 * count - 1


def test_without_times_the_moments_of_arrival_are_used(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("no\ntime\nin\nhere\n")
    arrivals = Arrivals()
    times = timeline(counted(path), arrivals)
    assert times.line_at(NOON) is None and times.time_of(1) is None
    for second, lines in enumerate((1, 1, 2, 4)):
        arrivals.note(NOON + 2 * second, lines)
    assert times.line_at(NOON + 3) == 1
    assert times.line_at(NOON + 6) == 2
    assert times.time_of(3) == NOON + 6
    assert times.time_of(0) is None, "it was there before anybody looked"
    assert times.line_at(NOON - 50) is None


def test_arrivals_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals()
    for second in range(120_000):
        arrivals.note(NOON + 2 * second, second + 1)
    assert len(arrivals._at) <= 50_000
    assert abs((arrivals.time_of(119_000) or 0) - NOON - 238_000) <= 2


def merged(paths: list[Path]) -> MergedLog:
    log = MergedLog(paths)
    log.look()
    wait(log)  # type: ignore[arg-type]
    return log


def texts(log: MergedLog) -> list[str]:
    found = [log.line(n) for n in range(log.lines)]
    return [raw.data.decode() for raw in found if raw is not None]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_merging_keeps_the_order_of_times_and_of_each_log(
    tmp_path: Path, data: st.DataObject
) -> None:
    seconds = st.lists(st.one_of(st.integers(0, 50), st.none()), max_size=25)
    logs = [data.draw(seconds) for _ in range(2)]
    cuts = [data.draw(st.integers(0, len(lines))) for lines in logs]
    paths = [tmp_path / "a", tmp_path / "b"]
    want: list[tuple[float, int, int]] = []
    bodies: list[list[str]] = []
    for source, lines in enumerate(logs):
        now, body = 0.0, []
        for number, second in enumerate(lines):
            now = now if second is None else max(now, NOON + second)
            want.append((now, source, number))
            stamped = "" if second is None else clock(NOON + second, "%Y-%m-%d %H:%M:%S ")
            body.append(f"{stamped}{source}.{number}\n")
        bodies.append(body)
    for path, body, cut in zip(paths, bodies, cuts, strict=True):
        path.write_text("".join(body[:cut]))
    log = merged(paths)
    for path, body, cut in zip(paths, bodies, cuts, strict=True):
        with open(path, "a") as out:
            out.write("".join(body[cut:]))
    log.look()
    wait(log)  # type: ignore[arg-type]
    assert [t.rsplit(" ", 1)[-1] for t in texts(log)] == [f"{s}.{n}" for _, s, n in sorted(want)]
    assert [log.place(n) for n in range(log.lines)] == [(paths[s], n) for _, s, n in sorted(want)]
    scan = log.scan(Query("1."))
    found = finish(scan)  # type: ignore[arg-type]
    assert found == [n for n, text in enumerate(texts(log)) if "1." in text]
    log.close()


def test_two_long_logs_are_merged_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_line_times, "STEP", 4096)
    paths, chance = [tmp_path / "a", tmp_path / "b"], random.Random(4)
    for path in paths:
        at, body = NOON, []
        for n in range(3000):
            at += chance.random() * 4
            body.append(f"{clock(at, '%Y-%m-%d %H:%M:%S')} {path.name}{n} {'x' * (n % 50)}\n")
        body.insert(1500, "y" * 20_000 + "\n")
        path.write_text("".join(body))
    log = merged(paths)
    shown = [text for text in texts(log) if not text.startswith("y")]
    assert log.lines == 6002 and len(shown) == 6000
    assert [t[:19] for t in shown] == sorted(t[:19] for t in shown)
    times = Timeline(log, log.ended, Arrivals())
    at = times.line_at(NOON + 3000)
    assert at is not None
    line, before = log.line(at), log.line(at - 1)
    assert line is not None and before is not None
    limit = clock(NOON + 3000, "%Y-%m-%d %H:%M:%S").encode()
    assert before.data[:19] < limit <= line.data[:19]


def test_a_merged_log_begins_anew_when_one_of_them_is_cut_short(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text(f"2026-11-23 06:00:00 {path.name}1\n2026-11-23 06:00:02 {path.name}2\n")
    log = merged(paths)
    assert [t[-2:] for t in texts(log)] == ["a1", "b1", "a2", "b2"]
    paths[0].write_text("2026-11-23 06:00:01 new\n")
    assert log.look()
    wait(log)  # type: ignore[arg-type]
    assert log.generation == 1
    assert [t[-3:] for t in texts(log)][-3:] == [" b1", "new", " b2"]


def test_a_last_line_that_is_not_finished_waits_and_holds_nothing_up(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[0].write_text("2026-11-23 06:00:00 hit a1\n2026-11-23 06:00:09 hit a2")
    paths[1].write_text("2026-11-23 06:00:01 hit b1\n")
    log = merged(paths)
    scan = log.scan(Query("hit"))
    assert finish(scan) == [0, 1] and log.lines == 2  # type: ignore[arg-type]
    with open(paths[0], "a") as out:
        out.write(" and more\n")
    log.look()
    wait(log)  # type: ignore[arg-type]
    assert finish(scan) == [0, 1, 2]  # type: ignore[arg-type]
    assert texts(log)[2].endswith("a2 and more")
