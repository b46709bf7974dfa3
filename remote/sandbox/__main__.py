"""`python -m remote.sandbox serve --dir DIR`: run the sandbox until stdin closes.

stdout: one JSON line when ready, the server's record; or an error as a JSON line, and the exit code is
its own. stdin is a lifeline: whoever started this is gone when it ends, and so are we. With --stay
there is none: it runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import MissingComponent, QAError
from remote.sandbox.options import Options


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m remote.sandbox", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve", help="run the jump host and the GPU host until stdin closes")
    serve.add_argument(
        "--dir", type=Path, required=True, help="where keys and the host's disk live"
    )
    serve.add_argument("--port", type=int, default=0, help="of the jump host; 0 takes a free one")
    serve.add_argument(
        "--second-factor", action="store_true", help="the jump host asks questions, not for a key"
    )
    serve.add_argument("--disk", type=int, help="bytes of a small disk for the host; needs root")
    serve.add_argument(
        "--clock-skew", type=float, default=0.0, help="seconds the host's clock is ahead"
    )
    serve.add_argument("--stay", action="store_true", help="run until told to end")
    given = parser.parse_args(argv)
    options = Options(given.port, given.second_factor, given.disk, given.clock_skew)
    try:
        asyncio.run(_serve(given.dir.absolute(), options, given.stay))
    except QAError as exc:
        _say(exc.as_dict())
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


async def _serve(directory: Path, options: Options, stay: bool) -> None:
    try:
        from remote.sandbox.control import Control
        from remote.sandbox.server import Servers
    except ModuleNotFoundError as exc:
        if exc.name != "asyncssh":
            raise
        raise MissingComponent(
            "the sandbox needs the package asyncssh",
            why="it is not part of the base install",
            try_next="install the extra: pip install 'access-qa-control[sandbox]'",
        ) from exc
    from remote.sandbox import clock, records
    from remote.sandbox.disk import SmallDisk
    from remote.sandbox.files import Layout

    layout = Layout(directory)
    servers = Servers(layout, second_factor=options.second_factor)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    disk = SmallDisk(layout.disk, options.disk_bytes) if options.disk_bytes else None
    if disk:
        disk.mount()
    if options.clock_skew_s:
        clock.write_wrapper(layout.skewed_python, options.clock_skew_s)
    await servers.start(options.port)
    record = None
    try:
        path = records.socket_path(layout)
        control = await Control(servers, disk).listen(path)
        record = records.write(layout, servers.jump_port, path, stay, options)
        _say(record.as_dict())
        if not stay:
            _wait_for_the_end_of_stdin(lambda: loop.call_soon_threadsafe(ended.set))
        await ended.wait()
        control.close()
    finally:
        if record:
            records.remove(layout, record)
        await servers.stop()
        if disk:
            disk.unmount()


def _wait_for_the_end_of_stdin(then: Callable[[], Any]) -> None:
    """In a thread, since stdin may be a pipe, a terminal or a file, and not each can be polled.

    Reads the descriptor, not sys.stdin: a thread blocked inside that one's lock would abort the
    interpreter's exit.
    """

    def read() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        with suppress(RuntimeError):  # the loop has closed meanwhile
            then()

    threading.Thread(target=read, name="lifeline", daemon=True).start()


def _say(message: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
