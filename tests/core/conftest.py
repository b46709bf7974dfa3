"""A registry of its own for each test, and small builders of pairs, snapshots and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.pairs import Message, Pair
from core.registry import Registry, evaluations, open_registry, snapshots, versions
from core.snapshots import Snapshot, freeze


def make_pair(n: int, **other: Any) -> Pair:
    fields: dict[str, Any] = {
        "id": f"pair_{n:05}",
        "source": "mcp_extraction",
        "source_ref": "mcp://x",
        "domain": "compute-resources",
        "messages": (
            Message("user", f"question {n}?"),
            Message("assistant", f"answer {n}. <<SRC:compute-resources:r{n}>>"),
        ),
        "metadata": {"has_citation": True},
    }
    return Pair(**(fields | other))


def make_scores(verdict: str = "GO", **more: Any) -> dict[str, Any]:
    def measured(k: int, n: int) -> dict[str, Any]:
        return {"k": k, "n": n, "estimate": k / n, "low": 0.1, "high": 0.9, "verdict": None}

    return {
        "systems": {
            "base": {"accuracy": measured(0, 10)},
            "tuned": {"accuracy": measured(9, 10), "latency_p95": 1.25},
        },
        "gates": [
            {
                "gate": "answer accuracy",
                "metric": "accuracy",
                "target": ">= 0.95",
                "verdict": "PASS" if verdict == "GO" else "FAIL",
                "estimate": 0.9,
                "low": 0.1,
                "high": 0.95,
                "n": 10,
                "n_needed": 73,
                "action": "Add more training data",
                "detail": "",
            }
        ],
        "verdict": verdict,
        "reasons": [] if verdict == "GO" else ["accuracy is 9/10, below 95 %"],
        "golden": {"sha256": "f" * 64, "n": 10},
        **more,
    }


@pytest.fixture
def reg() -> Iterator[Registry]:
    with open_registry(seed=False, operator="tester") as registry:
        yield registry


@pytest.fixture
def stored(reg: Registry) -> Snapshot:
    pairs = [make_pair(n) for n in range(20)]
    snapshot = freeze(pairs, created_at="2026-11-22T10:00:00+00:00")
    snapshots.save(reg, snapshot, pairs)
    return snapshot


Evaluated = Callable[..., str]


@pytest.fixture
def evaluated(reg: Registry, stored: Snapshot) -> Evaluated:
    """Register a version and store its scores; gives its name."""

    def make(verdict: str = "GO", **other: Any) -> str:
        fields: dict[str, Any] = {
            "base_model": "base",
            "dataset_version": stored.id,
            "training_config": {},
        }
        version = versions.register(reg, **(fields | other))
        evaluations.save(reg, version.model_version, make_scores(verdict))
        return version.model_version

    return make
