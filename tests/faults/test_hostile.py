"""What a host may send: kept byte for byte, obeyed by nothing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import locations
from core.errors import RouteError
from core.jobdir import JobDir, JobSpec, read_events
from remote.launch import DirectLauncher
from remote.linking.living import disconnect
from remote.route import Route
from remote.sandbox import Sandbox, detached
from remote.sandbox.files import Layout
from remote.sandbox.options import Options
from remote.sync import fetch_artifacts, pull, push
from tests.conftest import require
from tests.faults.scene import COUNTER, JOB, Counting, Laptop, Sleeper
from tests.remote.conftest import end_jobs
from tests.remote.local import ended, py, until
from tests.sandbox.test_detached import qa

MB = 1 << 20
HARMFUL = [*range(9), *range(11, 32), 127, *range(128, 160), 0x202A, 0x202B, 0x202E, 0x2066]


def hostile_job(line_bytes: int) -> JobSpec:
    """Prints every payload, then one line of that length, into its log and its events."""
    script = (
        f"import sys; sys.path.insert(0, {str(locations.project_root())!r})\n"
        "from pathlib import Path\n"
        "from remote.sandbox.hostile import append_output\n"
        f"append_output(Path('.'), {line_bytes})\n"
        "print('the end')\n"
    )
    return JobSpec(id=JOB, routine="test", command=[sys.executable, "-I", "-c", script])


def harmless(text: str) -> bool:
    return not any(ord(c) in HARMFUL for c in text if c != "\n")


@pytest.mark.slow
def test_a_line_of_100_mb_in_bounded_memory(sandbox: Sandbox, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    with Route(sandbox.host) as route:
        DirectLauncher(route).start(hostile_job(100 * MB))
        with Sleeper(sandbox.host, into) as laptop:
            error, cuts, grown = laptop.result()
    assert (error, cuts) == ("NoneType", "0")
    assert int(grown) < 64 * MB
    theirs = Path(sandbox.host.workdir) / "jobs" / JOB
    for name in ("output.log", "events.jsonl"):
        assert (into / name).stat().st_size == (theirs / name).stat().st_size > 100 * MB
    # cmp reads both in pieces; 200 MB in this process would prove nothing more
    assert os.system(f"cmp -s '{into}/output.log' '{theirs}/output.log'") == 0
    events, _ = read_events(into / "events.jsonl")
    assert events and all(e["kind"] == "unreadable" for e in events)
    assert max(len(e["text"]) for e in events) <= 1000


@pytest.fixture
def up() -> Iterator[Sandbox]:
    """The sandbox that the commands find."""
    layout = Layout(locations.state_dir() / "sandbox")
    detached.up(layout, Options())
    with Sandbox(layout.root) as sandbox:
        yield sandbox
        sandbox.all_clear()
        end_jobs(Path(sandbox.host.workdir))
    disconnect("sandbox")
    detached.down(layout)


def test_the_commands_print_nothing_a_terminal_obeys(up: Sandbox) -> None:
    up.noisy_bashrc()
    with Route(up.host) as route:
        launcher = DirectLauncher(route)
        launcher.start(hostile_job(200_000))
        until(lambda: ended(launcher.state(JOB)), 60)
    log = qa("logs", JOB, "--follow").stdout
    assert harmless(log) and "the end" in log and "markup" in log
    assert max(map(len, log.splitlines())) < 200_000
    listed = qa("jobs", "list", "--json").stdout
    assert harmless(listed) and json.loads(listed)[0]["id"] == JOB
    shown = qa("jobs", "show", JOB).stdout
    assert harmless(shown)


def test_hostile_file_names_and_links_stay_where_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing outside is read or written; the job's own good file is not lost over it."""
    into = tmp_path / "mirror"
    with Laptop(sandbox.host, into) as laptop:
        laptop.launcher.start(
            py("import time; open('artifacts/good', 'w').write('x'); time.sleep(600)")
        )
        good = Path(sandbox.host.workdir) / "jobs" / JOB / "artifacts" / "good"
        until(lambda: good.exists() and good.read_text() == "x")
        sandbox.hostile_files()
        before = sorted(p.name for p in tmp_path.iterdir())
        try:
            fetch_artifacts(laptop.route, JOB, into)
        except RouteError as error:
            assert error.what and error.try_next and harmless(str(error)), error.as_dict()
        assert fetch_artifacts(laptop.route, JOB, into, ["good"])[0].read_text() == "x"
        here = {*before, "mirror"}
        assert {p.name for p in tmp_path.iterdir()} == here
        got = [p for p in into.rglob("*") if not p.is_dir()]
        assert not any(p.is_symlink() or p.is_fifo() for p in got)
        assert not any(b"root:" in p.read_bytes() for p in got)
        assert laptop.route.alive
        laptop.launcher.stop(JOB, kill=True)


def test_a_login_shell_that_greets_disturbs_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    require(Path("/etc/debian_version").exists(), "a bash that reads ~/.bashrc under ssh")
    sandbox.noisy_bashrc()
    job = Counting(sandbox.host)
    data = os.urandom(300_000)
    (tmp_path / "data").write_bytes(data)
    with Laptop(sandbox.host, tmp_path / "mirror").begin() as laptop:
        push(laptop.route, [(tmp_path / "data", "up/data")])
        assert (Path(sandbox.host.workdir) / "up" / "data").read_bytes() == data
        (back,) = pull(laptop.route, "up", tmp_path / "down")
        assert back.read_bytes() == data
        job.open()
        laptop.whole(job)
        assert laptop.mirror.cuts == 0


def test_a_job_that_turns_hostile_half_way(sandbox: Sandbox, tmp_path: Path) -> None:
    """Between good lines; the metrics before and after are all read."""
    job, into = Counting(sandbox.host), tmp_path / "mirror"
    with Laptop(sandbox.host, into).begin() as laptop:
        job.open(0, 1)
        laptop.has(1)
        sandbox.hostile_output(3 * MB)
        job.open()
        assert laptop.mirror.done.wait(60) and laptop.mirror.error is None
    assert JobDir(into).output.read_bytes() == (job.path / "output.log").read_bytes()
    events, _ = read_events(into / "events.jsonl")
    steps = [e["step"] for e in events if e["kind"] == "metric"]
    assert steps == list(range(0, 2000, 10)), COUNTER
    assert any(e["kind"] == "unreadable" for e in events)


def test_names_that_no_host_takes_are_refused_here(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    with Route(sandbox.host) as route:
        for name in ("../outside", "/etc/outside", "a/../../outside"):
            with pytest.raises(Exception) as failed:
                push(route, [(tmp_path / "data", name)])
            assert "outside" in str(failed.value)
        assert route.alive
    assert not list(sandbox.directory.rglob("outside"))
