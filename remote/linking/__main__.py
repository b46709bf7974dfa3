"""A link process from its beginning: `python -I -S` of this file. What it needs to know comes through
stdin, whoever started it hears one line on stdout; argv and environment tell nothing.

First a line of JSON about the interpreter, then, perhaps later, what the process is for. Somebody is
waiting, so all is loaded meanwhile, and no more than is needed.
"""

from __future__ import annotations

import gc
import json
import os
import sys


def main() -> int:
    said = b""
    while b"\n" not in said and (data := os.read(0, 1 << 16)):
        said += data
    line, _, rest = said.partition(b"\n")
    if os.fork():  # before anything is imported: whoever started us need not wait for our end
        os._exit(0)
    circumstances = json.loads(line)
    sys.path[:] = dict.fromkeys(circumstances["path"])
    sys.pycache_prefix = circumstances["pycache_prefix"]
    sys.dont_write_bytecode = circumstances["dont_write_bytecode"]
    gc.disable()  # nothing that is loaded is garbage
    return _serve(rest)


def _serve(rest: bytes) -> int:
    from remote.linking.ahead import Ahead

    ahead = Ahead(0, rest)
    from remote.linking.lean import lean

    lean()
    import pickle
    from typing import Any

    from core.errors import QAError
    from remote.linking.process import serve

    gc.freeze()
    gc.enable()
    definition = ahead.definition()
    if not definition:
        return 0
    reported: list[dict[str, Any]] = []

    def report(what: dict[str, Any]) -> None:
        reported.append(what)
        with open(os.devnull, "r+b") as null:
            os.write(1, json.dumps(what).encode() + b"\n")
            os.dup2(null.fileno(), 0)
            os.dup2(null.fileno(), 1)

    try:
        serve(pickle.loads(definition), report, ahead)  # from whoever started us, by a pipe
    except QAError as e:
        if reported:
            raise
        report({"error": e.as_dict()})
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
