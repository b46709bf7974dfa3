"""The line fails, in every way a line fails: noticed, told, and no line of a job lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import HostUnreachable, LinkLost, RouteError
from remote.launch import DirectLauncher
from remote.route import Route
from remote.sandbox import Sandbox
from tests.conftest import require
from tests.faults.scene import COUNTER, Counting, Laptop, Sleeper, all_lines, complete, told
from tests.netns import NetnsBed, has_iptables
from tests.remote.local import py, until

Change = Callable[[NetnsBed], None]
OUTAGES: dict[str, tuple[Change, Change, str]] = {
    "cable pulled": (lambda b: b.net.link_down(), lambda b: b.net.link_up(), "jump host"),
    "packets vanish": (lambda b: b.net.drop(), lambda b: b.net.pass_again(), "host"),
    "cable to the host": (
        lambda b: b.net.far_link_down(),
        lambda b: b.net.far_link_up(),
        "host openssh",
    ),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_the_network_goes_and_comes_back(bed: NetnsBed, tmp_path: Path, outage: str) -> None:
    fail, mend, where = OUTAGES[outage]
    if outage == "packets vanish":
        require(has_iptables(), "iptables")
    job = Counting(bed.host)
    with Laptop(bed.host, tmp_path / "mirror").begin() as laptop:
        job.open(0)
        laptop.has(0)
        fail(bed)
        error = complete(laptop.lost(), LinkLost)
        assert where in error.why and "job" in error.try_next
        told(laptop.launcher.list, LinkLost)  # at once, not after a timeout
        job.open(1, 2)
        job.written(2)  # it takes no notice
        mend(bed)
        laptop.has(2)
        job.open()
        laptop.whole(job)
        assert laptop.mirror.cuts >= 1
        assert laptop.route.alive  # opened again, nobody was asked


def test_the_laptop_moves_to_another_network(bed: NetnsBed, tmp_path: Path) -> None:
    job = Counting(bed.host)
    with Laptop(bed.host, tmp_path / "mirror").begin() as laptop:
        job.open(0)
        laptop.has(0)
        address = bed.net.move()
        until(lambda: laptop.mirror.cuts >= 1, 60)
        job.open(1, 2)
        laptop.has(2)
        job.open()
        laptop.whole(job)
        assert laptop.route.alive
        assert laptop.route.run(["true"], timeout=60).code == 0
    assert f"from {address}" in bed.hop("jump").log.read_text()


@pytest.mark.parametrize("hop", ["jump", "host"])
def test_the_sshd_of_a_connection_is_killed(bed: NetnsBed, tmp_path: Path, hop: Any) -> None:
    job = Counting(bed.host)
    with Laptop(bed.host, tmp_path / "mirror").begin() as laptop:
        for quarter in range(3):
            job.open(quarter)
            laptop.has(quarter)
            bed.cut(hop)
            until(lambda n=quarter: laptop.mirror.cuts > n)  # type: ignore[misc]
        job.open()
        laptop.whole(job)


def test_the_jump_host_is_rebooted(bed: NetnsBed, tmp_path: Path) -> None:
    job = Counting(bed.host)
    with Laptop(bed.host, tmp_path / "mirror").begin() as laptop:
        job.open(0)
        laptop.has(0)
        bed.jump_down()
        complete(laptop.lost(), LinkLost)
        error = told(Route(bed.host).open, HostUnreachable)
        assert "jump host" in error.what
        job.open(1)
        job.written(1)
        bed.jump_up()
        job.open()
        laptop.whole(job)


def test_the_host_is_gone_behind_a_jump_host_that_answers(bed: NetnsBed) -> None:
    bed.net.far_link_down()
    error = told(Route(bed.host).open, HostUnreachable)
    assert error.what.startswith("jump host") and "is up" in error.what
    assert f"host {bed.host.name}" in error.what


def test_a_laptop_sleeps_while_its_connections_die(bed: NetnsBed, tmp_path: Path) -> None:
    job = Counting(bed.host)
    with Route(bed.host) as route:
        DirectLauncher(route).start(py(COUNTER))
    with Sleeper(bed.host, tmp_path / "mirror") as laptop:
        job.open(0)
        log = tmp_path / "mirror" / "output.log"
        until(lambda: log.exists() and log.stat().st_size > 1000, 60)
        laptop.close_lid()
        bed.cut("jump")
        bed.cut("host")
        job.open()
        job.written(3)
        laptop.open_lid()
        assert laptop.result()[:2] == ["NoneType", "1"]
    all_lines(tmp_path / "mirror", job.path)


def test_a_slow_line_is_not_a_dead_one(sandbox: Sandbox, tmp_path: Path) -> None:
    """200 ms there and back, and a pipe that a chatty job fills for seconds."""
    job = Counting(sandbox.host)
    sandbox.delay(100)
    sandbox.throttle(60_000)
    with Laptop(sandbox.host, tmp_path / "mirror").begin() as laptop:
        job.open()
        laptop.whole(job)
        assert laptop.mirror.cuts == 0
        until(lambda: all((hop.rtt_ms or 0) >= 200 for hop in laptop.route.status().hops))


def test_silence_is_noticed_and_what_was_said_meanwhile_is_not_doubled(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The line falls silent, the route gives up, and then the old line delivers all it held."""
    job = Counting(sandbox.host)
    with Laptop(sandbox.host, tmp_path / "mirror").begin() as laptop:
        job.open(0)
        laptop.has(0)
        sandbox.freeze()
        job.open(1)
        job.written(1)
        complete(laptop.lost(), LinkLost)
        sandbox.thaw()
        job.open()
        laptop.whole(job)


