"""Fixtures shared by all floors, and the one way to skip."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported anywhere: tests run side by side, and threads of several processes that wait
# by spinning on the same cores cost minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("untimed", deadline=None)  # a crowded machine is no defect
settings.load_profile("untimed")


def require(present: object, what: str) -> None:
    """Skip where `what` is missing on a developer's machine; fail where all must be present (CI)."""
    if present:
        return
    if os.environ.get("QA_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing and QA_REQUIRE_ALL=1")
    pytest.skip(f"needs {what}")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Failed tests are remembered by names that another run finds again.

    xdist's groups add `@group` to the names, and `--last-failed` would then run everything.
    """
    yield
    cache = getattr(session.config, "cache", None)
    if cache is not None and not hasattr(session.config, "workerinput"):
        failed = cache.get("cache/lastfailed", {})
        cache.set("cache/lastfailed", {re.sub(r"@[\w-]+$", "", name): True for name in failed})


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the operator's registry or state."""
    monkeypatch.setenv("QA_REGISTRY", str(tmp_path / "registry.db"))
    monkeypatch.setenv("QA_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("QA_USER_CONFIG", str(tmp_path / "config"))
