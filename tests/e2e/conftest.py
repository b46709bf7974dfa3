"""The real desk on the real sandbox, with the tiny random model: seconds instead of minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import base_models, locations

Qa = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    return base_models.fetch("tiny")


@pytest.fixture
def desk_env(tmp_path: Path, tiny_model: Path) -> dict[str, str]:
    """The environment of one operator's desk of its own."""
    return {
        **os.environ,
        "QA_STATE": str(tmp_path / "state"),
        "QA_USER_CONFIG": str(tmp_path / "config"),
        "QA_REGISTRY": str(tmp_path / "registry.db"),
        "QA_MODELS": str(tiny_model.parent),
        "QA_OPERATOR": "tester",
    }


@pytest.fixture
def qa(desk_env: dict[str, str]) -> Qa:
    def run(*args: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tui.cli", *args],
            env=desk_env, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip

    return run


@pytest.fixture
def small_golden(tmp_path: Path) -> Path:
    """Every tenth golden question: all six categories, 17 questions."""
    rows = (locations.configs() / "corpus" / "golden.jsonl").read_text("utf-8").splitlines()
    path = tmp_path / "golden-small.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows[::10]), "utf-8")
    assert len({json.loads(r)["category"] for r in rows[::10]}) == 6
    return path
