"""One hop: bytes in, an authenticated SSH transport out, or an error that names the hop."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from core.errors import HostUnreachable
from remote.auth import Prompter
from remote.authentication.keys import KeyRing
from remote.authentication.login import Login
from remote.dialling import connected
from remote.helper_client import plain
from remote.hops import LoginOptions
from remote.trust.host_keys import HostKeys

HANDSHAKE_S = 15.0
CHANNEL_S = 15.0
READ_AHEAD = 1 << 18  # bytes
LOOK_UP_S = 1.0

# AES-GCM first: half as much work again as the default in each direction. Nothing with SHA-1 or MD5.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes128-ctr")
KEX = (
    *("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org"),
    *("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"),
    *("diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"),
    "diffie-hellman-group-exchange-sha256",
)
DIGESTS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)

Connect = Callable[[str, int], socket.socket]  # address, port; raises OSError, UnicodeError

# paramiko must never write over a screen.
_log = logging.getLogger("paramiko")
_log.addHandler(logging.NullHandler())
_log.propagate = False
_log.setLevel(logging.CRITICAL + 1)


class Transport(paramiko.Transport):
    """A transport that is closed under its own thread may end in EOFError: of no interest, and a
    traceback would be written over the screen.
    """

    host_key_algorithms: tuple[str, ...] = ()
    stirred: threading.Event | None = None  # set when the connection has ended

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """paramiko would put certificates last, where no server comes to them."""
        return self.host_key_algorithms

    def close(self) -> None:
        with contextlib.suppress(
            EOFError, OSError, paramiko.SSHException
        ):  # what is below went first
            super().close()

    def run(self) -> None:
        try:
            with contextlib.suppress(EOFError, OSError):
                super().run()
        finally:
            if self.stirred is not None:
                self.stirred.set()


class Meter:
    """A socket, or a channel in its place, that notes what passed through it and when.

    It reads ahead: a transport asks for 16 bytes at a time, and a channel that is asked so moves its
    whole backlog at each. Read by one thread only, the transport's.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._ahead, self._at = b"", 0
        self._quickack = isinstance(inner, socket.socket) and hasattr(socket, "TCP_QUICKACK")
        self.heard = time.monotonic()  # last time bytes came in
        self.sent = 0  # bytes

    def recv(self, n: int) -> bytes:
        if self._at >= len(self._ahead):
            if self._quickack:
                # A server holds back its next small packet until the last one is acknowledged, and
                # the kernel would wait 40 ms with that. The option does not last: see tcp(7).
                self._inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            self._ahead, self._at = self._inner.recv(max(n, READ_AHEAD)), 0
            if self._ahead:
                self.heard = time.monotonic()
        data = self._ahead[self._at : self._at + n]
        self._at += len(data)
        return data

    def send(self, data: bytes) -> int:
        n: int = self._inner.send(data)
        self.sent += n
        return n

    def settimeout(self, seconds: float | None) -> None:
        """A transport looks up from reading so often; ten times a second costs more than it gives."""
        self._inner.settimeout(None if seconds is None else max(seconds, LOOK_UP_S))

    def close(self) -> None:
        """Wakes whoever reads."""
        if isinstance(self._inner, socket.socket):
            with contextlib.suppress(OSError):
                self._inner.shutdown(socket.SHUT_RDWR)
        self._inner.close()

    def __getattr__(self, name: str) -> Any:  # getpeername, fileno, …
        return getattr(self._inner, name)


@dataclass(frozen=True, slots=True)
class Spot:
    """One hop as it is to be opened. title: how the operator is told of it."""

    title: str
    address: str
    port: int
    user: str
    alias: str | None
    login: LoginOptions
    required: bool  # the identity files must be there
    known_hosts: Path
    known_hosts_also: tuple[Path, ...] = ()


@dataclass
class Leg:
    """An open hop."""

    spot: Spot
    transport: Transport
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
            self.asked = time.monotonic()  # a nudge that cannot be sent is an answer that stays out
            self.nudge()
            self.asked = None

    def nudge(self) -> None:
        """Send something of no meaning, which acknowledges what came: a server holds back its next small
        packet until then, and the kernel before it would wait 40 ms with that.
        """
        self.transport.global_request("keepalive@openssh.com", wait=False)


