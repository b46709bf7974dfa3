"""Writing to a channel that the far side may close at any moment, while another thread reads it.

paramiko builds a message under the channel's lock and sends it outside of it. If the far side's CLOSE is
answered in between, our bytes (or our end of input) refer to a channel that is no more, and OpenSSH ends
the whole connection for it. So here both happen under the lock, in the one module that touches
paramiko's insides; `tests/remote/test_channel_input.py` holds it to a real sshd.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import paramiko
from paramiko.buffered_pipe import PipeTimeout
from paramiko.common import cMSG_CHANNEL_DATA, cMSG_CHANNEL_WINDOW_ADJUST

BLOCK = 32768 - 512  # bytes: one packet of the inner connection then fits one packet of the outer
REKEY_S = 60.0


class ChannelGone(OSError):
    """The far side has closed the channel; the connection is well."""


def write(channel: paramiko.Channel, data: bytes) -> None:
    """Send all of it, waiting for the far side to take it. Raises ChannelGone, EOFError (no link).

    With a timeout on the channel it is only how often a closed channel is looked for.
    """
    left = memoryview(data)
    while left:
        left = left[_under_lock(channel, left[:BLOCK]) :]


def read(channel: Any, most: int, seconds: float | None) -> bytes:
    """Bytes that came; b"" at the end. Raises TimeoutError, EOFError (no link).

    paramiko keeps one timeout for both directions, so that of a reader would hold for who writes.
    """
    try:
        data: bytes = channel.in_buffer.read(most, seconds)
    except PipeTimeout:
        raise TimeoutError from None
    acknowledge(channel, len(data))
    return data


def acknowledge(channel: Any, size: int) -> None:
    """So many bytes were taken: the far side may send as many more. Not in the transport's thread."""
    room = channel._check_add_window(size)
    if room > 0:
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(channel.remote_chanid)
        message.add_int(room)
        channel.transport._send_user_message(message)


def end_input(channel: paramiko.Channel) -> None:
    """End of input; does nothing on a channel that is closed already. Raises EOFError (no link)."""
    with contextlib.suppress(ChannelGone):
        _under_lock(channel, None)


def _under_lock(channel: Any, data: memoryview | None) -> int:
    """Bytes sent; data=None: the end of input. Takes part in paramiko's private protocol of locks.

    The channel's lock is never held while a key exchange is waited for: messages that belong to one
    come in through the thread that also needs that lock.
    """
    transport = channel.transport
    until = time.monotonic() + REKEY_S
    while True:
        transport.clear_to_send.wait(0.1)
        if not transport.is_active():
            raise EOFError("no link")
        with channel.lock:
            if channel.closed or channel.eof_sent:
                raise ChannelGone("the far side has closed the channel")
            size = 0
            if data is not None:
                try:
                    size = channel._wait_for_send_window(len(data))
                except TimeoutError:
                    continue
                if not size:
                    raise ChannelGone("the far side has closed the channel")
            with transport.clear_to_send_lock:
                if transport.clear_to_send.is_set():
                    if data is None:
                        message = channel._send_eof()
                    else:
                        message = paramiko.Message()
                        message.add_byte(cMSG_CHANNEL_DATA)
                        message.add_int(channel.remote_chanid)
                        message.add_string(bytes(data[:size]))
                    transport._send_message(message)
                    return int(size)
            channel.out_window_size += size  # a key exchange has begun: again after it
        if time.monotonic() > until:
            raise EOFError("the key exchange did not end")
