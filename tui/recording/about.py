"""What a recording holds, without showing it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tui.recording import tape


def about(path: Path) -> dict[str, Any]:
    """host, began (ISO 8601), seconds, answers, jobs, bytes of logs. Raises UsageError."""
    head, entries = tape.read(path)
    answers = size = 0
    last = 0.0
    jobs: set[str] = set()
    for entry in entries:
        at = entry.get("t")
        last = max(last, at) if isinstance(at, int | float) else last
        if "call" in entry:
            answers += 1
        elif isinstance(entry.get("file"), str):
            jobs.add(entry["file"].partition("/")[0])
            size += len(str(entry.get("data"))) * 4 // 5
    began = head.get("began")
    when = datetime.fromtimestamp(began, UTC) if isinstance(began, int | float) else None
    return {
        "host": str(head.get("host") or ""),
        "began": when.isoformat(timespec="seconds") if when else None,
        "seconds": round(last, 1),
        "answers": answers,
        "jobs": sorted(jobs),
        "log_bytes": size,
    }
