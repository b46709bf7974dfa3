"""One login for every process of an operator: commands beside an open app, through its connection."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import LinkLost, RouteError
from remote.agent.frames import pack
from remote.route import Route
from remote.shared import owner as sharing
from remote.shared.owner import Sharing, attach, socket_path
from remote.shared.route import SharedRoute
from remote.sync import pull, push
from tests.openssh import OpenSSHPair
from tests.processes import alive
from tests.remote.conftest import refused
from tests.remote.local import until


@pytest.fixture
def shared(route: Route) -> Iterator[SharedRoute]:
    """The client's end; the owner is this process too."""
    with Sharing(route):
        found = attach(route.host)
        assert found is not None
        with found:
            yield found


def test_a_command_through_the_owners_connection(shared: SharedRoute, route: Route) -> None:
    assert shared.alive and shared.status().state == "up"
    assert [h.name for h in shared.status().hops] == [h.name for h in route.status().hops]
    done = shared.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=20)
    assert (done.code, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert shared.run(["cat"], timeout=20, input=b"a\0b" * 100_000).stdout == b"a\0b" * 100_000
    assert shared.helper().call("ping")["now"] > 0
    assert isinstance(refused(lambda: shared.run(["sleep", "9"], timeout=0.2)), RouteError)
    assert isinstance(
        refused(lambda: shared.run(["cat", "/dev/zero"], timeout=30, max_output=1000)), RouteError
    )
    stream = shared.execute(["cat"])
    with pytest.raises(TimeoutError):
        stream.recv(0.05)
    stream.send(b"x" * 3_000_000)
    stream.end_input()
    got = 0
    while data := stream.recv(20):
        got += len(data)
    assert got == 3_000_000 and stream.exit_status() == 0
    stream.close()
    assert route.alive


def test_the_socket_is_ours_alone(shared: SharedRoute, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shared.socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert shared.host.name not in path.name
    monkeypatch.setattr(sharing, "peer_uid", lambda _: os.getuid() + 1)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(path))
        with contextlib.suppress(OSError):
            stranger.sendall(pack({"exec": ["true"]}))
            assert stranger.recv(100) == b""  # not even a greeting


def test_a_folder_others_can_enter_is_closed_and_a_foreign_one_refused(
    tmp_path: Path, route: Route
) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with Sharing(route, folder / "s"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(folder)
    refused(lambda: Sharing(route, tmp_path / "link" / "s").start())


def test_long_paths_and_stale_sockets(
    route: Route, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_STATE", str(tmp_path / ("long" * 30)))
    path = socket_path(route.host)
    assert len(os.fsencode(path)) <= sharing.LONGEST and path == socket_path(route.host)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        assert attach(route.host) is None
        with socket.socket(socket.AF_UNIX) as dead:  # bound and gone, as a killed owner leaves it
            dead.bind(str(path))
        assert attach(route.host) is None
        with Sharing(route) as first:
            assert first.serving
            assert Sharing(route).start() is False  # there can be one only
            client = attach(route.host)
            assert client and client.run(["echo", "1"], timeout=20).stdout == b"1\n"
            client.close()
        assert not path.exists() and attach(route.host) is None
    finally:
        shutil.rmtree(path.parent)


def test_another_machine_of_the_same_name_is_not_attached_to(route: Route) -> None:
    with Sharing(route):
        assert attach(replace(route.host, address="192.0.2.1")) is None
        assert attach(replace(route.host, user="other")) is None


def test_many_clients_at_once(shared: SharedRoute, route: Route) -> None:
    answers: list[tuple[int, bytes]] = []

    def ask(n: int) -> None:
        for k in range(5):
            data = os.urandom(200_000)
            done = shared.run(["cat"], timeout=60, input=data)
            answers.append((done.code, b"same" if done.stdout == data else b"other"))
            done = shared.run(["sh", "-c", f"exit {n + k}"], timeout=60)
            answers.append((done.code - n - k, b"same"))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answers == [(0, b"same")] * 80
    assert route.alive


def test_a_slow_reader_holds_the_command_and_nothing_piles_up(shared: SharedRoute) -> None:
    marks = shared.host.workdir.rstrip("/") + "/written"
    stream = shared.execute(
        ["sh", "-c", f"mkdir -p {shared.host.workdir}; dd if=/dev/zero bs=1M count=64 2>/dev/null"
         f" | tee {marks} "]
    )  # fmt: skip
    assert stream.recv(20)
    seen = -1
    while (size := Path(marks).stat().st_size) != seen:  # until it stands still
        seen = size
        time.sleep(0.3)
    assert seen < 32 << 20
    stream.close()


CLIENT = """
import sys, pickle
from remote.shared.owner import attach
route = attach(pickle.loads(bytes.fromhex(sys.argv[1])))
stream = route.execute(["sh", "-c", "echo $$; exec cat"])
assert "paramiko" not in sys.modules
print(stream.recv().decode().strip(), flush=True)
stream.recv()
"""


def test_a_client_that_is_killed_ends_its_command(shared: SharedRoute) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, pickle.dumps(shared.host).hex()], stdout=subprocess.PIPE
    )
    assert client.stdout
    pid = int(client.stdout.readline())
    assert alive(pid)
    client.kill()
    client.wait()
    client.stdout.close()

    until(lambda: not alive(pid))
    assert shared.run(["echo", "1"], timeout=20).stdout == b"1\n"


@pytest.mark.parametrize("rsync", [False, True])
def test_files_travel_through_it(shared: SharedRoute, tmp_path: Path, rsync: bool) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3_000_000))
    assert push(shared, [(big, "d/big")], rsync=rsync).files == 1
    assert pull(shared, "d", tmp_path / "in", rsync=rsync) == [tmp_path / "in" / "big"]
    assert (tmp_path / "in" / "big").read_bytes() == big.read_bytes()