def test_a_silence_that_outlasts_every_attempt(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts to come back fall into the silence too; neither the keeper nor the mirror gives up."""
    monkeypatch.setattr("remote.leg.HANDSHAKE_S", 0.5)
    job = Counting(sandbox.host)
    with Laptop(sandbox.host, tmp_path / "mirror").begin() as laptop:
        keeper = laptop.route.keep_up()
        job.open(0)
        laptop.has(0)
        sandbox.freeze()
        complete(laptop.lost(), LinkLost)
        until(lambda: keeper.attempts >= 2, 30)
        until(lambda: isinstance(laptop.route.status().error, HostUnreachable))
        sandbox.thaw()
        job.open()
        laptop.whole(job)
        assert laptop.route.alive and not keeper.needs_you


def test_a_call_that_was_under_way_ends_with_the_line(sandbox: Sandbox) -> None:
    with Route(sandbox.host) as route:
        helper = route.helper()
        helper.call("ping")
        sandbox.freeze()
        told(lambda: helper.call("hello", timeout=60), RouteError)
        sandbox.thaw()
        assert route.ensure().helper().call("ping")


def test_a_job_is_started_once_though_the_answer_was_lost(sandbox: Sandbox, tmp_path: Path) -> None:
    """The launch arrives, its answer does not: asked again, it is the same job."""
    script = "open('started', 'a').write('x'); import time; time.sleep(600)"
    started = Path(sandbox.host.workdir) / "jobs" / "job-1" / "started"
    with Laptop(sandbox.host, tmp_path / "mirror") as laptop:
        launcher = laptop.launcher
        launcher.list()  # the helper is there
        sandbox.delay(700)

        def cut_after_arrival() -> None:
            until(started.exists)
            sandbox.cut()

        threading.Thread(target=cut_after_arrival).start()
        told(lambda: launcher.start(py(script)), LinkLost)
        sandbox.all_clear()
        until(lambda: not laptop.route.alive)  # a channel ends a moment before its connection does
        laptop.route.ensure()
        assert laptop.launcher.start(py(script)).status == "running"
        assert started.read_text() == "x"
        laptop.launcher.stop("job-1", kill=True)
