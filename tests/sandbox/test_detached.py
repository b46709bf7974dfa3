"""`qa sandbox up`: the servers stay, others attach to them, only they are ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import locations
from core.errors import EnvironmentProblem, UsageError
from remote.sandbox import PASSCODE, Sandbox, detached, records
from remote.sandbox.files import Layout
from remote.sandbox.options import Options
from tests.sandbox.test_life import alive
from tests.sandbox.wire import connect, eventually


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path / "state" / "sandbox")
    yield layout
    detached.down(layout)


def qa(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The command, in a session of its own as in another terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", *words],
        cwd=locations.project_root(),
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert done.returncode == code, done.stderr
    return done


def qa_json(*words: str) -> Any:
    return json.loads(qa(*words, "--json").stdout)


def test_up_status_fault_and_down_of_the_command_line(layout: Layout) -> None:
    assert qa_json("sandbox", "status")["up"] is False
    first = qa_json("sandbox", "up")
    again = qa_json("sandbox", "up")
    assert first["new"] and not again["new"] and first["pid"] == again["pid"]
    status = qa_json("sandbox", "status")
    assert status["up"] and Path(status["directory"]) == layout.root
    assert [(s["pid"], s["stays"], s["faults"]) for s in status["servers"]] == [
        (first["pid"], True, {})
    ]
    assert qa_json("sandbox", "fault", "delay", "40")["faults"] == {"delay_ms": 40.0}
    assert qa_json("sandbox", "status")["servers"][0]["faults"] == {"delay_ms": 40.0}
    assert "no such fault" in qa("sandbox", "fault", "nonsense", code=2).stderr
    assert "delay takes MS" in qa("sandbox", "fault", "delay", code=2).stderr
    assert "not a number" in qa("sandbox", "fault", "delay", "-5", code=2).stderr
    assert qa_json("sandbox", "fault", "all-clear")["faults"] == {}
    assert "up already" in qa("sandbox", "up", "--second-factor", code=2).stderr
    assert qa_json("sandbox", "down")["ended"]["pid"] == first["pid"]
    assert not alive(first["pid"])
    assert qa_json("sandbox", "down")["ended"] is None
    assert "no sandbox is running" in qa("sandbox", "fault", "cut", code=6).stderr
    assert "no sandbox is running" in qa("sandbox", "ssh-config", code=6).stderr


def test_every_listed_fault_is_known_to_the_servers(layout: Layout) -> None:
    values = {"MS": "0", "BYTES": "0", "SECONDS": "0", "N": "0"}
    listed = qa_json("sandbox", "fault")
    detached.up(layout, Options())
    for fault in listed:
        line = f"{fault['name']} {values.get(fault['value'], '')}"
        try:
            detached.tell_all(layout, line)
        except UsageError as e:  # what needs a small disk or a running job says so
            assert "no such fault" not in e.what and e.try_next, line
        if fault["ends_with"]:
            detached.tell_all(layout, "all-clear")
    assert detached.states(layout)[0]["faults"] == {}


def test_a_sandbox_attaches_to_the_one_that_is_up_and_leaves_it_up(layout: Layout) -> None:
    record, _ = detached.up(layout, Options())
    with Sandbox(layout.root) as one, Sandbox(layout.root) as two:
        assert one.attached and one.pid == two.pid == record.pid
        assert one.host == two.host
        link = connect(one.host)
        assert link.run("echo in")[1] == b"in\n"
        two.cut()
        eventually(lambda: not link.host.is_active(), "the cut of the other is felt")
        link.close()
    assert not one.running
    assert alive(record.pid)
    detached.down(layout)
    with Sandbox(layout.root) as private:
        assert not private.attached and private.pid != record.pid


def test_what_the_one_that_is_up_lacks_is_started_beside_it(layout: Layout) -> None:
    record, _ = detached.up(layout, Options())
    with Sandbox(layout.root, second_factor=True) as asking:
        assert not asking.attached and asking.pid != record.pid
        asking.delay(10)
        both = detached.states(layout)
        assert [s["stays"] for s in both] == [True, False]
        assert [bool(s["faults"]) for s in both] == [False, True]
        detached.tell_all(layout, "delay 20")
        assert all(s["faults"] == {"delay_ms": 20.0} for s in detached.states(layout))
    assert [s["pid"] for s in detached.states(layout)] == [record.pid]


def test_one_with_a_second_factor_is_attached_to_as_it_is(layout: Layout) -> None:
    detached.up(layout, Options(second_factor=True))
    with Sandbox(layout.root) as sandbox:
        assert sandbox.attached
        assert sandbox.host.jump and sandbox.host.jump.identity_file is None
        assert sandbox.password and PASSCODE


def test_a_killed_one_leaves_nothing_that_is_believed(layout: Layout) -> None:
    record, _ = detached.up(layout, Options())
    with Sandbox(layout.root) as sandbox:
        os.kill(record.pid, signal.SIGKILL)
        eventually(lambda: not sandbox.running, "the record is not believed")
        with pytest.raises(EnvironmentProblem, match="ended unexpectedly"):
            sandbox.cut()
        assert sandbox.start() and not sandbox.attached
    assert list(records.living(layout)) == []
    assert list(layout.run.glob("*.json")) == []
    assert detached.down(layout) is None


def test_a_strangers_process_is_not_ended(layout: Layout) -> None:
    """The pid of a server that died may be another's today."""
    layout.make_directories()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        record = records.Record(stranger.pid, 1, "another boot", 1, "/nowhere", True, Options())
        (layout.run / f"{stranger.pid}.json").write_text(json.dumps(record.as_dict()))
        assert detached.down(layout) is None
        assert stranger.poll() is None
        stranger.kill()


