"""`qa --version`."""

from __future__ import annotations

import sys
from importlib.metadata import version


def versions() -> str:
    """Of this program and of what it stands on, one a line."""
    names = ("access-qa-control", "textual", "rich", "paramiko")
    return "\n".join([*(f"{name} {version(name)}" for name in names), f"python {sys.version}"])
