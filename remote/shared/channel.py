"""The owner's end of one client of the shared connection: a request, then a channel.

Frames of `remote.agent.frames`. The owner says {"hello"}; the client asks one thing as one line,
{"exec": argv} or {"tcp": port}, and waits for {"ok"} or {"error"}. Then:
client → owner  {"in"} bytes, {"eof"}
owner → client  {"out"} bytes, {"err"} bytes, {"eof"}, {"exit": code}
A client that passes its stdin and stdout along with its request needs no frames for their bytes.
{"connect"}, {"watch"}: see `remote.linking.requests`.  {"look"}: how the link stands, once.  {"leave"}: the
process that is there for the link alone ends.
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
from remote.linking import requests
from remote.linking.told import error_said, tell
from remote.shared.greeting import hello
from remote.shared.shortcut import Shortcut

if TYPE_CHECKING:
    import paramiko

    from remote.route import Route
    from remote.shared.owner import Sharing

CHUNK = 1 << 18
READ = 1 << 22  # a channel read in pieces moves its backlog each time
TICK_S = 0.5  # how often a pump that waits looks round
MAX_REQUEST = 1 << 20


class Client:
    """The thread that reads the client is the only one that sends on the channel and closes it: so
    nothing is ever sent on a channel we have closed."""

    def __init__(self, owner: Sharing, sock: socket.socket) -> None:
        self._owner, self._route, self._sock = owner, owner.route, sock
        self.stirred = threading.Event()
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._watches = False
        self._fds: list[int] = []
        self._shortcut: Shortcut | None = None
        self._stream = cast(BinaryIO, sock.makefile("rb", buffering=1 << 16))
        self._thread = threading.Thread(target=self._serve, name="share-in", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def end(self) -> None:
        self._ended.set()
        self.stirred.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        try:
            self.say(hello(self._owner))
            asked = self._request()
            if "watch" in asked:
                self._watches = True
                requests.watch(self._route, self)
            elif "look" in asked:
                self.say({"status": 1}, tell(self._route))
            elif "connect" in asked:
                requests.connect(self._route, asked, self, self._owner.logging_in)
            elif "leave" in asked:
                self._owner.dismiss()
            else:
                self._carry(asked)
        except (OSError, EOFError, FrameError, ValueError):
            pass  # the client is gone, or never spoke our language
        except QAError as e:
            with contextlib.suppress(OSError):
                self.say({"error": error_said(e)}, tell(self._route))
        finally:
            self._ended.set()
            self._close_fds()
            self._stream.close()
            self._sock.close()
            self._owner.gone(self)

    def farewell(self) -> None:
        """The last word to a client that watches: this is not a mishap. Never blocks for long.

        Told only once nobody else can speak any more: of two words the newer one counts.
        """
        with contextlib.suppress(OSError):
            if self._watches and self._sending.acquire(timeout=0.1):
                frame = pack({"status": 1}, tell(self._route, ended=True))
                self._sock.send(frame, socket.MSG_DONTWAIT)

    def say(self, header: dict[str, Any], body: bytes = b"") -> None:
        with self._sending:
            self._finish()
            self._sock.sendall(pack(header, body))

    def _finish(self) -> None:
        """The rest of what was said in part."""
        if self._shortcut is not None and self._shortcut.rest:
            rest, self._shortcut.rest = self._shortcut.rest, b""
            self._sock.sendall(rest)

    def hear(self, seconds: float) -> bytes:
        """The body of the client's next frame. Raises EOFError, OSError, FrameError."""
        if not _ready(self._sock.fileno(), select.POLLIN, seconds):
            raise TimeoutError
        frame = read_frame(self._stream)
        if frame is None:
            raise EOFError
        return frame[1]

    def gone(self) -> bool:
        """Has the client left, or is it to be left? Only while it has nothing to say."""
        return self._ended.is_set() or self._client_gone()

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

    # -- bytes ------------------------------------------------------------------------------

    def _carry(self, asked: dict[str, Any]) -> None:
        for fd in self._fds:
            os.set_blocking(fd, False)
        passed = len(self._fds) == 2
        source = self._passed_input() if passed else self._framed_input()
        sink = self._passed_output if passed else self._framed_output
        channel = self._opened(asked)
        channel.settimeout(TICK_S)
        self.say({"ok": 1})
        if self._shortcut is not None:
            self._shortcut.open()
        out = threading.Thread(
            target=self._outward, args=(channel, sink), name="share-out", daemon=True
        )
        out.start()
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

    def _opened(self, asked: dict[str, Any]) -> paramiko.Channel:
        """A channel for the request. Where the link is just coming back it is waited for within the
        client's patience: nothing was sent yet. Raises RouteError, LinkLost.
        """
        until = time.monotonic() + requests.patience_of(asked)
        while True:
            try:
                return _open(self._route, asked, self._shorten)
            except _Unsent as e:
                if not requests.comes_back(self._route, until, self):
                    raise e.error from None

    def _shorten(self, channel: paramiko.Channel) -> None:
        if not self._fds:
            self._shortcut = Shortcut(channel, self._sock, self._sending)

    def _close_fds(self) -> None:
        fds, self._fds = self._fds, []
        for fd in fds:
            os.close(fd)

    def _framed_input(self) -> Iterator[bytes]:
        """Up to {"eof"}. Raises EOFError when the client goes before it."""
        while True:
            frame = read_frame(self._stream)
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
            self.say({"out": 1}, data[at : at + CHUNK])

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
                if self._shortcut is not None:
                    self._shortcut.arrived(len(data))
                    channel_input.acknowledge(channel, self._shortcut.passed())
            if channel.get_transport().is_active():
                self.say({"eof": 1})
            if len(self._fds) == 2 and not self._ended.is_set():
                with open(os.devnull, "wb") as null:
                    os.dup2(null.fileno(), self._fds[1])  # the reader sees the end
            errors.join()
            while not self._ended.is_set() and not channel.status_event.wait(TICK_S):
                pass
            code = channel.exit_status
            if not self._ended.is_set() and (code >= 0 or channel.get_transport().is_active()):
                self.say({"exit": code})
        except (OSError, EOFError):
            pass
        self._ended.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)  # wakes the thread that reads the client

    def _errors(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError):
            for data in self._from(channel.recv_stderr, CHUNK):
                self.say({"err": 1}, data)

    def _from(self, recv: Callable[[int], bytes], most: int) -> Iterator[bytes]:
        while not self._ended.is_set():
            try:
                data = recv(most)
            except TimeoutError:
                with self._sending:
                    self._finish()
                continue
            if not data:
                return
            yield data


