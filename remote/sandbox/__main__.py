"""`python -m remote.sandbox serve --dir DIR`: run the sandbox until stdin closes.

stdout: one JSON line when ready, then one for every control line read from stdin:
`cut`, `host-down`, `host-up`, `new-host-key [host|jump]`. An error is a JSON line as well, and the
exit code is its own. stdin is a lifeline: whoever started this is gone when it ends, and so are we.
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
from typing import TYPE_CHECKING, Any

from core.errors import MissingComponent, QAError

if TYPE_CHECKING:
    from remote.sandbox.server import Servers


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
    options = parser.parse_args(argv)
    try:
        asyncio.run(_serve(options.dir.absolute(), options.port, options.second_factor))
    except QAError as exc:
        _say(exc.as_dict())
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


async def _serve(directory: Path, port: int, second_factor: bool) -> None:
    try:
        from remote.sandbox.server import Servers
    except ModuleNotFoundError as exc:
        if exc.name != "asyncssh":
            raise
        raise MissingComponent(
            "the sandbox needs the package asyncssh",
            why="it is not part of the base install",
            try_next="install the extra: pip install 'access-qa-control[sandbox]'",
        ) from exc
    from remote.sandbox.files import Layout

    servers = Servers(Layout(directory), second_factor=second_factor)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await servers.start(port)
    try:
        _say({"jump_port": servers.jump_port, "pid": os.getpid()})
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        _read_stdin(lambda line: loop.call_soon_threadsafe(lines.put_nowait, line))
        control = loop.create_task(_obey(servers, lines))
        control.add_done_callback(lambda _: ended.set())
        await ended.wait()
        control.cancel()
    finally:
        await servers.stop()


async def _obey(servers: Servers, lines: asyncio.Queue[str | None]) -> None:
    while (line := await lines.get()) is not None:
        words = line.split() or [""]
        try:
            match words:
                case ["cut"]:
                    servers.cut()
                case ["host-down"]:
                    servers.host_down()
                case ["host-up"]:
                    servers.host_comes_up()
                case ["new-host-key", *which] if which in ([], ["host"], ["jump"]):
                    await servers.change_key(*(which or ["host"]))
                case _:
                    _say({"unknown": " ".join(words)})
                    continue
        except QAError as exc:
            _say(exc.as_dict())
            continue
        # The loop runs once more, so that what was aborted is closed before we say so.
        await asyncio.sleep(0)
        _say({"done": words[0]})


def _read_stdin(pass_on: Callable[[str | None], Any]) -> None:
    """Pass on line by line, and None at the end.

    In a thread, since stdin may be a pipe, a terminal or a file, and not each can be polled.
    Reads the descriptor, not sys.stdin: a thread blocked inside that one's lock would abort the
    interpreter's exit.
    """

    def read() -> None:
        rest = b""
        with suppress(RuntimeError):  # the loop has closed meanwhile
            while data := os.read(0, 4096):
                *whole, rest = (rest + data).split(b"\n")
                for raw in whole:
                    pass_on(raw.decode(errors="replace"))
            pass_on(None)

    threading.Thread(target=read, name="lifeline", daemon=True).start()


def _say(message: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more; the lifeline ends us in good order
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
