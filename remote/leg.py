"""One hop: bytes in, an authenticated SSH transport out, or an error that names the hop."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from core.errors import (
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
)
from remote import known_hosts
from remote.auth import Prompter
from remote.helper_client import plain
from remote.login import Login

CONNECT_S = 10.0
HANDSHAKE_S = 15.0
AUTH_S = 150.0  # a second factor on a phone takes its time
CHANNEL_S = 15.0

# AES-GCM first: half as much work again as the default in each direction. Nothing with SHA-1 or MD5.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes128-ctr")
DIGESTS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)

# paramiko must never write over a screen.
_log = logging.getLogger("paramiko")
_log.addHandler(logging.NullHandler())
_log.propagate = False
_log.setLevel(logging.CRITICAL + 1)


class Transport(paramiko.Transport):
    """A transport that is closed under its own thread may end in EOFError: of no interest, and a
    traceback would be written over the screen.
    """

    def run(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            super().run()


class Meter:
    """A socket, or a channel in its place, that notes what passed through it and when."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.heard = time.monotonic()  # last time bytes came in
        self.sent = 0  # bytes

    def recv(self, n: int) -> bytes:
        data: bytes = self._inner.recv(n)
        if data:
            self.heard = time.monotonic()
        return data

    def send(self, data: bytes) -> int:
        n: int = self._inner.send(data)
        self.sent += n
        return n

    def __getattr__(self, name: str) -> Any:  # settimeout, close, getpeername, …
        return getattr(self._inner, name)


@dataclass(frozen=True, slots=True)
class Spot:
    """One hop as it is to be opened. title: how the operator is told of it."""

    title: str
    address: str
    port: int
    user: str
    alias: str | None
    identity_file: Path | None
    known_hosts: Path
    known_hosts_also: tuple[Path, ...] = ()


@dataclass
class Leg:
    """An open hop."""

    spot: Spot
    transport: paramiko.Transport
    meter: Meter
    human: bool  # a person had to answer for the login
    rtt_ms: float | None = None
    asked: float | None = field(default=None)  # when the unanswered ping was sent

    def ping(self) -> None:
        """Ask and wait for any reply; how long is for the watcher to judge."""
        self.asked = start = time.monotonic()
        self.transport.global_request("keepalive@openssh.com", wait=True)
        if self.transport.is_active():
            self.rtt_ms = (time.monotonic() - start) * 1000
            self.asked = None


def dial(spot: Spot) -> socket.socket:
    """TCP to the first hop. Raises HostUnreachable."""
    try:
        sock = socket.create_connection((spot.address, spot.port), timeout=CONNECT_S)
    except socket.gaierror as e:
        raise HostUnreachable(
            f"{spot.title} cannot be found: no address for {spot.address!r}",
            why=e.strerror or str(e),
            try_next="check its address in hosts.yaml, your network and VPN",
        ) from e
    except (OSError, UnicodeError) as e:
        why = "no answer in time" if isinstance(e, TimeoutError) else getattr(e, "strerror", "")
        raise HostUnreachable(
            f"{spot.title} does not answer at {spot.address}:{spot.port}",
            why=why or str(e),
            try_next="check that it is up, your network and VPN, address and port in hosts.yaml",
        ) from e
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform.startswith("linux"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000)  # ms
    return sock


def tunnel(over: Leg, spot: Spot) -> paramiko.Channel:
    """A byte channel from `over` on to `spot`, whose name the far side resolves."""
    try:
        return over.transport.open_channel(
            "direct-tcpip", (spot.address, spot.port), ("127.0.0.1", 0), timeout=CHANNEL_S
        )
    except paramiko.ChannelException as e:
        forbidden = e.code == 1
        why = "it does not permit forwarding there" if forbidden else plain(e.text)
        raise HostUnreachable(
            f"{over.spot.title} is up, but {spot.title} cannot be reached from it "
            f"({spot.address}:{spot.port})",
            why=why,
            try_next="ask the administrators to permit it"
            if forbidden
            else f"check that {spot.title} is up, and its address and port in hosts.yaml",
        ) from e
    except (paramiko.SSHException, EOFError, OSError) as e:
        raise HostUnreachable(
            f"{over.spot.title} is up, but opening the way to {spot.title} failed",
            why=str(e),
            try_next="try again; if it stays, check that the host is up",
        ) from e


