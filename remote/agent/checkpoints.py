"""Which checkpoints of a job are whole, told by sizes alone: the job itself looks closer."""

from __future__ import annotations

import json
import os
import re
from typing import Any

SEAL = "complete.json"  # written last; names every file with its size
_NAME = re.compile(r"checkpoint-(\d{1,12})\Z")


def whole(folder: str) -> list[dict[str, Any]]:
    """[{name, step}], newest first; [] where there is no such folder."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for name in names:
        match = _NAME.match(name)
        if match and _is_whole(os.path.join(folder, name)):
            found.append({"name": name, "step": int(match.group(1))})
    return sorted(found, key=lambda c: -c["step"])


def _is_whole(path: str) -> bool:
    try:
        with open(os.path.join(path, SEAL), "rb") as f:
            files = json.loads(f.read(1 << 20))["files"]
        return all(os.stat(os.path.join(path, n)).st_size == size for n, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