def dial(spot: Spot, connect: Connect = connected) -> socket.socket:
    """TCP to the first hop. Raises HostUnreachable."""
    try:
        return connect(spot.address, spot.port)
    except socket.gaierror as e:
        raise HostUnreachable(
            f"{spot.title} cannot be found: no address for {spot.address!r}",
            why=e.strerror or str(e),
            try_next="check its address in hosts.yaml, your network and VPN",
        ) from e
    except (OSError, UnicodeError) as e:
        if isinstance(e, OSError) and e.errno in (errno.ENETUNREACH, errno.ENETDOWN):
            raise HostUnreachable(
                f"{spot.title} cannot be reached: there is no network here",
                why=e.strerror or str(e),
                try_next="check your network and VPN",
            ) from e
        why = "no answer in time" if isinstance(e, TimeoutError) else getattr(e, "strerror", "")
        raise HostUnreachable(
            f"{spot.title} does not answer at {spot.address}:{spot.port}",
            why=why or str(e),
            try_next="check that it is up, your network and VPN, address and port in hosts.yaml",
        ) from e


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


@dataclass(frozen=True, slots=True)
class Greeted:
    """A hop whose key exchange is done. Nothing is known of it, and nothing was told it of us."""

    spot: Spot
    transport: Transport
    meter: Meter
    keys: HostKeys  # what is on file of it

    def close(self) -> None:
        """Also when nobody reads any more."""
        self.meter.close()
        self.transport.close()


def greet(spot: Spot, sock: Any) -> Greeted:
    """Handshake. Closes `sock` if it fails. Raises HostUnreachable."""
    meter = Meter(sock)
    transport: Transport | None = None
    with _explained(spot):
        try:
            transport = Transport(meter)  # type: ignore[arg-type]
            keys = HostKeys.of(spot)
            _configure(transport, keys)
            _handshake(transport, spot)
            return Greeted(spot, transport, meter, keys)
        except BaseException:
            sock.close()
            if transport is not None:
                transport.close()
            raise


def reached(spot: Spot, connect: Connect = connected) -> Greeted:
    """The first hop, greeted. Raises HostUnreachable."""
    return greet(spot, dial(spot, connect))


def log_in(hop: Greeted, prompter: Prompter, ring: KeyRing) -> Leg:
    """Host key, then login. Closes the connection if it fails."""
    spot, transport = hop.spot, hop.transport
    with _explained(spot):
        try:
            hop.keys.check(transport.get_remote_server_key(), prompter)
            login = Login(spot.title, spot.user, spot.login, prompter, ring, spot.required)
            login.run(transport)
        except BaseException:
            hop.close()
            raise
    return Leg(spot, transport, hop.meter, login.human)


@contextlib.contextmanager
def _explained(spot: Spot) -> Iterator[None]:
    """What may happen at any moment."""
    try:
        yield
    except (paramiko.SSHException, EOFError, ConnectionError) as e:
        raise HostUnreachable(
            f"{spot.title} ended the connection before the login was done",
            why=str(e) or repr(e),
            try_next="connect again; if it stays, look at your network and VPN",
        ) from e


def _configure(transport: Transport, keys: HostKeys) -> None:
    options = transport.get_security_options()
    options.kex = [k for k in KEX if k in options.kex]
    options.ciphers = [c for c in CIPHERS if c in options.ciphers]
    options.digests = [d for d in DIGESTS if d in options.digests]
    transport.host_key_algorithms = tuple(keys.algorithms())
    # Silence is for `_handshake` to tell of, which knows it from a wrong answer.
    transport.banner_timeout = transport.handshake_timeout = 2 * HANDSHAKE_S
    transport.channel_timeout = CHANNEL_S
    transport.daemon = True


def _handshake(transport: paramiko.Transport, spot: Spot) -> None:
    """Raises HostUnreachable."""
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
    if not transport.initial_kex_done:  # start_client returns as if all were well
        raise HostUnreachable(
            f"{spot.title} takes the connection, but says nothing",
            why=f"no answer to the greeting within {HANDSHAKE_S:.0f} s",
            try_next="the line may be dead in between: check your network and VPN, then connect again",
        )
