"""Checkpoints that can be trusted: sealed when whole, refused when torn or of another run. Light."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.jobdir import write_atomic

SEAL = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def fingerprint(recipe: dict[str, Any], data_sha256: str, base_sha256: str) -> str:
    """What a run is: a checkpoint of another one must not be resumed from."""
    text = json.dumps([recipe, data_sha256, base_sha256], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def seal(path: Path, run: str) -> None:
    """Written last: names every file with its size and hash, so a torn checkpoint has none or a wrong
    one. The files are on the disk by then, not only on their way to it.
    """
    files = {f.relative_to(path).as_posix(): f for f in sorted(path.rglob("*")) if f.is_file()}
    files.pop(SEAL, None)
    for file in files.values():
        with open(file, "rb") as f:
            os.fsync(f.fileno())
    made = {
        "run": run,
        "files": {name: f.stat().st_size for name, f in files.items()},
        "sha256": {name: _sha256(f) for name, f in files.items()},
    }
    write_atomic(path / SEAL, json.dumps(made, indent=1).encode())


def fault(path: Path) -> str:
    """ "" if the checkpoint is whole, else what is wrong with it."""
    try:
        made = json.loads((path / SEAL).read_text("utf-8"))
        files, hashes = made["files"], made.get("sha256", {})
    except FileNotFoundError:
        return "it was not finished"
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as e:
        return f"its {SEAL} cannot be read ({type(e).__name__})"
    for name, size in files.items():
        file = path / name
        if not file.is_file() or file.stat().st_size != size:
            return f"{name} is missing or cut short"
        if name in hashes and _sha256(file) != hashes[name]:
            return f"{name} is not what was written"
    return ""


def _sha256(file: Path) -> str:
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def steps(folder: Path) -> list[tuple[int, Path]]:
    """All checkpoints of a folder, newest first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and path.is_dir():
                found.append((int(match.group(1)), path))
    return sorted(found, reverse=True)


def latest(folder: Path, run: str) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint of this run, and notes on those passed over.

    Raises UsageError if the newest whole one belongs to another recipe, data set or base model.
    """
    notes = []
    for _, path in steps(folder):
        wrong = fault(path)
        if wrong:
            notes.append(f"{path.name} is not used: {wrong}")
            continue
        if json.loads((path / SEAL).read_text("utf-8")).get("run") != run:
            raise UsageError(
                f"{path}: the checkpoint belongs to another run",
                why="recipe, training data or base model are not the same as then",
                try_next="start without --resume in an empty directory, or restore the settings",
            )
        return path, notes
    return None, notes
