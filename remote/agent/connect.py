"""`connect PORT`: a way to one loopback port of this machine, for where sshd forwards none.

Frames. In: {"in"} with bytes, {"eof"}. Out: {"ok"} or {"error"}, then {"out"} with bytes, {"eof"}: the end
of our output is no sign, as sshd may give a command one socket for both directions.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import BinaryIO

from remote.agent.frames import FrameError, pack, read_frame

CHUNK = 1 << 17


def main(port: int) -> None:
    out = os.dup(1)
    try:
        sock = socket.create_connection(("127.0.0.1", port), timeout=10.0)
    except OSError as e:
        what = "nothing listens on 127.0.0.1:%d of the host" % port
        error = {"code": "os", "what": "%s (%s)" % (what, e.strerror or e)}
        _write(out, pack({"error": error}))
        return
    sock.settimeout(None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _write(out, pack({"ok": 1}))
    os.dup2(2, 1)
    threading.Thread(target=_outward, args=(sock, out), daemon=True).start()
    _inward(sys.stdin.buffer, sock)
    os._exit(0)  # the laptop is gone


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _outward(sock: socket.socket, out: int) -> None:
    try:
        while True:
            try:
                data = sock.recv(CHUNK)
            except OSError:
                data = b""
            _write(out, pack({"out": 1} if data else {"eof": 1}, data))
            if not data:
                return
    except OSError:
        pass  # the laptop is gone


def _inward(stream: BinaryIO, sock: socket.socket) -> None:
    """To the end of the input, even when nobody takes it: bytes for a command that is gone could end
    the laptop's whole connection."""
    broken = False
    while True:
        try:
            frame = read_frame(stream)
        except FrameError:
            return
        if frame is None:
            return
        header, data = frame
        try:
            if "eof" in header:
                sock.shutdown(socket.SHUT_WR)
            elif not broken:
                sock.sendall(data)
        except OSError:
            broken = True
