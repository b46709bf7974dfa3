"""Runs Python with a clock that is off: `python clock.py SECONDS WRAPPER -c CODE | FILE | -m MODULE …`.

Stands in for a host whose clock is wrong. time.time() and time.time_ns() are shifted; the kernel's file
times are not, as with a file server that has a clock of its own. Standard library only.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

_WRAPPER = """\
#!/bin/sh
# Python as the sandbox's host has it while its clock is off by {skew} s.
flags=
while case "$1" in -I|-S|-E|-s|-u|-B) true;; *) false;; esac; do flags="$flags $1"; shift; done
exec {python} $flags {script} {skew} "$0" "$@"
"""


def write_wrapper(path: Path, skew_s: float, python: str = sys.executable) -> None:
    """An executable that takes Python's own arguments."""
    words = {name: shlex.quote(word) for name, word in (("python", python), ("script", __file__))}
    path.write_text(_WRAPPER.format(skew=skew_s, **words))
    path.chmod(0o700)


def main(argv: list[str]) -> None:
    import os
    import runpy
    import time

    python, (skew, wrapper, *rest) = sys.executable, argv
    clock, clock_ns, off = time.time, time.time_ns, float(skew)
    time.time = lambda: clock() + off
    time.time_ns = lambda: clock_ns() + int(off * 1e9)
    sys.executable = wrapper
    if not sys.flags.isolated:
        del sys.path[0]  # this script's folder
    match rest:
        case ["-c", code, *more]:
            sys.argv = ["-c", *more]
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        case ["-m", module, *more]:
            sys.argv = ["-m", *more]
            sys.path.insert(0, "")
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [path, *more] if not path.startswith("-"):
            sys.argv = [path, *more]
            if not sys.flags.isolated and not path.endswith(".pyz"):
                sys.path.insert(0, str(Path(path).parent))
            runpy.run_path(path, run_name="__main__")
        case _:  # --version and the like care for no clock
            os.execv(python, [python, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
