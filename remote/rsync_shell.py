"""What rsync starts as its remote shell: `rsync_shell.py SOCKET HOST COMMAND …`.

It hands rsync's own descriptors to the process that holds the connection, so no byte passes here, and
ends with the remote command's exit code. Standard library only; run with `python -I -S`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

LOST = 255  # as ssh says it


def main(argv: list[str]) -> int:
    path, _, *command = argv
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    stream = sock.makefile("rb")
    if "hello" not in _header(stream):
        return _fail("not an owner of a connection")
    request = json.dumps({"exec": command, "n": 0}).encode() + b"\n"
    socket.send_fds(sock, [request], [0, 1])
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)  # rsync sees an end when the owner closes its copy
    while True:
        header = _header(stream)
        body = stream.read(header.get("n", 0))
        if not header:
            return _fail("the link was cut")
        if "error" in header:
            return _fail(str(header["error"].get("what")))
        if "err" in header:
            os.write(2, body)
        if "exit" in header:
            code = int(header["exit"])
            return code if 0 <= code < 256 else LOST


def _header(stream: Any) -> dict[str, Any]:
    """{} at the end."""
    line = stream.readline(1 << 14)
    return dict(json.loads(line)) if line.endswith(b"\n") else {}


def _fail(what: str) -> int:
    print(what, file=sys.stderr)
    return LOST


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, ValueError) as e:
        sys.exit(_fail(str(e)))
