"""What a check found, before it is stored as evidence."""

from __future__ import annotations

from dataclasses import dataclass

from tui.desk.api import Outcome


@dataclass(frozen=True, slots=True)
class Found:
    outcome: Outcome
    summary: str
    detail: str = ""
    job_id: str | None = None
