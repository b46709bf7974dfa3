"""A job's events and log in a few words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.jobdir import JobDir


class Progress:
    """Turns a job's events into a few lines for a person: a phase each, then about every tenth (`parts`)."""

    def __init__(self, parts: int = 10) -> None:
        self._parts = parts
        self._told: set[tuple[Any, int]] = set()

    def line(self, event: dict[str, Any]) -> str | None:
        kind = event["kind"]
        if kind == "phase":
            return f"· {event.get('name')}"
        if kind == "warning":
            return f"▲ {event.get('text')}"
        if kind == "metric":
            return self._share(
                "train",
                event.get("step"),
                event.get("max_steps"),
                f"step {event.get('step')}/{event.get('max_steps')}  loss {_number(event.get('loss'))}"
                f"  lr {_number(event.get('lr'))}  {_number(event.get('tokens_per_s'))} tokens/s"
                f"  ETA {clock(event.get('eta_s'))}",
            )
        if kind == "progress":
            what, done, total = event.get("what"), event.get("done"), event.get("total")
            if not done:
                return None
            return self._share(what, done, total, f"{what}: {done}/{total} answered")
        return None

    def _share(self, what: Any, done: Any, total: Any, line: str) -> str | None:
        if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
            return None
        now = (what, int(self._parts * done / total))
        if now in self._told:
            return None
        self._told.add(now)
        return line


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "–"


def clock(seconds: Any) -> str:
    """65 → "1:05"; not a number → "–"."""
    if not isinstance(seconds, (int, float)) or not seconds >= 0:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes}:{rest:02d}"
        if minutes < 60
        else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    )


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log, read from its last 16 KiB."""
    try:
        with open(path, "rb") as f:
            f.seek(0, 2)
            f.seek(max(0, f.tell() - 16384))
            return f.read().decode("utf-8", "replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def newest_progress(job: JobDir) -> tuple[float | None, float | None]:
    """Share done (0..1) and seconds left, from the newest counting event in the last 16 KiB."""
    for line in reversed(last_lines(job.events, 40)):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict):
            continue
        done, total = (
            event.get("step", event.get("done")),
            event.get("max_steps", event.get("total")),
        )
        if isinstance(done, (int, float)) and isinstance(total, (int, float)) and total > 0:
            eta = event.get("eta_s")
            return min(1.0, done / total), eta if isinstance(eta, (int, float)) else None
    return None, None
