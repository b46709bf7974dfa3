"""How a link process comes about: lean, loaded ahead, its first hop greeted before anybody asks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from core.errors import EnvironmentProblem, HostKeyUnknown, HostUnreachable
from remote.linking import ahead as module
from remote.linking import spawning, starting
from remote.linking.ahead import Ahead
from remote.linking.link_route import LinkRoute
from remote.linking.living import disconnect, living
from remote.route import Route
from remote.shared.owner import Sharing, socket_path
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
    with open(read, "rb"):
        it = Ahead(read)
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


def test_a_hop_is_dialled_once(monkeypatch: pytest.MonkeyPatch, pair: OpenSSHPair) -> None:
    """A second knock counts twice against a server's limits, and waits twice where nobody answers."""
    dialled: list[int] = []
    create_connection = socket.create_connection

    def counted(to: tuple[str, int], **how: Any) -> socket.socket:
        dialled.append(to[1])
        return create_connection(to, **how)

    monkeypatch.setattr("remote.dialling.socket.create_connection", counted)
    first = spots(pair.host)[0]
    told(pair).take(first).close()
    assert dialled == [first.port]
    pair.jump_down()
    assert isinstance(refused(lambda: told(pair).take(first)), HostUnreachable)
    assert dialled == [first.port] * 2


# -- the lock ---------------------------------------------------------------------------------


def as_on_nfs(descriptor: Any, what: int) -> None:
    """Locks there are of bytes, and an exclusive one needs a file that is open for writing."""
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "open to read only")
    flock(descriptor, what)


def without_locks(descriptor: Any, what: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


flock = fcntl.flock


def test_a_lock_on_nfs_is_seen_to_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "x.lock"
    lock.write_bytes(b"")
    monkeypatch.setattr("remote.linking.starting.fcntl.flock", as_on_nfs)
    assert not starting._held(lock)
    with open(lock, "r+b") as holder:
        flock(holder, fcntl.LOCK_EX)
        assert starting._held(lock)
    assert not starting._held(lock) and not starting._held(tmp_path / "none.lock")


def test_where_nothing_can_be_locked_that_is_said_at_once(
    pair: OpenSSHPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that another one holds the link, for which a program would wait in vain."""
    lock = tmp_path / "x.lock"
    lock.write_bytes(b"")
    monkeypatch.setattr("remote.linking.starting.fcntl.flock", without_locks)
    assert not starting._held(lock)
    sharing = Sharing(Route(pair.host), tmp_path / "x.sock")
    error = refused(sharing.start)
    assert isinstance(error, EnvironmentProblem) and "QA_STATE" in error.try_next
    assert not sharing.serving and sharing._lock == -1


def test_who_only_looks_does_not_keep_a_link_process_from_its_place(
    pair: OpenSSHPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.sock"
    looking = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    flock(looking, fcntl.LOCK_EX)
    tried: list[int] = []

    def tried_once(descriptor: int, what: int) -> None:
        try:
            flock(descriptor, what)
        finally:
            tried.append(1)
            flock(looking, fcntl.LOCK_UN)

    monkeypatch.setattr("remote.shared.owner.fcntl.flock", tried_once)
    with Sharing(Route(pair.host), path) as sharing:
        assert sharing.serving and len(tried) == 2
        monkeypatch.setattr("remote.shared.owner.fcntl.flock", flock)
        assert Sharing(Route(pair.host), path).start() is False  # which keeps its place


def test_a_key_that_is_not_on_file_is_refused_however_early_it_was_seen(pair: OpenSSHPair) -> None:
    pair.host.known_hosts.write_text("")
    it = told(pair)
    route = Route(pair.host, first=it.take)
    assert isinstance(refused(route.open), HostKeyUnknown)
    assert not route.alive


LEAN = """
import sys
assert not {"inspect", "dataclasses", "paramiko"} & sys.modules.keys(), "begun too late"
from remote.linking.lean import lean
lean()
import remote.linking.process, remote.shared.channel, remote.keeper
import paramiko
left_out = {"inspect", "email.message", "paramiko.client", "paramiko.agent", "paramiko.proxy"}
assert not left_out & sys.modules.keys(), left_out & sys.modules.keys()
version, transport = paramiko.__version__, paramiko.Transport
import dataclasses, inspect
from importlib import metadata
assert version == metadata.version("paramiko")
assert str(inspect.signature(transport.getpeername)) == "(self)"  # the true one
assert dataclasses.inspect.getsource(transport)
assert paramiko.SSHClient and paramiko.Transport is transport and paramiko.AgentKey
try:
    paramiko.no_such_thing
except AttributeError:
    sys.exit(0)
sys.exit("no AttributeError")
"""


LATER = """
from remote.linking.lean import lean
lean()
import copy, dataclasses, pickle
from remote.hops import Jump
if hasattr(dataclasses, "_create_fn"):  # else this Python compiles a class's methods at once
    assert Jump.__eq__.__code__ is Jump.__hash__.__code__, "compiled already"
one, same, other = Jump("a", user="u"), Jump(address="a", port=22, user="u"), Jump("b")
assert one == same != other and hash(one) == hash(same) and one != "a"
assert repr(other).startswith("Jump(address='b', port=22, user=''"), repr(other)
assert dataclasses.replace(one, port=1) == Jump("a", 1, "u")
assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == one
for wrong, error in (
    (lambda: setattr(one, "port", 1), dataclasses.FrozenInstanceError),
    (lambda: Jump(), TypeError),
):
    try:
        wrong()
    except error:
        continue
    sys.exit("no error")
"""


@pytest.mark.parametrize("script", [LEAN, LATER], ids=["left out", "compiled later"])
def test_what_is_left_out_is_there_for_whoever_wants_it(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {script.strip()}"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_start_that_fails_while_it_waits_for_its_definition_ends_with_its_error() -> None:
    """A thread inside sys.stdin would abort the interpreter: a core file instead of an exit code."""
    script = "import sys; from remote.linking.ahead import Ahead; Ahead(0); sys.exit('why')"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as it:
        assert it.stderr and it.stderr.read() == b"why\n"  # its stdin stays open all the while
        assert it.wait(60) == 1


def test_what_a_link_process_is_told_may_come_in_any_pieces(pair: OpenSSHPair) -> None:
    """The first line and all the rest at once, as a pipe may well deliver them."""
    read, write = os.pipe()
    first = json.dumps([spots(pair.host)[0].address, 1]).encode() + b"\ndefini"
    os.write(write, b"tion")
    os.close(write)
    with open(read, "rb"):
        assert Ahead(read, first).definition() == b"definition"
