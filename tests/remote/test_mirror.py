"""Mirrors lose nothing and double nothing: over cuts, over kill -9 of the client, two at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import AuthenticationFailed, LinkLost, NotFound
from core.jobdir import JobDir, read_events
from remote.agent.follow import mark
from remote.agent.frames import pack
from remote.launch import DirectLauncher
from remote.mirror import Mirror
from remote.route import Route
from remote.segments import seams
from tests.remote.conftest import refused
from tests.remote.local import Local, py, sh, until

LINES, BATCHES = 3000, 8
LINE_BYTES = 15
# Each batch but the first waits for its gate, so that a test decides how long the job takes.
WRITER = f"""
import os, sys, time, json
events = open("events.jsonl", "ab", buffering=0)
for n in range({LINES}):
    while n % {LINES // BATCHES} == 0 and not os.path.exists("gate%d" % (n // {LINES // BATCHES})):
        time.sleep(0.01)
    print(f"line {{n:06d}} ü", flush=True)
    if n % 10 == 0:
        events.write(json.dumps({{"t": n, "kind": "metric", "step": n}}).encode() + b"\\n")
        time.sleep(0.008)
sys.exit(3)
"""


def check_whole(into: Path, theirs: Path) -> None:
    """Every line once, from the first, and the end as the host has it."""
    mine = JobDir(into)
    assert mine.output.read_bytes() == (theirs / "output.log").read_bytes()
    lines = mine.output.read_text("utf-8").splitlines()
    assert lines == [f"line {n:06d} ü" for n in range(LINES)]
    events, _ = read_events(mine.events)
    assert [e["step"] for e in events] == list(range(0, LINES, 10))
    state = mine.state()
    assert state is not None and (state.status, state.exit_code) == ("failed", 3)
    assert state.log_bytes == mine.output.stat().st_size
    assert mine.spec().id == "job-1"


def open_gates(job: Path, *which: int) -> None:
    until(job.exists)
    for n in which or range(BATCHES):
        (job / f"gate{n}").touch()


def reached(into: Path, size: int) -> None:
    """Wait until the mirror holds that many bytes."""
    path = into / "output.log"
    until(lambda: path.exists() and path.stat().st_size >= size, 60)


def cut_in_each_batch(into: Path, job: Path, cut: Callable[[], None]) -> None:
    for batch in range(BATCHES):
        open_gates(job, batch)
        reached(into, (batch * LINES // BATCHES + 20) * LINE_BYTES)
        cut()


def test_many_cuts_lose_and_double_nothing(pair: Any, tmp_path: Path) -> None:
    route = Route(pair.host)
    route.open()
    into = tmp_path / "mirror"
    DirectLauncher(route).start(py(WRITER))
    mirror = Mirror(lambda: route.ensure(), "job-1", into).start()
    job = Path(pair.host.workdir) / "jobs" / "job-1"
    cut_in_each_batch(into, job, pair.cut)
    assert mirror.done.wait(60)
    assert mirror.error is None and mirror.cuts >= BATCHES - 1
    check_whole(into, job)
    assert not mirror._thread.is_alive()
    route.close()


def test_local_cuts(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    DirectLauncher(local).start(py(WRITER))
    mirror = Mirror(lambda: local, "job-1", into).start()
    job = local.workdir / "jobs" / "job-1"
    cut_in_each_batch(into, job, local.cut)
    assert mirror.done.wait(60)
    assert mirror.error is None and mirror.cuts >= BATCHES - 1
    check_whole(into, job)


CLIENT = """
import sys, time
from collections.abc import Callable
from pathlib import Path
from remote.hosts import Host, Jump
from remote.launch import DirectLauncher
from remote.mirror import Mirror
from remote.route import Route
from remote.segments import seams
from tests.remote.local import py
from tests.remote.test_mirror import WRITER
from pathlib import PosixPath
host, into = eval(sys.argv[1]), Path(sys.argv[2])
route = Route(host)
route.open()
DirectLauncher(route).start(py(WRITER))
Mirror(lambda: route, "job-1", into).start()
time.sleep(600)
"""


def test_kill_9_of_the_client_and_reattach(pair: Any, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    argv = [sys.executable, "-c", CLIENT, repr(pair.host), str(into)]
    client = subprocess.Popen(argv)
    job = Path(pair.host.workdir) / "jobs" / "job-1"
    open_gates(job, 0)
    reached(into, 1000)
    client.kill()
    assert client.wait() == -signal.SIGKILL
    had = (into / "output.log").stat().st_size
    with Route(pair.host) as route:
        state = DirectLauncher(route).state("job-1")
        assert state.status == "running"
        open_gates(job)
        mirror = Mirror(lambda: route, "job-1", into).start()
        assert mirror.done.wait(60) and mirror.error is None
    assert had > 0
    check_whole(into, job)
    # what is whole is read without any link
    offline = Mirror(lambda: pytest.fail("no link is needed"), "job-1", into).start()  # type: ignore[arg-type, return-value]
    assert offline.done.wait(5) and offline.error is None


def test_two_mirrors_of_one_job_in_one_place(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    DirectLauncher(local).start(py(WRITER))
    open_gates(local.workdir / "jobs" / "job-1")
    mirrors = [Mirror(lambda: local, "job-1", into).start() for _ in range(2)]
    for mirror in mirrors:
        assert mirror.done.wait(60) and mirror.error is None
    check_whole(into, local.workdir / "jobs" / "job-1")


def test_lines_show_while_the_job_runs(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    local.workdir.mkdir()
    os.mkfifo(local.workdir / "go")
    DirectLauncher(local).start(sh("echo first; read x < ../../go; echo last"))
    mirror = Mirror(lambda: local, "job-1", into).start()
    until(lambda: (into / "output.log").exists() and mirror.state())
    until(lambda: (into / "output.log").stat().st_size > 5)
    assert (into / "output.log").read_text() == "first\n"
    state = mirror.state()
    assert state is not None and state.status == "running" and not mirror.done.is_set()
    (local.workdir / "go").write_text("\n")
    assert mirror.done.wait(20)
    assert (into / "output.log").read_text() == "first\nlast\n"


def test_an_orphan_is_followed_to_its_loss(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    state = DirectLauncher(local).start(sh("echo up; exec sleep 60"))
    mirror = Mirror(lambda: local, "job-1", into).start()
    assert state.runner_pid and state.pid
    os.kill(state.runner_pid, signal.SIGKILL)
    until(lambda: (s := mirror.state()) is not None and s.status == "orphan")
    os.kill(state.pid, signal.SIGKILL)
    assert mirror.done.wait(20)
    last = mirror.state()
    assert last is not None and last.status == "lost"


def test_stop_ends_the_thread_and_a_new_mirror_goes_on(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    DirectLauncher(local).start(py(WRITER))
    mirror = Mirror(lambda: local, "job-1", into).start()
    open_gates(local.workdir / "jobs" / "job-1", 0)
    reached(into, 1000)
    mirror.stop()
    assert not mirror._thread.is_alive() and not mirror.done.is_set()
    open_gates(local.workdir / "jobs" / "job-1")
    mirror = Mirror(lambda: local, "job-1", into).start()
    assert mirror.done.wait(60)
    check_whole(into, local.workdir / "jobs" / "job-1")


def test_a_job_that_is_gone_ends_the_mirror(local: Local, tmp_path: Path) -> None:
    mirror = Mirror(lambda: local, "job-7", tmp_path / "mirror").start()
    assert mirror.done.wait(20) and isinstance(mirror.error, NotFound)


def test_waits_for_a_route_but_not_for_ever_on_a_refused_login(tmp_path: Path) -> None:
    asked: list[int] = []

    def provide() -> Any:
        asked.append(1)
        raise LinkLost("not yet") if len(asked) < 3 else AuthenticationFailed("no")

    mirror = Mirror(provide, "job-1", tmp_path / "mirror").start()
    assert mirror.done.wait(20)
    assert isinstance(mirror.error, AuthenticationFailed) and len(asked) == 3 and mirror.cuts == 2


class Scripted:
    """A carrier whose host answers what it likes."""

    alive = True

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.words: list[tuple[str, ...]] = []

    def agent(self, *words: str, bare: bool = True) -> Any:
        self.words.append(words)
        parts = [self.answers.pop(0) if self.answers else b"", b""]
        return type(
            "S",
            (),
            {
                "recv": lambda _, timeout=None: parts.pop(0),
                "close": lambda _: None,
                "send": lambda _, data: None,
            },
        )()

    def helper(self) -> Any:
        return type("H", (), {"call": lambda _, op, **more: {"workdir": "/w"}})()


END = pack({"end": True, "status": "succeeded"})


def test_a_hostile_host_writes_only_the_four_files(tmp_path: Path) -> None:
    into = tmp_path / "m"
    bad = b"".join(
        pack({"file": name, "offset": 0}, b"evil")
        for name in ["../evil", "/tmp/evil", "artifacts/x", "", "events.jsonl/../../x"]
    )
    odd = pack({"file": ["output.log"], "offset": 0}, b"evil")
    good = pack({"file": "output.log", "offset": 0}, b"ok\n")
    mirror = Mirror(lambda: Scripted(bad + odd + good + END), "job-1", into).start()  # type: ignore[arg-type, return-value]
    assert mirror.done.wait(10) and mirror.error is None
    found = sorted(p.name for p in tmp_path.rglob("*"))
    assert found == ["artifacts", "events.jsonl", "m", "output.log"]
    assert (into / "events.jsonl").read_bytes() == b""
    assert (into / "output.log").read_bytes() == b"ok\n"


def test_a_gap_is_refused_and_asked_for_again(tmp_path: Path) -> None:
    into = tmp_path / "m"
    a = pack({"file": "output.log", "offset": 0}, b"0123")
    gap = pack({"file": "output.log", "offset": 9}, b"9")
    overlap = pack({"file": "output.log", "offset": 2}, b"2345678")
    carrier = Scripted(a + gap, b"nonsense\n", a[: len(a) - 1], overlap + END)
    mirror = Mirror(lambda: carrier, "job-1", into).start()  # type: ignore[arg-type, return-value]
    assert mirror.done.wait(20) and mirror.error is None and mirror.cuts == 3
    assert (into / "output.log").read_bytes() == b"012345678"
    assert carrier.words[1][3] == f"output.log=4:0:{mark(b'0123')}"


def test_a_log_that_runs_wild_is_capped_and_that_is_said(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    DirectLauncher(local).start(sh("head -c 300000 /dev/zero"))
    for _ in range(2):
        mirror = Mirror(lambda: local, "job-1", into, limit=100_000).start()
        assert mirror.done.wait(20) and mirror.error is None
        assert (into / "output.log").stat().st_size == 100_000
        assert json.loads((into / "state.json").read_text())["log_bytes"] == 300_000
        (into / "state.json").write_text('{"status": "running"}')  # as if it had been cut before
    (seam,) = seams(into)
    assert (seam.why, seam.kept) == ("capped", "") and "longer on the host" in seam.line


def test_following_costs_little_while_nothing_happens(local: Local, tmp_path: Path) -> None:
    """The follower on the host may not be a load: less than a tenth of a core."""
    DirectLauncher(local).start(sh("exec sleep 30"))
    mirror = Mirror(lambda: local, "job-1", tmp_path / "m").start()
    until(lambda: mirror.state() is not None)
    (follower,) = [s for s in local.streams if " follow " in s.process.args[2]]  # type: ignore[index]

    def used() -> float:
        fields = Path(f"/proc/{follower.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, start = used(), time.monotonic()
    time.sleep(2.0)
    assert used() - before < 0.1 * (time.monotonic() - start)
    mirror.stop()
    assert isinstance(refused(lambda: DirectLauncher(local).state("no")), NotFound)
    assert threading.active_count() >= 1
