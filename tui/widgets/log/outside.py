"""Opens a log in the operator's own pager or editor, at a line, and never to write."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import MissingComponent, UsageError

_READ_ONLY = {"vi": "-R", "vim": "-R", "nvim": "-R", "gvim": "-R", "nano": "-v", "emacs": ""}
_AT_LINE = {*_READ_ONLY, "less", "more", "most"}  # they take +N


def command(
    names: Sequence[str], default: str, path: Path, line: int, env: Mapping[str, str] = os.environ
) -> list[str]:
    """The argv that opens `path` at `line` (from 1) with the first of the variables `names` that is set."""
    name = next((n for n in names if env.get(n, "").strip()), "")
    try:
        argv = shlex.split(env.get(name, "")) or [default]
    except ValueError as error:
        raise UsageError(
            f"${name} is no command", why=str(error), try_next=f"set it: export {name}={default}"
        ) from None
    program = Path(argv[0]).name
    if option := _READ_ONLY.get(program):
        argv.append(option)
    if program in _AT_LINE:
        argv.append(f"+{line}")
    return [*argv, str(path.absolute())]


def run(argv: Sequence[str]) -> None:
    """Waits for the program, which has the terminal meanwhile."""
    try:
        subprocess.run(argv, check=False)
    except OSError as error:
        raise MissingComponent(
            f"{argv[0]} cannot be started",
            why=error.strerror or str(error),
            try_next="set $PAGER or $EDITOR to a program that is installed",
        ) from None
