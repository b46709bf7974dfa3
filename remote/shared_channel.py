"""The owner's end of one client of the shared connection: a request, then a channel.

Frames of `remote.agent.frames`. The owner says {"hello", "host"}; the client asks one thing as one line,
{"exec": argv}, {"tcp": port} or {"watch": 1}, and waits for {"ok"} or {"error"}. Then:
client → owner  {"in"} bytes, {"eof"}
owner → client  {"out"} bytes, {"err"} bytes, {"eof"}, {"exit": code}; or {"status"} again and again
A client that passes its stdin and stdout along with its request needs no frames for their bytes.
An end of the socket without {"exit"} is a lost link; an end at the client's side ends the channel.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from core.errors import LinkLost, QAError, RouteError
from remote import channel_input
from remote.agent.frames import FrameError, pack, read_frame
from remote.sharing import identity

if TYPE_CHECKING:
    import paramiko

    from remote.route import Route

CHUNK = 1 << 18
READ = 1 << 22  # a channel read in pieces moves its backlog each time
TICK_S = 0.5  # how often a status is sent, and a pump that waits looks round
MAX_REQUEST = 1 << 20


class Client:
    """The thread that reads the client is the only one that sends on the channel and closes it: so
    nothing is ever sent on a channel we have closed."""

    def __init__(self, route: Route, sock: socket.socket, gone: Callable[[Client], None]) -> None:
        self._route, self._sock, self._gone = route, sock, gone
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._fds: list[int] = []
        self._thread = threading.Thread(target=self._serve, name="share-in", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def end(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        try:
            self._say({"hello": 1, "host": identity(self._route.host), "pid": os.getpid()})
            asked = self._request()
            if "watch" in asked:
                self._watch()
            else:
                self._carry(asked)
        except (OSError, EOFError, FrameError, ValueError):
            pass  # the client is gone, or never spoke our language
        except QAError as e:
            with contextlib.suppress(OSError):
                self._say({"error": e.as_dict()})
        finally:
            self._ended.set()
            self._sock.close()
            self._gone(self)

    def _say(self, header: dict[str, Any], data: bytes = b"") -> None:
        with self._sending:
            self._sock.sendall(pack(header, data))

    def _request(self) -> dict[str, Any]:
        line, self._fds, _, _ = socket.recv_fds(self._sock, 1 << 16, 2)
        while line and not line.endswith(b"\n"):
            data = self._sock.recv(1 << 16)
            if not data or len(line) > MAX_REQUEST:
                raise EOFError
            line += data
        asked = json.loads(line)
        if not isinstance(asked, dict):
            raise ValueError("not a request")
        return asked

    def _watch(self) -> None:
        while not self._ended.is_set():
            status = self._route.status()
            heard = status.last_heard
            self._say(
                {
                    "status": status.state,
                    "hops": [[h.name, h.rtt_ms] for h in status.hops],
                    "age": None if heard is None else max(0.0, time.monotonic() - heard),
                    "error": status.error.as_dict() if status.error else None,
                }
            )
            self._ended.wait(TICK_S)

    # -- bytes ------------------------------------------------------------------------------

    def _carry(self, asked: dict[str, Any]) -> None:
        source: Iterator[bytes]
        sink: Callable[[bytes], None]
        try:
            if len(self._fds) == 2:
                for fd in self._fds:
                    os.set_blocking(fd, False)
                source, sink = self._passed_input(), self._passed_output
            else:
                source, sink = self._framed_input(), self._framed_output
            channel = _open(self._route, asked)
            channel.settimeout(TICK_S)
            self._say({"ok": 1})
            out = threading.Thread(
                target=self._outward, args=(channel, sink), name="share-out", daemon=True
            )
            out.start()
        except BaseException:
            self._close_fds()
            raise
        try:
            for data in source:
                channel_input.write(channel, data)
            channel_input.end_input(channel)
            while not self._ended.is_set() and not self._client_gone(TICK_S):
                pass
        except channel_input.ChannelGone:
            self._ended.wait(30.0)  # what is left to say is said by the other thread
        finally:
            self._ended.set()
            channel.close()
            out.join(2 * TICK_S)
            self._close_fds()

    def _close_fds(self) -> None:
        fds, self._fds = self._fds, []
        for fd in fds:
            os.close(fd)

    def _framed_input(self) -> Iterator[bytes]:
        """Up to {"eof"}. Raises EOFError when the client goes before it."""
        stream = self._sock.makefile("rb", buffering=1 << 16)
        while True:
            frame = read_frame(cast(BinaryIO, stream))
            if frame is None:
                raise EOFError
            if "eof" in frame[0]:
                return
            if "in" in frame[0]:
                yield frame[1]

    def _passed_input(self) -> Iterator[bytes]:
        fd = self._fds[0]
        while not self._ended.is_set():
            if not _ready(fd, select.POLLIN, TICK_S):
                if self._client_gone():
                    raise EOFError
                continue
            with contextlib.suppress(BlockingIOError):
                data = os.read(fd, CHUNK)
                if not data:
                    return
                yield data

    def _client_gone(self, wait: float = 0.0) -> bool:
        """Has it closed the socket? After its input it says nothing more."""
        if not _ready(self._sock.fileno(), select.POLLIN, wait):
            return False
        try:
            return not self._sock.recv(4096)
        except OSError:
            return True

    def _framed_output(self, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            self._say({"out": 1}, data[at : at + CHUNK])

    def _passed_output(self, data: bytes) -> None:
        fd, left = self._fds[1], memoryview(data)
        while left and not self._ended.is_set():
            if _ready(fd, select.POLLOUT, TICK_S):
                with contextlib.suppress(BlockingIOError):
                    left = left[os.write(fd, left) :]

    def _outward(self, channel: paramiko.Channel, sink: Callable[[bytes], None]) -> None:
        """stdout and stderr to their ends, then the exit code; nothing of it if the link is gone."""
        errors = threading.Thread(
            target=self._errors, args=(channel,), name="share-err", daemon=True
        )
        errors.start()
        try:
            for data in self._from(channel.recv, READ):
                sink(data)
            if channel.get_transport().is_active():
                self._say({"eof": 1})
            if len(self._fds) == 2 and not self._ended.is_set():
                with open(os.devnull, "wb") as null:
                    os.dup2(null.fileno(), self._fds[1])  # the reader sees the end
            errors.join()
            while not self._ended.is_set() and not channel.status_event.wait(TICK_S):
                pass
            code = channel.exit_status
            if not self._ended.is_set() and (code >= 0 or channel.get_transport().is_active()):
                self._say({"exit": code})
        except (OSError, EOFError):
            pass
        self._ended.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)  # wakes the thread that reads the client

    def _errors(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError):
            for data in self._from(channel.recv_stderr, CHUNK):
                self._say({"err": 1}, data)

    def _from(self, recv: Callable[[int], bytes], most: int) -> Iterator[bytes]:
        while not self._ended.is_set():
            try:
                data = recv(most)
            except TimeoutError:
                continue
            if not data:
                return
            yield data


def _ready(fd: int, what: int, wait: float) -> bool:
    poll = select.poll()
    poll.register(fd, what)
    return bool(poll.poll(wait * 1000))


def _open(route: Route, asked: dict[str, Any]) -> paramiko.Channel:
    """Raises RouteError, LinkLost."""
    if "tcp" in asked:
        from remote.tunnels import direct

        return direct(route, asked["tcp"])
    argv = asked.get("exec")
    if not isinstance(argv, list) or not argv or not all(isinstance(w, str) for w in argv):
        raise RouteError("an odd request on the shared connection", try_next="connect again")
    if any("\0" in word for word in argv):
        raise RouteError("a NUL cannot be part of a command", try_next="leave it out")
    import paramiko

    channel = route.session()
    try:
        channel.exec_command("exec /bin/sh -c " + shlex.quote("exec " + shlex.join(argv)))
        # Something of no meaning after it: it ends the far side's wait for our acknowledgement.
        channel.get_transport().global_request("keepalive@openssh.com", wait=False)
    except (paramiko.SSHException, EOFError, OSError) as e:
        channel.close()
        raise LinkLost(
            f"{route.host.name} did not start a command", why=str(e), try_next="connect again"
        ) from e
    return channel
