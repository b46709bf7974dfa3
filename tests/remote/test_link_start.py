"""How a link process comes about: lean, loaded ahead, its first hop greeted before anybody asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import HostKeyUnknown, HostUnreachable
from remote.linking import ahead as module
from remote.linking import spawning
from remote.linking.ahead import Ahead
from remote.linking.link_route import LinkRoute
from remote.linking.living import disconnect, living
from remote.shared.owner import socket_path
from remote.spots import spots
from tests.openssh import OpenSSHPair
from tests.processes import alive
from tests.remote.conftest import end_jobs, refused
from tests.remote.local import until


@pytest.fixture(autouse=True)
def no_link_stays(own_places: None) -> Iterator[None]:
    yield
    for link in list(living()):
        disconnect(link.host)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[OpenSSHPair]:
    with OpenSSHPair(tmp_path / "ssh") as it:
        yield it
        end_jobs(Path(it.host.workdir))


def told(pair: OpenSSHPair) -> Ahead:
    """What has just heard of the pair's jump host."""
    read, write = os.pipe()
    first = spots(pair.host)[0]
    with open(write, "wb") as stream:
        stream.write(json.dumps([first.address, first.port]).encode() + b"\ndefinition")
    with open(read, "rb") as stream:
        it = Ahead(stream)
        assert it.definition() == b"definition"
    it.greet(first)
    return it


def prepared(link: str, log: Path) -> int:
    """The process that was prepared, once it is alone."""
    spawning.prepare(link)
    starter = spawning._spares[log]
    starter.wait()  # it has forked
    (pid,) = writing(log)
    return pid


def writing(log: Path) -> list[int]:
    """Processes that live and write to that log."""
    found = []
    for fd in Path("/proc").glob("[0-9]*/fd/2"):
        with suppress(OSError):
            if fd.readlink() == log:
                found.append(int(fd.parts[2]))
    return [pid for pid in found if alive(pid)]


def test_what_was_prepared_becomes_the_link_process(pair: OpenSSHPair) -> None:
    host = pair.host
    log = socket_path(host).with_suffix(".log")
    pid = prepared(host.name, log)
    with LinkRoute(host) as route:
        route.open()
        (link,) = living()
        assert link.pid == pid and route.run(["echo", "there"], timeout=60).text == "there\n"
        spawning.prepare(host.name)  # there is one already
        assert writing(log) == [pid]


def test_what_was_prepared_in_vain_ends_and_what_was_killed_is_replaced(pair: OpenSSHPair) -> None:
    host = pair.host
    log = socket_path(host).with_suffix(".log")
    pid = prepared(host.name, log)
    spawning.dismiss(spawning.spare(log))
    until(lambda: not alive(pid))
    killed = prepared(host.name, log)
    os.kill(killed, signal.SIGKILL)
    with LinkRoute(host) as route:
        route.open()
        assert route.alive and [link.pid for link in living()] != [killed]


def test_who_connects_right_after_an_end_gets_a_new_one(pair: OpenSSHPair) -> None:
    pids = []
    for _ in range(5):
        with LinkRoute(pair.host) as route:
            route.open()
            assert route.alive
        pids += disconnect(pair.host.name)
    assert len(set(pids)) == 5


def test_a_hop_greeted_ahead_is_the_one_that_is_logged_in_to(pair: OpenSSHPair) -> None:
    first = spots(pair.host)[0]
    it = told(pair)
    greeted = it.take(first)
    try:
        assert greeted.transport.is_active() and not greeted.transport.is_authenticated()
        another = it.take(first)
        try:
            assert another.transport is not greeted.transport and another.transport.is_active()
        finally:
            another.close()
    finally:
        greeted.close()


def test_a_greeting_that_has_grown_old_is_dropped(
    pair: OpenSSHPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = spots(pair.host)[0]
    it = told(pair)
    it._thread.join()
    old = it._greeted
    assert old is not None
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    taken = it.take(first)
    try:
        assert taken.transport is not old.transport and not old.transport.is_active()
    finally:
        taken.close()


def test_a_hop_that_cannot_be_greeted_says_so_to_who_asks_and_may_be_back_by_then(
    pair: OpenSSHPair,
) -> None:
    first = spots(pair.host)[0]
    pair.jump_down()
    it = told(pair)
    error = refused(lambda: it.take(first))
    assert isinstance(error, HostUnreachable) and first.title in error.what
    pair.jump_up()
    until(lambda: _answers(it, pair))


def _answers(it: Ahead, pair: OpenSSHPair) -> bool:
    try:
        it.take(spots(pair.host)[0]).close()
    except HostUnreachable:
        return False
    return True


def test_a_key_that_is_not_on_file_is_refused_however_early_it_was_seen(pair: OpenSSHPair) -> None:
    from remote.route import Route

    pair.host.known_hosts.write_text("")
    it = told(pair)
    route = Route(pair.host, first=it.take)
    assert isinstance(refused(route.open), HostKeyUnknown)
    assert not route.alive


LEAN = """
import sys
from remote.linking.lean import lean
lean()
import paramiko
assert "email.message" not in sys.modules and "invoke" in sys.modules
lean_version = paramiko.__version__
from importlib import metadata
packages = [d.metadata["Name"].lower() for d in metadata.distributions()]  # the true one
assert "paramiko" in packages, packages
assert lean_version == metadata.version("paramiko") == sys.modules["importlib.metadata"].version("paramiko")
assert sys.modules["importlib.metadata"].__spec__ is not None
"""


def test_what_is_left_out_is_there_for_whoever_wants_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAN], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