def _ready(fd: int, what: int, wait: float) -> bool:
    poll = select.poll()
    poll.register(fd, what)
    return bool(poll.poll(wait * 1000))


class _Unsent(Exception):
    """There is no link, and nothing of the request has left."""

    def __init__(self, error: LinkLost) -> None:
        self.error = error


def _open(
    route: Route, asked: dict[str, Any], before: Callable[[paramiko.Channel], None]
) -> paramiko.Channel:
    """before: given the channel of a command that is about to start. Raises RouteError, LinkLost, _Unsent."""
    if "tcp" in asked:
        from remote.tunnels import direct

        return direct(route, asked["tcp"])
    argv = asked.get("exec")
    if not isinstance(argv, list) or not argv or not all(isinstance(w, str) for w in argv):
        raise RouteError("an odd request on the shared connection", try_next="connect again")
    if any("\0" in word for word in argv):
        raise RouteError("a NUL cannot be part of a command", try_next="leave it out")
    import paramiko

    try:
        channel = route.session()
    except LinkLost as e:
        raise _Unsent(e) from e
    try:
        before(channel)
        channel.exec_command("exec /bin/sh -c " + shlex.quote("exec " + shlex.join(argv)))
        # Something of no meaning after it: it ends the far side's wait for our acknowledgement.
        channel.get_transport().global_request("keepalive@openssh.com", wait=False)
    except (paramiko.SSHException, EOFError, OSError) as e:
        channel.close()
        raise LinkLost(
            f"{route.host.name} did not start a command", why=str(e), try_next="connect again"
        ) from e
    return channel
