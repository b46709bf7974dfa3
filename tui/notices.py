"""Every notice of the app, kept: in memory for this session, in a file for the next ones.

A notice is gone from the corner after seconds; here it stays, in full.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core import locations
from tui import clean

MOST = 20_000  # characters of one notice
ROTATE = 1_000_000  # bytes; then the file becomes the one before it
SHOWN = 2_000  # notices of the files


@dataclass(frozen=True, slots=True)
class Notice:
    """at: Unix seconds.  severity: information, warning or error.  where: the screen it came up on."""

    at: float
    severity: str
    title: str
    text: str
    where: str = ""


class Notices:
    """file: None keeps nothing beyond this session."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.session: list[Notice] = []

    def add(self, notice: Notice) -> None:
        """Cleaned, cut at 20,000 characters; a full disk loses the file's line, never the session's."""
        notice = Notice(
            notice.at,
            notice.severity,
            clean.line(notice.title, 200),
            clean.block(notice.text, 4000, 400)[:MOST],
            notice.where,
        )
        self.session.append(notice)
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._append(self._file, notice)

    @staticmethod
    def _append(file: Path, notice: Notice) -> None:
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_size > ROTATE:
                file.replace(file.with_suffix(".1.jsonl"))
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(file, "a", encoding="utf-8", errors="replace", opener=_private) as out:
            out.write(json.dumps(asdict(notice), ensure_ascii=False) + "\n")

    def earlier(self) -> Sequence[Notice]:
        """Of sessions before this one, oldest first. Reads the files: for a thread."""
        if self._file is None:
            return ()
        lines: list[str] = []
        for file in (self._file.with_suffix(".1.jsonl"), self._file):
            with contextlib.suppress(OSError):
                lines += file.read_text("utf-8", "replace").splitlines()
        found = [n for n in map(_read, lines) if n is not None]
        mine = {(n.at, n.text) for n in self.session}
        return [n for n in found if (n.at, n.text) not in mine][-SHOWN:]


def file() -> Path:
    return locations.state_dir() / "notices.jsonl"


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)


def _read(line: str) -> Notice | None:
    """A line of the file; None where it was cut short or is not ours."""
    try:
        d = json.loads(line)
        at = float(d["at"])
        time.localtime(at)
        said = [clean.line(d.get(k, ""), 200) for k in ("severity", "title", "where")]
        return Notice(at, said[0], said[1], clean.block(d["text"], 4000, 400)[:MOST], said[2])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        return None
