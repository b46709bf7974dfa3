"""A port of the host on this machine: as forwarded by sshd, and pumped where sshd forwards none."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from core.errors import PortTaken, UsageError
from remote.route import Route
from remote.shared.owner import Sharing, attach
from remote.tunnels import Tunnel
from tests.openssh import OpenSSHPair
from tests.remote.conftest import refused
from tests.remote.local import Local, until


@pytest.fixture
def echo() -> Iterator[int]:
    """A server on loopback that answers with what it gets, and says `end` when its input ends."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            while data := sock.recv(1 << 16):
                if data == b"close\n":
                    return
                sock.sendall(data)
            sock.sendall(b"end")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=answer, args=(sock,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.fixture(params=["forwarded", "pumped"])
def pair(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[OpenSSHPair]:
    with OpenSSHPair(tmp_path / "ssh") as it:
        if request.param == "forwarded":
            host = it._hops["host"]
            host.stop()
            host.extra = "AllowTcpForwarding local\n"
            host.start()
        yield it


def _talk(port: int, data: bytes) -> bytes:
    """Send, half-close, and read to the end."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:

        def send() -> None:
            with contextlib.suppress(OSError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        got = bytearray()
        while part := sock.recv(1 << 16):
            got += part
        return bytes(got)


def test_bytes_there_and_back_many_at_once(pair: OpenSSHPair, echo: int) -> None:
    with Route(pair.host) as route, Tunnel(lambda: route, echo) as tunnel:
        assert tunnel.address == f"127.0.0.1:{tunnel.port}"
        data = os.urandom(3_000_000)
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(_talk(tunnel.port, data)))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert answers == [data + b"end"] * 5, tunnel.error
        until(lambda: tunnel.open == 0)
        assert tunnel.served == 5
        assert (tunnel.sent, tunnel.received) == (5 * len(data), 5 * len(data) + 15)
        with socket.create_connection(("127.0.0.1", tunnel.port), 20) as sock:
            sock.sendall(b"close\n")  # the server is the first to go
            assert sock.recv(10) == b""
        until(lambda: tunnel.open == 0)
        assert route.alive and _talk(tunnel.port, b"x") == b"xend"


def test_it_serves_again_after_the_link_was_cut(pair: OpenSSHPair, echo: int) -> None:
    with Route(pair.host) as route, Tunnel(lambda: route, echo) as tunnel:
        with socket.create_connection(("127.0.0.1", tunnel.port), 20) as sock:
            sock.sendall(b"1")
            assert sock.recv(1) == b"1"
            pair.cut("host")
            with contextlib.suppress(ConnectionError):
                assert sock.recv(1) == b""
        until(lambda: not route.alive)
        with pytest.raises(ConnectionError):
            if _talk(tunnel.port, b"2") == b"":
                raise ConnectionError
        assert tunnel.error is not None
        route.reopen()
        assert _talk(tunnel.port, b"3") == b"3end" and tunnel.error is None


def test_through_the_connection_of_another_process(pair: OpenSSHPair, echo: int) -> None:
    with Route(pair.host) as route, Sharing(route):
        shared = attach(pair.host)
        assert shared is not None
        with shared, Tunnel(lambda: shared, echo) as tunnel:
            data = os.urandom(1_000_000)
            assert _talk(tunnel.port, data) == data + b"end"


def test_a_port_where_nothing_listens_is_said(pair: OpenSSHPair) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with Route(pair.host) as route, Tunnel(lambda: route, port) as tunnel:
            with pytest.raises(ConnectionError):
                if _talk(tunnel.port, b"x") == b"":
                    raise ConnectionError
            assert tunnel.error is not None and str(port) in tunnel.error.what
            assert route.alive


def test_only_loopback_and_only_ports(local: Local, echo: int) -> None:
    with Tunnel(lambda: local, echo) as tunnel:  # no SSH at all: the agent's pump
        assert _talk(tunnel.port, b"abc") == b"abcend"
        assert tunnel._listener.getsockname()[0] == "127.0.0.1"
        error = refused(lambda: Tunnel(lambda: local, echo, tunnel.port))
        assert isinstance(error, PortTaken)
        port = tunnel.port
    with Tunnel(lambda: local, echo, port) as again:  # free at once
        assert again.port == port
    for odd in (0, 65536, -1, "80"):
        assert isinstance(refused(lambda: Tunnel(lambda: local, odd)), UsageError)  # type: ignore[arg-type]  # noqa: B023
