"""A link that comes back by itself, or says that it needs a person."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import AuthenticationFailed, HostKeyChanged, HostUnreachable, QAError
from remote.keeper import FIRST_S, MOST_S, Keeper, delay
from remote.route import Route
from remote.sandbox import PASSCODE, Sandbox
from tests.openssh import OpenSSHPair
from tests.remote.local import until
from tests.remote.servers import keygen
from tests.remote.test_route import Operator


@given(st.integers(0, 10_000))
def test_the_limit_doubles_up_to_the_most(attempt: int) -> None:
    limit = delay(attempt, lambda low, high: high)
    assert limit == min(MOST_S, FIRST_S * 2.0 ** min(attempt, 50))
    assert 0.0 <= delay(attempt) <= limit  # full jitter


class FakeRoute:
    """Fails with each of `faults` in turn, then comes up."""

    def __init__(self, faults: list[QAError], human: bool = False) -> None:
        self.on_lost: list[Callable[[], None]] = []
        self.on_up: list[Callable[[], None]] = []
        self.alive = True
        self.needs_human = human
        self.faults = faults
        self.calls = 0

    def ensure(self) -> FakeRoute:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        self.come_up()
        return self

    def come_up(self) -> None:
        self.alive = True
        for call in list(self.on_up):
            call()

    def lose(self) -> None:
        self.alive = False
        for call in list(self.on_lost):
            call()


@pytest.fixture
def kept() -> Iterator[Callable[[FakeRoute], tuple[Keeper, list[float]]]]:
    keepers: list[Keeper] = []

    def start(route: FakeRoute) -> tuple[Keeper, list[float]]:
        limits: list[float] = []

        def at_once(low: float, high: float) -> float:
            limits.append(high)
            return 0.0

        keeper = Keeper(route, uniform=at_once)
        keepers.append(keeper)
        keeper.start()
        return keeper, limits

    yield start
    for keeper in keepers:
        keeper.stop()


def test_an_absent_network_is_an_ordinary_event(kept: Any) -> None:
    route = FakeRoute([HostUnreachable("no network"), HostUnreachable("no such name")])
    keeper, limits = kept(route)
    for _ in range(2):
        route.lose()
        until(lambda: route.alive)
        assert not keeper.needs_you
    assert route.calls == 4
    assert limits == [0.5, 1.0, 2.0, 0.5]  # it begins anew with each loss


@pytest.mark.parametrize("fault", [AuthenticationFailed("no"), HostKeyChanged("no")])
def test_what_would_not_change_is_not_tried_again(kept: Any, fault: QAError) -> None:
    route = FakeRoute([fault])
    keeper, _ = kept(route)
    route.lose()
    until(lambda: keeper.needs_you)
    keeper.now()
    route.come_up()  # somebody logged in
    assert not keeper.needs_you and route.calls == 1
    route.lose()
    until(lambda: route.alive)
    assert route.calls == 2


def test_where_a_person_logged_in_nothing_is_tried(kept: Any) -> None:
    route = FakeRoute([], human=True)
    keeper, limits = kept(route)
    route.lose()
    assert keeper.needs_you and route.calls == 0 and limits == []


def test_now_does_not_wait(kept: Any) -> None:
    route = FakeRoute([])
    keeper = Keeper(route, uniform=lambda low, high: 3600.0)
    keeper.start()
    route.lose()
    until(lambda: keeper.retry_at is not None)
    keeper.now()
    until(lambda: route.alive)
    until(lambda: keeper.retry_at is None)
    keeper.stop()
    assert route.on_lost == [] and route.on_up == []


# -- with real servers ----------------------------------------------------------------------


def test_a_cut_link_comes_back_with_its_helper(tmp_path: Path) -> None:
    with OpenSSHPair(tmp_path / "pair") as pair, Route(pair.host) as route:
        ups: list[int] = []
        route.on_up.append(lambda: ups.append(1))
        keeper = route.keep_up()
        assert route.keep_up() is keeper
        for n in range(1, 4):
            pair.cut()
            until(lambda n=n: len(ups) == n)  # type: ignore[misc]
            assert route.helper().call("ping")
        assert not route.status().needs_you and route.status().retry_at is None


def test_a_jump_host_that_is_away_for_a_while(tmp_path: Path) -> None:
    with OpenSSHPair(tmp_path / "pair") as pair, Route(pair.host) as route:
        keeper = route.keep_up()
        pair.jump_down()
        until(lambda: keeper.attempts >= 2)
        until(lambda: route.status().retry_at is not None)
        status = route.status()
        assert status.state == "lost" and not status.needs_you
        assert isinstance(status.error, QAError) and status.error.try_next
        pair.jump_up()
        keeper.now()
        until(lambda: route.alive)


def test_an_opened_key_brings_it_back_without_asking(tmp_path: Path) -> None:
    with OpenSSHPair(tmp_path / "pair") as pair:
        assert pair.host.identity_file
        keygen("-p", "-P", "", "-N", "open me", "-f", pair.host.identity_file)
        operator = Operator(secrets=["open me"])
        with Route(pair.host, operator) as route:
            assert len(operator.titles) == 1  # one key, two hops
            up = threading.Event()
            route.on_up.append(up.set)
            route.keep_up()
            pair.cut("host")
            assert up.wait(30) and len(operator.titles) == 1


def test_a_second_factor_is_never_asked_for_by_itself(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box", second_factor=True) as box:
        operator = Operator(answers=[box.password, PASSCODE, box.password, PASSCODE])
        with Route(box.host, operator) as route:
            keeper = route.keep_up()
            box.cut()
            until(lambda: route.status().needs_you)
            assert route.status().state == "lost" and route.status().retry_at is None
            assert keeper.attempts == 0 and len(operator.prompts) == 2
            route.open()  # the person presses the chip
            assert route.alive and not route.status().needs_you and len(operator.prompts) == 4


def test_a_key_that_is_no_longer_taken_needs_a_person(tmp_path: Path) -> None:
    with OpenSSHPair(tmp_path / "pair") as pair:
        host = replace(pair.host, workdir=str(tmp_path))
        with Route(host) as route:
            keeper = route.keep_up()
            accepted = tmp_path / "pair" / "id_ed25519.pub"
            kept = accepted.read_text()
            accepted.write_text("")
            pair.cut()
            until(lambda: route.status().needs_you)
            assert isinstance(route.status().error, AuthenticationFailed)
            assert keeper.attempts == 1
            accepted.write_text(kept)
            route.open()
            assert not route.status().needs_you