def open_leg(spot: Spot, sock: Any, prompter: Prompter) -> Leg:
    """Handshake, host key, login. Closes `sock` if any of it fails."""
    meter = Meter(sock)
    transport: paramiko.Transport | None = None
    try:
        transport = Transport(meter)  # type: ignore[arg-type]
        _configure(transport, spot)
        _handshake(transport, spot)
        _check_key(transport, spot, prompter)
        login = Login(spot.title, spot.user, spot.identity_file, prompter)
        login.run(transport)
    except BaseException:
        sock.close()
        if transport is not None:
            transport.close()
        raise
    return Leg(spot, transport, meter, login.human)


def _configure(transport: paramiko.Transport, spot: Spot) -> None:
    options = transport.get_security_options()
    options.ciphers = [c for c in CIPHERS if c in options.ciphers]
    options.digests = [d for d in DIGESTS if d in options.digests]
    on_file = known_hosts.key_types(_entries(spot), _name(spot))
    # An RSA key is one key whatever hash signs with it.
    first = [k for k in options.key_types if k in on_file or ("ssh-rsa" in on_file and "rsa" in k)]
    options.key_types = first + [k for k in options.key_types if k not in first]
    transport.banner_timeout = HANDSHAKE_S
    transport.handshake_timeout = HANDSHAKE_S
    transport.auth_timeout = AUTH_S
    transport.channel_timeout = CHANNEL_S
    transport.daemon = True


def _handshake(transport: paramiko.Transport, spot: Spot) -> None:
    try:
        transport.start_client(timeout=HANDSHAKE_S)
    except paramiko.ssh_exception.IncompatiblePeer as e:
        raise HostUnreachable(
            f"{spot.title} and this program have no common algorithm",
            why=str(e),
            try_next="ask the administrators to permit AES-GCM or AES-CTR with SHA-2",
        ) from e
    except (paramiko.SSHException, EOFError, OSError) as e:
        raise HostUnreachable(
            f"{spot.title} answers, but not as an SSH server does",
            why=str(e),
            try_next="check address and port in hosts.yaml; a server under load may also do this",
        ) from e


def _check_key(transport: paramiko.Transport, spot: Spot, prompter: Prompter) -> None:
    key = transport.get_remote_server_key()
    blob, name = key.asbytes(), _name(spot)
    verdict, entry = known_hosts.judge(_entries(spot), name, blob)
    shown = f"{key.get_name()} {known_hosts.fingerprint(blob)}"
    if verdict == "known":
        return
    if verdict in ("changed", "revoked"):
        where = entry.where if entry else str(spot.known_hosts)
        raise HostKeyChanged(
            f"{spot.title} shows a {'revoked' if verdict == 'revoked' else 'different'} host key: "
            f"{shown}",
            why=f"{where} says otherwise for {name!r}; someone may stand in between",
            try_next="do not log in; ask the administrators. If they changed the key, remove that "
            "line and connect again",
        )
    if prompter.accept_host_key(
        hop=spot.title,
        name=name,
        key_type=key.get_name(),
        fingerprint=known_hosts.fingerprint(blob),
    ):
        known_hosts.append(spot.known_hosts, name, key.get_name(), blob)
        return
    raise HostKeyUnknown(
        f"{spot.title} shows a host key that is not on file: {shown}",
        why=f"no line for {name!r} in {spot.known_hosts}",
        try_next="compare the fingerprint with what its administrators give out, then connect "
        "from the app or a terminal and accept it",
    )


def _entries(spot: Spot) -> list[known_hosts.Entry]:
    return known_hosts.read([spot.known_hosts, *spot.known_hosts_also])


def _name(spot: Spot) -> str:
    return known_hosts.lookup_name(spot.address, spot.port, spot.alias)
