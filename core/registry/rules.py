"""The rules of a release, from configs/release.yaml: who must agree, and what comes before what."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from core import locations
from core.settings import Settings, load


class Approvers(Settings):
    """How many other operators must approve a promotion, by environment."""

    staging: int = Field(0, ge=0, le=2)
    production: int = Field(0, ge=0, le=2)


class Rules(Settings):
    """The defaults are those of a pilot with one operator."""

    approvers: Approvers = Approvers()  # type: ignore[call-arg]
    production_needs_staging: bool = True
    rollback_window_h: float = Field(24.0, ge=0, le=24 * 365)
    smoke_questions: int = Field(20, ge=0, le=1000)

    @property
    def window_s(self) -> float:
        return self.rollback_window_h * 3600

    def approvals_needed(self, environment: str) -> int:
        return int(getattr(self.approvers, environment, 0))


def load_rules(path: Path | None = None) -> Rules:
    """The rules of a YAML file; configs/release.yaml if none is given. Raises SettingsError."""
    return load(path or locations.configs() / "release.yaml", Rules)
