"""Interpreters that are to become link processes; one may be loading before it is known what for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from core import locations
from core.errors import EnvironmentProblem
from remote.shared.owner import private_folder, socket_named

_spares: dict[Path, subprocess.Popen[bytes]] = {}  # by the log they write
_guard = threading.Lock()


def prepare(link: str) -> None:
    """Load one for the link of that name while the way to its host is still being looked up.

    Does nothing where there seems to be a link process, or where it fails: nothing depends on it.
    """
    path = socket_named(link)
    log = path.with_suffix(".log")
    with _guard, contextlib.suppress(OSError, EnvironmentProblem):
        if not path.exists() and log not in _spares:
            private_folder(path.parent)
            _spares[log] = spawn(log)


def spare(log: Path) -> subprocess.Popen[bytes] | None:
    """What was prepared for the link with that log; from now on the caller's."""
    with _guard:
        return _spares.pop(log, None)


def dismiss(starter: subprocess.Popen[bytes] | None) -> None:
    """One that was told nothing ends by itself."""
    if starter is not None:
        assert starter.stdin and starter.stdout
        for pipe in (starter.stdin, starter.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        starter.wait()


def spawn(log: Path) -> subprocess.Popen[bytes]:
    """An interpreter that loads a link process and waits for its definition. Raises OSError.

    It is told its circumstances, which it would else find out in more time than its start takes.
    """
    circumstances = {
        "path": [str(locations.project_root()), *(p for p in sys.path if Path(p).is_absolute())],
        "pycache_prefix": sys.pycache_prefix,
        "dont_write_bytecode": sys.dont_write_bytecode,
    }
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(errors, "wb") as file:
        starter = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("__main__.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            cwd=locations.project_root(),
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal is meant for it
        )
    assert starter.stdin
    with contextlib.suppress(BrokenPipeError):
        starter.stdin.write(json.dumps(circumstances).encode() + b"\n")
        starter.stdin.flush()
    return starter
