"""Opens a file in the operator's own pager or editor, at a line; a log never to write."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import MissingComponent, QAError, UsageError
from tui import clean

if TYPE_CHECKING:
    from textual.app import App

EDITOR = (("VISUAL", "EDITOR"), "vi")  # variables, the first that is set; and the default
PAGER = (("PAGER",), "less")

_READ_ONLY = {"vi": "-R", "vim": "-R", "nvim": "-R", "gvim": "-R", "nano": "-v", "emacs": ""}
_AT_LINE = {*_READ_ONLY, "less", "more", "most"}  # they take +N


def command(
    names: Sequence[str],
    default: str,
    path: Path,
    line: int,
    env: Mapping[str, str] = os.environ,
    *,
    write: bool = False,
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
    if not write and (option := _READ_ONLY.get(program)):
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


def view(app: App[Any], with_: tuple[tuple[str, ...], str], path: Path, line: int) -> None:
    """Hand the terminal over until the operator is back; nothing can be changed. line: from 1."""
    _hand_over(app, with_, path, line, write=False)


def edit(app: App[Any], path: Path, line: int) -> None:
    """The same with $EDITOR, to write."""
    _hand_over(app, EDITOR, path, line, write=True)


def _hand_over(
    app: App[Any], with_: tuple[tuple[str, ...], str], path: Path, line: int, *, write: bool
) -> None:
    from textual.app import SuspendNotSupported

    try:
        argv = command(*with_, path, line, write=write)
        with app.suspend():
            run(argv)
    except SuspendNotSupported:
        app.notify("another program cannot be opened from here", severity="warning")
    except QAError as error:
        words = clean.block("\n".join(error.lines()))
        app.notify(words, severity="warning", markup=False)
