"""What a base model's directory says of itself: every file with its size and hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from core.jobdir import write_atomic

MANIFEST = "manifest.json"
FORM = 2  # counted up when make_model makes something else; an older one is made anew


def manifest(path: Path) -> dict[str, Any]:
    """The manifest of a model directory; {} where there is none."""
    file = path / MANIFEST
    if not file.exists():
        return {}
    data = json.loads(file.read_text("utf-8"))
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def write_manifest(path: Path, **about: Any) -> None:
    """Record size and sha256 of every file in `path`, together with `about`."""
    files = {
        f.name: {"bytes": f.stat().st_size, "sha256": sha256(f)}
        for f in sorted(path.iterdir())
        if f.is_file() and f.name != MANIFEST
    }
    text = json.dumps({**about, "form": FORM, "files": files}, indent=1, ensure_ascii=False)
    write_atomic(path / MANIFEST, text.encode())


def sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
