"""One command on the host: its streams as a Duplex, and its end."""

from __future__ import annotations

import contextlib
import time

import paramiko

from core.errors import LinkLost, RouteError
from remote import channel_input
from remote.commands import Completed


class ChannelDuplex:
    """A paramiko channel as a Duplex: an end of the bytes is told from an end of the link."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def send(self, data: bytes) -> None:
        try:
            channel_input.write(self._channel, data)
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise _cut() from e

    def recv(self, timeout: float | None = None) -> bytes:
        try:
            data = channel_input.read(self._channel, 1 << 17, timeout)
        except TimeoutError:
            raise
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise _cut() from e
        if not data and not self._channel.get_transport().is_active():
            raise _cut()
        return data

    def exit_status(self) -> int | None:
        """Waits a little: it comes after the end of the output."""
        self._channel.status_event.wait(5.0)
        return self._channel.exit_status if self._channel.exit_status_ready() else None

    def stderr_tail(self) -> str:
        data = b""
        while self._channel.recv_stderr_ready():
            data = (data + self._channel.recv_stderr(65536))[-4096:]
        return data.decode("utf-8", "replace")

    def collect(self, until: float, max_output: int, name: str) -> Completed:
        """stdout and stderr to their end."""
        channel, parts = self._channel, ([], [])  # type: ignore[var-annotated]
        size, pause, nudges = 0, 0.002, 3
        while True:
            ended = channel.exit_status_ready() and (channel.eof_received or channel.closed)
            moved = False
            for ready, read, part in (
                (channel.recv_ready, channel.recv, parts[0]),
                (channel.recv_stderr_ready, channel.recv_stderr, parts[1]),
            ):
                while ready():
                    data = read(65536)
                    size += len(data)
                    part.append(data)
                    moved = bool(data) or moved
                    if size > max_output:
                        raise RouteError(
                            f"{name} printed more than {max_output} bytes",
                            try_next="let it print less",
                        )
                    if not data:
                        break
            if ended and not moved:
                if channel.exit_status < 0 and self._link_ended():
                    raise _cut()
                break
            if not channel.get_transport().is_active():
                raise _cut()
            if time.monotonic() > until:
                raise RouteError(
                    f"{name} did not end in time on the host",
                    try_next="the host may be overloaded; try again",
                )
            if nudges and (moved or channel.eof_received):
                nudges -= 1
                nudge(channel)
            pause = 0.002 if moved else min(pause * 1.5, 0.05)
            time.sleep(pause)
        return Completed(channel.exit_status, b"".join(parts[0]), b"".join(parts[1]))

    def _link_ended(self) -> bool:
        """Did the command end without a status because the connection did? A transport closes its
        channels a moment before it says that it has ended itself.
        """
        until = time.monotonic() + 0.1
        while self._channel.get_transport().is_active():
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # the link went first
            self._channel.close()


def nudge(channel: paramiko.Channel) -> None:
    """Send something of no meaning: it ends the far side's wait for our acknowledgement (40 ms).

    paramiko's send_ignore would do, but is malformed, and stricter servers hang up on it.
    """
    with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # a cut shows in reading
        channel.get_transport().global_request("keepalive@openssh.com", wait=False)


def _cut() -> LinkLost:
    return LinkLost(
        "the link to the host was cut",
        why="running jobs are not touched by this",
        try_next="connect again; the log goes on where it stopped",
    )
