"""A day at the desk, recorded and shown again."""

from __future__ import annotations

import gzip
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import HostUnreachable, NotFound, ReadOnlyMode, UsageError
from core.jobdir import JobDir
from tests.ui import fakes, fakes_data, fakes_host
from tests.ui.conftest import make_app, press, settle, shown, until
from tests.ui.fakes import NOW, FakeDesk
from tui.cli.root import run as qa
from tui.desk.api import Gauge
from tui.recording import tape
from tui.recording.about import about
from tui.recording.centre import ReplayCentre, line
from tui.recording.codec import decode, encode
from tui.recording.player import Player, speed_of
from tui.recording.recorder import Recorder

JOB = "train-20261122-141530-3f9a"


class Clock:
    """Time that a test moves."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# -- values

scalars = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.builds(Gauge, st.just("gpu"), st.text(), inner, inner, inner)
    ),
    max_leaves=12,
)


@given(values)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    packed = json.loads(json.dumps(encode(value)))
    assert decode(packed, Path("/jobs")) == value


def test_the_desk_s_own_rows_come_back() -> None:
    rows = (*fakes.KNOWN_SOURCES, fakes_host.VIEW, fakes_data.FILES, fakes_data.DIFF)
    assert decode(json.loads(json.dumps(encode(rows))), Path("/jobs")) == rows
    job = decode(encode(JobDir(Path("/state/jobs/train-1"))), Path("/replay"))
    assert job.path == Path("/replay/train-1")
    log = decode(encode(Path("/state/gh200/jobs/train-1/output.log")), Path("/replay"))
    assert log == Path("/replay/train-1/output.log")
    with pytest.raises(TypeError):
        encode(object())


@pytest.mark.parametrize(
    "bad",
    [
        {"$row": "os:system", "of": {}},
        {"$row": "tui.desk.workbench:Workbench", "of": {}},
        {"$row": "tui.desk.api:Desk", "of": {}},
        {"$row": "tui.desk.api:JobRow", "of": {}},
        {"$row": "tui.desk.api:JobRow", "of": 3},
        {"$job": "../../etc"},
        {"$job": ".ssh"},
        {"what": 1},
    ],
)
def test_a_changed_recording_makes_nothing_else(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="damaged"):
        decode(bad, Path("/jobs"))


def test_a_recorded_path_cannot_lead_elsewhere() -> None:
    for name in ("/etc/passwd", "../../x/../etc/passwd", "jobs/a/../../../etc/passwd"):
        assert decode({"$path": name}, Path("/replay")) == Path("passwd")


# -- the tape


def record(path: Path, root: Path) -> tuple[FakeDesk, Clock]:
    """Two minutes: a link that is lost in between, a job that prints, one error."""
    clock, desk = Clock(), FakeDesk(root / "jobs")
    recorder = Recorder(path, "gh200", clock=clock)
    seen = recorder.desk(desk)
    seen.link()
    seen.jobs()
    log = seen.job_dir(JOB).output
    log.write_text("first line\n")
    recorder._look()
    clock.now += 60
    desk.route = "lost"
    seen.link()
    seen.host.view()
    desk.fail["versions"] = HostUnreachable("gone", try_next="ctrl+r")
    with pytest.raises(HostUnreachable):
        seen.versions()
    with open(log, "a") as f:
        f.write("second line\n")
    recorder._look()
    clock.now += 60
    desk.route = "up"
    seen.link()
    recorder.close()
    return desk, clock


def test_a_replay_answers_as_of_its_moment(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    record(path, tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    clock = Clock(5000.0)
    player = Player(path, tmp_path / "replay", clock=clock)
    desk = player.desk()
    try:
        assert player.host == desk.host_name == "gh200" and player.length == 120
        assert desk.link().state == "up"
        assert desk.jobs()[0].id == JOB
        log = desk.job_dir(JOB).output
        assert log.read_text() == "first line\n"
        clock.now += 61
        player._write_files()
        assert desk.link().state == "lost" and player.now() == NOW + 61
        assert log.read_text() == "first line\nsecond line\n"
        with pytest.raises(HostUnreachable, match="gone"):
            desk.versions()
        assert desk.host.view() == fakes_host.VIEW
        player.faster(2)  # four times
        clock.now += 10
        assert player.moment == 101
        player.pause()
        clock.now += 100
        assert player.moment == 101
        player.seek(5)
        assert desk.link().state == "up" and log.read_text() == "first line\n"
        player.pause()
        clock.now += 1000
        assert player.moment == 120 and desk.link().state == "up"
        with pytest.raises(ReadOnlyMode):
            desk.stop_job(JOB)
        with pytest.raises(ReadOnlyMode):
            desk.host.open_tunnel(8000)
        with pytest.raises(NotFound, match="never looked at"):
            desk.history()
        assert desk.reading() is None
    finally:
        player.close()


def test_a_recording_cut_off_in_the_middle_is_shown_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    record(path, tmp_path)
    whole = path.read_bytes()
    full = len(list(tape.read(path)[1]))
    found = []
    for size in (len(whole) - 1, len(whole) - 40, len(whole) // 2):
        path.write_bytes(whole[:size])
        found.append(len(list(tape.read(path)[1])))
    assert full == found[0] and found[0] >= found[1] >= found[2]  # the last byte is gzip's own
    path.write_bytes(b"not a recording")
    with pytest.raises(UsageError, match="no recording"):
        tape.read(path)
    with gzip.open(path, "wb") as f:
        f.write(b'{"recording": 99}\n')
    with pytest.raises(UsageError, match="no recording of this kind"):
        tape.read(path)


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    path.write_text("mine")
    with pytest.raises(UsageError, match="cannot be made"):
        Recorder(path, "gh200")
    assert path.read_text() == "mine"


def test_a_full_disk_ends_the_recording_and_not_the_app(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "day.qar", "gh200")
    recorder.tape._file.close()
    recorder.tape._file = recorder.tape._zip.fileobj = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    seen = recorder.desk(FakeDesk(tmp_path / "jobs"))
    assert seen.link().state == "up"
    recorder.close()
    assert recorder.tape.problem is not None and "ends here" in recorder.tape.problem.what
    assert seen.jobs()


def test_what_came_a_second_ago_is_on_disk_however_busy_the_desk(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    recorder = Recorder(path, "gh200")
    end = time.monotonic() + 20
    while path.stat().st_size < 100:  # more than the header of gzip; nothing ever pauses it
        assert time.monotonic() < end
        recorder.tape.put({"t": 1, "call": "x", "args": [], "value": random.random()})
        time.sleep(0.01)
    copy = tmp_path / "killed.qar"
    copy.write_bytes(path.read_bytes())  # what a crash would leave
    head, entries = tape.read(copy)
    assert head["host"] == "gh200" and list(entries)
    recorder.close()


def test_two_answers_in_a_moment_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    clock, desk = Clock(), FakeDesk(tmp_path / "jobs")
    recorder = Recorder(path, "gh200", clock=clock)
    seen = recorder.desk(desk)
    seen.jobs()
    clock.now += 0.1
    desk.rows[JOB] = replace(desk.rows[JOB], status="failed")
    seen.jobs()
    recorder.close()
    player = Player(path, tmp_path / "replay", clock=Clock(0.0))
    player.seek(1)
    assert player.desk().jobs()[0].status == "failed"
    player.close()


def test_nothing_typed_at_a_login_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    desk = FakeDesk(tmp_path / "jobs")
    desk.logs_in = lambda prompter: prompter("hunter2")
    recorder = Recorder(path, "gh200")
    recorder.desk(desk).connect(lambda said: said)  # type: ignore[arg-type]
    recorder.close()
    assert desk.logged_in == "hunter2"
    assert b"hunter2" not in gzip.decompress(path.read_bytes())


# -- the app


async def test_the_app_over_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    clock = Clock()
    recorder = Recorder(path, "gh200", clock=clock)
    desk = FakeDesk(tmp_path / "jobs")
    app = make_app(recorder.desk(desk))  # type: ignore[arg-type]
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key in ("3", "4", "9", "2", "1"):
            await press(pilot, key)
        clock.now += 600
        desk.rows[JOB] = replace(desk.rows[JOB], status="failed", exit_code=1)
        await press(pilot, "4")
    recorder.close()
    assert about(path)["host"] == "gh200" and about(path)["seconds"] >= 600

    player = Player(path, tmp_path / "replay", clock=(wall := Clock(0.0)))
    again = ReplayCentre(player)
    again.animation_level = "none"
    try:
        async with again.run_test(size=(120, 40), notifications=True) as pilot:
            await settle(pilot)
            await press(pilot, "4")
            await until(pilot, lambda: f"● {JOB}" in shown(again))
            await until(pilot, lambda: "replay" in shown(again) and "0:00 of 10:0" in shown(again))
            await press(pilot, "x")
            await until(pilot, lambda: type(again.screen).__name__ == "Confirm")
            await press(pilot, "y")
            await until(pilot, lambda: "this is a recording" in shown(again))
            await press(pilot, "escape")
            wall.now += 700
            await press(pilot, "f6", "f7")
            await until(pilot, lambda: f"● {JOB}" not in shown(again))
            assert "✘" in shown(again) and "10:0" in shown(again)
            await press(pilot, "f5")
            await until(pilot, lambda: "‖ replay" in shown(again))
    finally:
        player.close()


def test_the_line_fits_every_width(tmp_path: Path) -> None:
    path = tmp_path / "day.qar"
    record(path, tmp_path)
    player = Player(path, tmp_path / "replay", clock=Clock())
    try:
        for width in (30, 80, 120, 200):
            assert line(player, width).cell_len <= max(width, 60)
    finally:
        player.close()


def test_speeds() -> None:
    assert [speed_of(s) for s in ("4", "0.5x", "64X")] == [4, 0.5, 64]
    for bad in ("fast", "0", "-3", "nan", "1e9"):
        with pytest.raises(UsageError):
            speed_of(bad)


def test_the_command_tells_what_a_recording_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "day.qar"
    record(path, tmp_path)
    assert qa(["replay", str(path), "--info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["host"], found["seconds"], found["jobs"]) == ("gh200", 120.0, [JOB])
    assert qa(["replay", str(tmp_path / "no"), "--info"]) == 2
    assert qa(["replay", str(path), "--speed", "fast"]) == 2