def test_a_frozen_one_is_ended_in_good_order(layout: Layout) -> None:
    record, _ = detached.up(layout, Options())
    detached.tell_all(layout, "freeze")
    assert detached.down(layout) == record
    assert not alive(record.pid)
    assert "Traceback" not in layout.log.read_text()


def test_it_outlives_the_terminal_and_ends_on_ctrl_c_in_the_foreground(layout: Layout) -> None:
    argv = [sys.executable, "-m", "tui.cli", "sandbox", "up", "--foreground"]
    front = subprocess.Popen(
        argv,
        cwd=locations.project_root(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert front.stdout
    record = records.Record.from_dict(json.loads(front.stdout.readline()))
    assert record.pid == front.pid and record.stays
    with Sandbox(layout.root) as sandbox:
        assert sandbox.attached
    front.send_signal(signal.SIGINT)
    assert front.wait(30) == 0
    front.stdout.close()


def test_the_sockets_are_private_however_long_the_path(tmp_path: Path) -> None:
    short, long = Layout(Path("/tmp") / f"qa-{os.getpid()}"), Layout(tmp_path / ("d" * 120))
    for layout in (short, long):
        try:
            with Sandbox(layout.root) as sandbox:
                (record,) = records.living(layout)
                control = Path(record.control)
                assert control.is_socket()
                assert control.stat().st_mode & 0o777 == 0o600
                assert control.parent.stat().st_mode & 0o077 == 0
                assert (control.parent == layout.run) == (layout is short)
                sandbox.cut()
            assert not control.exists()
        finally:
            shutil.rmtree(short.root, ignore_errors=True)


@pytest.mark.parametrize(
    "words", [["--disk", "64"], ["--disk", "many"], ["--disk", "-1G"], ["--port", "99999"]]
)
def test_odd_options_are_refused(layout: Layout, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", "sandbox", "up", *words],
        cwd=locations.project_root(),
        capture_output=True,
        text=True,
    )
    assert done.returncode in (2, 6) and "Traceback" not in done.stderr, done.stderr
    assert list(records.living(layout)) == [] if layout.run.is_dir() else True
