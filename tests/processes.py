"""What tests ask of processes by their id."""

from __future__ import annotations

from pathlib import Path


def alive(pid: int) -> bool:
    """A zombie counts as gone: in a container nobody may reap what has lost its parent."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
