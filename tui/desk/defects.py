"""Unexpected errors leave their trace in a file, never on the terminal that the screens draw on."""

from __future__ import annotations

import contextlib
import time
import traceback
from pathlib import Path

from core import locations


def record(error: BaseException) -> Path:
    """Append the trace to errors.log of the state folder; returns its path. Never raises OSError."""
    path = locations.state_dir() / "errors.log"
    trace = "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{trace}\n")
    return path