OWNER = """
import sys, pickle, time
from remote.route import Route
from remote.shared.owner import Sharing
route = Route(pickle.loads(bytes.fromhex(sys.argv[1])))
route.open()
assert Sharing(route).start()
print("up", flush=True)
time.sleep(600)
"""


def test_an_owner_that_is_killed_is_a_lost_link(pair: Any) -> None:
    argv = [sys.executable, "-c", OWNER, pickle.dumps(pair.host).hex()]
    owner = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert owner.stdout
    try:
        assert owner.stdout.readline() == b"up\n"
        shared = attach(pair.host)
        assert shared is not None
        lost = threading.Event()
        shared.on_lost.append(lost.set)
        stream = shared.execute(["cat"])
        helper = shared.helper()
        owner.send_signal(signal.SIGKILL)
        assert isinstance(refused(lambda: stream.recv(20)), LinkLost)
        assert isinstance(refused(lambda: [helper.call("ping") for _ in range(1000)]), LinkLost)
        assert lost.wait(20) and not shared.alive and shared.status().state == "lost"
        assert isinstance(refused(lambda: shared.run(["true"], timeout=5)), LinkLost)
        assert isinstance(refused(shared.ensure), LinkLost)
        assert attach(pair.host) is None
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


def test_a_cut_link_is_told_and_the_next_one_serves_again(tmp_path: Path) -> None:
    with (
        OpenSSHPair(tmp_path / "ssh") as pair,
        Route(pair.host) as route,
        Sharing(route) as served,
    ):
        shared = attach(pair.host)
        assert shared is not None
        stream = shared.execute(["cat"])
        pair.cut("host")
        assert isinstance(refused(lambda: stream.recv(20)), LinkLost)
        until(lambda: not shared.alive)
        assert isinstance(refused(lambda: shared.run(["true"], timeout=5)), LinkLost)
        route.reopen()
        until(lambda: shared.alive)
        assert shared.run(["echo", "1"], timeout=20).stdout == b"1\n"
        shared.close()
        until(lambda: served.clients == 0)


def test_stopping_ends_the_clients(route: Route) -> None:
    served = Sharing(route)
    assert served.start()
    shared = attach(route.host)
    assert shared is not None
    stream = shared.execute(["cat"])
    served.stop()
    assert isinstance(refused(lambda: stream.recv(20)), LinkLost)
    assert served.clients == 0 and route.alive
    assert route.run(["echo", "1"], timeout=20).stdout == b"1\n"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\n",
        b"garbage\n",
        b"[1]\n",
        pack({"exec": []}),
        pack({"exec": "rm"}),
        pack({"exec": ["a\0b"]}),
        pack({"exec": [7]}),
        pack({"tcp": "x"}),
        pack({"tcp": 0}),
        pack({"exec": ["cat"]}) + b"garbage\n" * 1000,
    ],
)
def test_a_client_that_speaks_nonsense_harms_nobody(shared: SharedRoute, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(shared.socket))
        client.recv(1 << 16)
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while client.recv(1 << 16):
                pass
    assert shared.run(["echo", "1"], timeout=20).stdout == b"1\n"
