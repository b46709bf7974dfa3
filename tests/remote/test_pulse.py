"""When a link counts as dead: deadlines, slow senders, a laptop that slept. Time is told, not waited for."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from remote import pulse as module
from remote.dialling import connected
from remote.leg import Leg, Meter
from remote.pulse import BUSY_BYTES, DEADLINE_S, PING_S, SLEPT_S, Pulse
from remote.route import Route
from tests.openssh import OpenSSHPair
from tests.remote.local import until


class FakeLeg:
    def __init__(self, name: str, now: float) -> None:
        self.spot = type("S", (), {"title": name})()
        self.meter = type("M", (), {"heard": now, "sent": 0})()
        self.transport = type("T", (), {"active": True, "is_active": lambda t: t.active})()
        self.asked: float | None = None
        self.pinged = threading.Event()

    def ping(self) -> None:
        self.pinged.set()

    def nudge(self) -> None:
        pass


class Clock:
    """time.time and time.monotonic as one pleases."""

    def __init__(self) -> None:
        self.now, self.wall = 1000.0, 5_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.wall

    def passes(self, seconds: float) -> float:
        self.now += seconds
        self.wall += seconds
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    it = Clock()
    monkeypatch.setattr(module, "time", it)
    return it


def pulse(clock: Clock, *names: str) -> tuple[Pulse, list[Any]]:
    legs: list[Any] = [FakeLeg(n, clock.now) for n in names]
    return Pulse(legs, lambda why: None), legs


def test_a_dead_link_is_noticed_within_four_seconds() -> None:
    """At worst it dies right after a reply: one pause until the next ping, then its deadline."""
    assert PING_S + DEADLINE_S < 4.0


def test_an_answer_that_stays_out_names_its_hop(clock: Clock) -> None:
    p, (jump, host) = pulse(clock, "jump host j", "host h")
    assert p._look(clock.now) == ("", PING_S)
    host.asked = clock.now
    jump.meter.heard = clock.now
    why, wait = p._look(clock.passes(DEADLINE_S - 0.5))
    assert why == "" and wait == pytest.approx(0.5)  # it looks again exactly then
    why, _ = p._look(clock.passes(0.5))
    assert why.startswith("host h has not answered")


def test_anything_heard_counts_as_an_answer(clock: Clock) -> None:
    p, (leg,) = pulse(clock, "host h")
    leg.asked = clock.now
    for _ in range(10):
        leg.meter.heard = clock.passes(1.0)
        assert p._look(clock.now)[0] == ""


def test_a_slow_sender_is_not_cut_off_but_a_stuck_one_is(clock: Clock) -> None:
    p, (leg,) = pulse(clock, "host h")
    leg.asked = clock.now
    for _ in range(10):
        leg.meter.sent += BUSY_BYTES + 1
        assert p._look(clock.passes(1.0))[0] == ""
    assert p._look(clock.passes(DEADLINE_S))[0] != ""


def test_a_closed_connection_needs_no_deadline(clock: Clock) -> None:
    p, (_, host) = pulse(clock, "jump host j", "host h")
    host.transport.active = False
    assert p._look(clock.now)[0] == "host h closed the connection"


def test_after_a_sleep_it_pings_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    p, (leg,) = pulse(clock, "host h")
    monkeypatch.setattr(module, "PING_S", 3600.0)
    thread = threading.Thread(target=p._ping, daemon=True)
    thread.start()
    assert leg.pinged.wait(20)
    leg.pinged.clear()
    clock.wall += SLEPT_S - 0.1  # a clock set a little
    p._look(clock.passes(1.0))
    clock.wall -= 3600  # and one set back
    p._look(clock.passes(1.0))
    assert not leg.pinged.is_set()
    clock.wall += 600  # the lid was closed
    p._look(clock.passes(1.0))
    assert leg.pinged.wait(20)
    p.stop()
    thread.join(20)
    assert not thread.is_alive()


class Stuck:
    """A transport that answers pings, but from which nothing more goes out."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.stirred: threading.Event | None = None
        self.entered, self.go_on = threading.Event(), threading.Event()

    def is_active(self) -> bool:
        return True

    def global_request(self, kind: str, wait: bool) -> None:
        if wait:
            return
        self.entered.set()
        if self.how == "refuses":
            raise OSError("no buffer space")
        assert self.go_on.wait(60)


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_a_ping_that_cannot_be_sent_is_an_answer_that_stays_out(how: str) -> None:
    transport: Any = Stuck(how)
    meter: Any = type("M", (), {"heard": time.monotonic(), "sent": 0})()
    leg = Leg(type("S", (), {"title": "host h"})(), transport, meter, False)  # type: ignore[arg-type]
    watching = Pulse([leg], lambda why: None)

    def ping() -> None:
        with suppress(OSError):
            leg.ping()

    pinging = threading.Thread(target=ping, daemon=True)
    pinging.start()
    assert transport.entered.wait(20)
    if how == "refuses":
        pinging.join(20)
    why, _ = watching._look(time.monotonic() + DEADLINE_S)
    assert why.startswith("host h has not answered")
    transport.go_on.set()
    pinging.join(20)
    assert how == "refuses" or watching._look(time.monotonic() + DEADLINE_S)[0] == ""


def test_closing_wakes_a_reader_at_once() -> None:
    """Otherwise a dropped route would keep its threads for as long as they look up from reading."""
    ours, theirs = socket.socketpair()
    meter = Meter(ours)
    meter.settimeout(None)
    got: list[Any] = []

    def read() -> None:
        try:
            got.append(meter.recv(16))
        except OSError as e:
            got.append(e)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    meter.close()
    reader.join(20)
    assert not reader.is_alive() and got
    theirs.close()


def test_the_kernel_too_gives_up_what_is_not_acknowledged() -> None:
    """Before anybody pings, as during a login, and where a ping waits behind what cannot be sent."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return  # Linux has it
    with socket.create_server(("127.0.0.1", 0)) as server, connected(*server.getsockname()) as sock:
        ms = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert 0 < ms < 4000


# -- with real servers ----------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[OpenSSHPair]:
    with OpenSSHPair(tmp_path / "pair") as it:
        yield it
        it.thaw()


def test_a_far_side_that_went_silent_is_given_up_and_found_again(pair: OpenSSHPair) -> None:
    with Route(pair.host) as route:
        up = threading.Event()
        route.on_up.append(up.set)
        route.keep_up()
        pair.freeze()  # the connection stays and says nothing
        until(lambda: route.status().state != "up")
        error = route.status().error
        pair.hop("jump").signal_connections(signal.SIGKILL)
        pair.thaw()
        assert up.wait(60) and route.helper().call("ping")
        assert error is None or "has not answered" in error.why


@pytest.mark.slow
def test_an_idle_link_costs_next_to_nothing(pair: OpenSSHPair) -> None:
    """CPU seconds of this process over ten idle seconds: at most one per cent."""
    with Route(pair.host) as route:
        route.keep_up()
        assert route.helper().call("ping")
        before = time.process_time()
        threading.Event().wait(10)
        assert time.process_time() - before < 0.1
        assert route.alive
