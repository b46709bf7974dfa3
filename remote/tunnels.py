"""A loopback port here that is a loopback port of the host, over the connection that is there.

Where sshd forwards, each connection is a channel of its own; where it does not, a byte pump of the agent.
The listener outlives the link: while it is down connections end at once, and later ones work again.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import WeakSet

from core.errors import LinkLost, PortTaken, QAError, RouteError, UsageError
from remote.agent.frames import FrameError, FrameReader, pack
from remote.helper_client import Duplex, error_from, plain

if TYPE_CHECKING:
    import paramiko

CHUNK = 1 << 16
LOOPBACK = "127.0.0.1"
OPEN_S = 15.0
_first = threading.Lock()
_permitted: WeakSet[Any] = WeakSet()  # transports that forward


class Way(Protocol):
    """One connection's bytes to the host's port and back."""

    def send(self, data: bytes) -> None: ...
    def recv(self, timeout: float | None = None) -> bytes: ...
    def end_input(self) -> None: ...
    def close(self) -> None: ...


def direct(route: Any, port: Any) -> paramiko.Channel:
    """A channel to a loopback port of the host. Raises RouteError (forbidden or refused), LinkLost."""
    import paramiko

    check_port(port)
    session = route.session()
    transport = session.get_transport()
    session.close()

    def ask() -> paramiko.Channel:
        place, origin = (LOOPBACK, port), (LOOPBACK, 0)
        opened = transport.open_channel("direct-tcpip", place, origin, timeout=OPEN_S)
        return cast("paramiko.Channel", opened)

    try:
        if transport in _permitted:
            return ask()
        with _first:
            channel = ask()
            _permitted.add(transport)
            return channel
    except (paramiko.SSHException, EOFError, OSError) as e:
        if transport.is_active():
            raise _refused(port, plain(getattr(e, "text", e))) from e
        raise LinkLost(
            "the link to the host was cut", why=str(e), try_next="connect through the tunnel again"
        ) from e


def check_port(port: Any) -> int:
    if type(port) is not int or not 0 < port < 65536:
        raise UsageError(f"{port!r} is no port", try_next="a number from 1 to 65535")
    return port


def _refused(port: int, why: str) -> RouteError:
    return RouteError(
        f"nothing answers at port {port} of the host",
        why=why,
        try_next="see that the server is up there and listens on 127.0.0.1",
    )


class Tunnel:
    """`with Tunnel(line.route, 8000) as t: … t.port`. route: gives the route to use, at each connection.

    port: on the host's loopback.  local: here; 0 takes a free one.  Raises PortTaken.
    """

    def __init__(self, route: Callable[[], Any], port: int, local: int = 0) -> None:
        self.remote_port = check_port(port)
        self._route = route
        self._listener = _listen(local)
        self.port = int(self._listener.getsockname()[1])
        self.open = 0  # connections now
        self.served = 0  # connections so far
        self.sent = self.received = 0  # bytes to the host, from the host
        self.error: QAError | None = None  # why the last connection failed
        self._forbidden = False
        self._guard = threading.Lock()
        self._pairs: set[_Pair] = set()
        threading.Thread(target=self._accept, name="tunnel", daemon=True).start()

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._guard:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end()

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while self._listener.fileno() >= 0:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), name="tunnel", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            way = self._way()
        except QAError as e:
            self.error = e
            _reset(sock)
            return
        self.error = None
        pair = _Pair(sock, way, self)
        with self._guard:
            self._pairs.add(pair)
            self.open += 1
            self.served += 1
        try:
            pair.run()
        finally:
            with self._guard:
                self._pairs.discard(pair)
                self.open -= 1

    def _way(self) -> Way:
        route = self._route()
        if not self._forbidden:
            try:
                if hasattr(route, "tcp"):
                    return cast(Way, route.tcp(self.remote_port))
                if hasattr(route, "session"):
                    return _Direct(direct(route, self.remote_port))
            except LinkLost:
                raise
            except RouteError:
                pass  # forbidden, or nothing listens: servers do not agree in which word says what
        way = _Pumped(route.agent("connect", str(self.remote_port)), self.remote_port)
        self._forbidden = True  # the agent gets there and sshd does not
        return way

    def count(self, sent: int, received: int) -> None:
        with self._guard:
            self.sent += sent
            self.received += received


class _Pair:
    """A connection here and its way to the host."""

    def __init__(self, sock: socket.socket, way: Way, tunnel: Tunnel) -> None:
        self._sock, self._way, self._tunnel = sock, way, tunnel

    def run(self) -> None:
        """Until both directions have ended, or one has failed. This thread alone sends to the host."""
        back = threading.Thread(target=self._back, name="tunnel-back", daemon=True)
        back.start()
        try:
            while data := self._sock.recv(CHUNK):
                self._way.send(data)
                self._tunnel.count(len(data), 0)
            self._way.end_input()
            back.join()
        except (OSError, EOFError, QAError):
            pass
        self.end()
        self._way.close()
        back.join(5.0)
        self._sock.close()

    def _back(self) -> None:
        try:
            while data := self._way.recv():
                self._sock.sendall(data)
                self._tunnel.count(0, len(data))
            self._sock.shutdown(socket.SHUT_WR)
        except (OSError, EOFError, QAError):
            self.end()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


class _Direct:
    """A channel to the port itself."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def send(self, data: bytes) -> None:
        from remote import channel_input

        channel_input.write(self._channel, data)

    def end_input(self) -> None:
        from remote import channel_input

        channel_input.end_input(self._channel)

    def recv(self, timeout: float | None = None) -> bytes:
        data = self._channel.recv(1 << 20)
        if not data and not self._channel.get_transport().is_active():
            raise EOFError
        return data

    def close(self) -> None:
        self._channel.close()


class _Pumped:
    """The agent's `connect`."""

    def __init__(self, stream: Duplex, port: int) -> None:
        self._stream = stream
        self._reader = FrameReader()
        self._ready: deque[tuple[dict[str, Any], bytes]] = deque()
        try:
            answer, _ = self._next(OPEN_S)
        except (EOFError, FrameError, TimeoutError) as e:
            stream.close()
            raise _refused(port, "the host's end did not start") from e
        except BaseException:
            stream.close()
            raise
        if "ok" not in answer:
            stream.close()
            raise _refused(port, error_from(answer.get("error")).what)

    def send(self, data: bytes) -> None:
        self._stream.send(pack({"in": 1}, data))

    def end_input(self) -> None:
        self._stream.send(pack({"eof": 1}))

    def recv(self, timeout: float | None = None) -> bytes:
        try:
            header, data = self._next(timeout)
        except FrameError as e:
            raise EOFError from e
        return data if "out" in header else b""

    def _next(self, timeout: float | None) -> tuple[dict[str, Any], bytes]:
        while not self._ready:
            data = self._stream.recv(timeout)
            if not data:
                raise EOFError
            self._ready.extend(self._reader.feed(data))
        return self._ready.popleft()

    def close(self) -> None:
        self._stream.close()


def _listen(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
        sock.listen(64)
    except OSError as e:
        sock.close()
        taken = e.errno in (errno.EADDRINUSE, errno.EACCES)
        raise PortTaken(
            f"port {port} on {LOOPBACK} cannot be had",
            why=e.strerror or str(e),
            try_next="choose another with --local, or leave it out" if taken else "",
        ) from e
    return sock


def _reset(sock: socket.socket) -> None:
    """Closed so that the client sees a failure and not an empty answer."""
    import struct

    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
