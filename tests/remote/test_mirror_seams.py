"""A file of the host that is not the same any more: kept, said, and gone on with from its start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from core.errors import JobError
from core.jobdir import JobDir, read_events
from remote.agent.frames import pack
from remote.launch import DirectLauncher
from remote.mirror import Mirror
from remote.segments import CLOCK, Seam, note, recall, remember, seams, segments
from tests.remote.local import Local, sh, until
from tests.remote.test_mirror import END, Scripted
from tui.cli.logs import Reader

# Runs until `go` is there; its own output is what the test writes into output.log beside it.
WAITS = "while [ ! -e go ]; do sleep 0.02; done"


def started(local: Local, into: Path, text: str) -> tuple[Path, Mirror]:
    """A running job whose log holds `text`, mirrored so far."""
    DirectLauncher(local).start(sh(WAITS))
    theirs = local.workdir / "jobs" / "job-1"
    until((theirs / "output.log").exists)
    (theirs / "output.log").write_text(text)
    mirror = Mirror(lambda: local, "job-1", into).start()
    until(lambda: (into / "output.log").exists() and (into / "output.log").read_text() == text)
    return theirs, mirror


def finish(theirs: Path, mirror: Mirror) -> None:
    (theirs / "go").touch()
    assert mirror.done.wait(20) and mirror.error is None


def truncate(log: Path) -> None:
    os.truncate(log, 0)
    with open(log, "a") as f:
        f.write("new\n")


def replace(log: Path) -> None:
    log.with_name("fresh").write_text("new log, longer than the old one was\n")
    log.with_name("fresh").rename(log)


def rewrite(log: Path) -> None:
    """Cut short and grown past the old end before anybody looks."""
    fd = os.open(log, os.O_WRONLY)
    os.pwrite(fd, b"NEW LINE 1\nNEW LINE 2\nNEW LINE 3\n", 0)
    os.close(fd)


CHANGES = [(truncate, "truncated"), (replace, "replaced"), (rewrite, "rewritten")]


@pytest.mark.parametrize("while_cut", [False, True], ids=["connected", "while cut"])
@pytest.mark.parametrize("change, why", CHANGES, ids=[why for _, why in CHANGES])
def test_a_changed_log_begins_a_new_segment(
    local: Local, tmp_path: Path, change: Any, why: str, while_cut: bool
) -> None:
    into = tmp_path / "mirror"
    old = "old line 1\nold line 2\n"
    theirs, mirror = started(local, into, old)
    if while_cut:
        mirror.stop()
        change(theirs / "output.log")
        mirror = Mirror(lambda: local, "job-1", into).start()
    else:
        change(theirs / "output.log")
    until(lambda: mirror.seams == 1)
    finish(theirs, mirror)
    assert (into / "output.log").read_bytes() == (theirs / "output.log").read_bytes()
    assert (into / "output.log.1").read_text() == old
    (seam,) = seams(into)
    assert (seam.file, seam.why, seam.kept, seam.bytes) == (
        "output.log", why, "output.log.1", len(old))  # fmt: skip
    shown = list(Reader(into).lines())
    assert [line.decode() for line in shown[:3]] == ["old line 1", "old line 2", seam.line]
    assert shown[3:] == (theirs / "output.log").read_bytes().splitlines()


def test_an_unchanged_log_has_no_seam_over_cuts(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    theirs, mirror = started(local, into, "one\n")
    for n in range(5):
        local.cut()
        with open(theirs / "output.log", "a") as f:
            f.write(f"line {n}\n")
        until(lambda n=n: (into / "output.log").read_text().endswith(f"line {n}\n"))
    finish(theirs, mirror)
    assert seams(into) == [] and segments(into, "output.log") == [into / "output.log"]


def test_events_begin_anew_too_and_their_reader_goes_on(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    theirs, mirror = started(local, into, "x\n")
    (theirs / "events.jsonl").write_text('{"kind": "phase", "name": "first and long"}\n')
    until(lambda: len(read_events(into / "events.jsonl")[0]) == 1)
    _, offset = read_events(into / "events.jsonl")
    (theirs / "events.jsonl").write_text('{"kind": "phase"}\n')
    until(lambda: mirror.seams == 1 and (into / "events.jsonl").stat().st_size > 0)
    assert read_events(into / "events.jsonl", offset)[0] == [{"kind": "phase"}]
    finish(theirs, mirror)


def test_two_mirrors_in_one_folder_turn_a_segment_once(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    theirs, first = started(local, into, "old line\n")
    second = Mirror(lambda: local, "job-1", into).start()
    until(lambda: second.heard is not None)
    truncate(theirs / "output.log")
    until(lambda: first.seams == 1 and second.seams == 1)
    finish(theirs, first)
    assert second.done.wait(20) and second.error is None
    assert len(segments(into, "output.log")) == 2 and len(seams(into)) == 1
    assert (into / "output.log").read_text() == "new\n"


def test_a_crash_between_rename_and_note_loses_no_byte(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    theirs, mirror = started(local, into, "old line\n")
    mirror.stop()
    (into / "output.log").rename(into / "output.log.1")  # … and the program ended here
    truncate(theirs / "output.log")
    mirror = Mirror(lambda: local, "job-1", into).start()
    finish(theirs, mirror)
    assert [p.read_text() for p in segments(into, "output.log")] == ["old line\n", "new\n"]


def test_a_host_that_never_stops_turning_is_given_up(tmp_path: Path) -> None:
    data = pack({"file": "output.log", "offset": 0}, b"0123456789" * 10)
    turn = pack({"seam": "output.log", "why": "truncated\x1b[2J"})
    carrier = Scripted(b"".join([data, turn] * 200) + END)
    mirror = Mirror(lambda: carrier, "job-1", tmp_path / "m", limit=1000).start()  # type: ignore[arg-type, return-value]
    assert mirror.done.wait(20) and isinstance(mirror.error, JobError)
    kept = segments(tmp_path / "m", "output.log")
    assert sum(p.stat().st_size for p in kept) <= 1200
    assert "\x1b" not in "".join(s.line for s in seams(tmp_path / "m"))


def test_odd_headers_end_no_mirror(tmp_path: Path) -> None:
    odd = [{"seam": ["x"]}, {"seam": "state.json"}, {"capped": 3}, {"beat": "x"}, {"file": None}]
    odd += [{"file": "output.log", "offset": 0, "ino": "x"}]
    carrier = Scripted(b"".join(pack(h) for h in odd) + END)
    mirror = Mirror(lambda: carrier, "job-1", tmp_path / "m").start()  # type: ignore[arg-type, return-value]
    assert mirror.done.wait(20) and mirror.error is None and mirror.seams == 0


def test_the_clock_of_the_host_is_known(tmp_path: Path) -> None:
    import time

    into = tmp_path / "m"
    carrier = Scripted(pack({"beat": time.time() - 3600}) + END)
    mirror = Mirror(lambda: carrier, "job-1", into).start()  # type: ignore[arg-type, return-value]
    assert mirror.done.wait(20)
    assert mirror.clock_offset is not None and -3700 < mirror.clock_offset < -3500
    assert -3700 < (recall(into, CLOCK) or 0) < -3500


def test_notes_that_are_torn_or_odd_are_passed_over(tmp_path: Path) -> None:
    note(tmp_path, Seam(1.0, "output.log", "truncated", "output.log.1", 5))
    with open(tmp_path / "seams.jsonl", "a") as f:
        f.write('[1]\n{"at": 2}\n{"at": 3, "fi')
    assert len(seams(tmp_path)) == 1 and seams(tmp_path, "events.jsonl") == []
    (tmp_path / "mirror.json").write_text('["x"]')
    assert recall(tmp_path, CLOCK) is None
    remember(tmp_path, CLOCK, 2.5)
    assert recall(tmp_path, CLOCK) == 2.5


def test_since_shows_the_newest_segment_only(tmp_path: Path) -> None:
    (tmp_path / "output.log.1").write_text("a\n")
    (tmp_path / "output.log").write_text("b\nccc")
    note(tmp_path, Seam(1.0, "output.log", "truncated", "output.log.1", 2))
    reader = Reader(tmp_path, since=2)
    assert list(reader.lines()) == [] and list(reader.rest()) == [b"ccc"]
    assert JobDir(tmp_path).output.read_text() == "b\nccc"
