"""`python -m remote.linking`: become a link process. Its definition comes through stdin, whoever started it
hears one line on stdout; argv and environment tell nothing.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    given = sys.stdin.buffer.read()
    if os.fork():  # before anything is imported: whoever started us need not wait for our end
        os._exit(0)
    # paramiko loads this where it is installed, for a word of ~/.ssh/config that we never ask it to
    # read; a third of the start.
    sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
    import json
    import pickle
    from typing import Any

    from core.errors import QAError
    from remote.linking.process import serve

    said: list[dict[str, Any]] = []

    def report(what: dict[str, Any]) -> None:
        said.append(what)
        with open(os.devnull, "r+b") as null:
            os.write(1, json.dumps(what).encode() + b"\n")
            os.dup2(null.fileno(), 0)
            os.dup2(null.fileno(), 1)

    try:
        serve(pickle.loads(given), report)  # from the process that started us, through a pipe
    except QAError as e:
        if said:
            raise
        report({"error": e.as_dict()})
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
