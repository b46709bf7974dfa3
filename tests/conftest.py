"""Fixtures shared by all floors, and the one way to skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported anywhere: tests run side by side, and threads of several processes that wait
# by spinning on the same cores cost minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def require(present: object, what: str) -> None:
    """Skip where `what` is missing on a developer's machine; fail where all must be present (CI)."""
    if present:
        return
    if os.environ.get("QA_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing and QA_REQUIRE_ALL=1")
    pytest.skip(f"needs {what}")


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the operator's registry or state."""
    monkeypatch.setenv("QA_REGISTRY", str(tmp_path / "registry.db"))
    monkeypatch.setenv("QA_STATE", str(tmp_path / "state"))
