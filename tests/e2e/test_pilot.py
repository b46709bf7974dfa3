"""The whole pilot as an operator runs it: `qa pilot`, then what it left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Qa

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pilot")]


def test_the_pilot_trains_measures_releases_and_rolls_back(
    qa: Qa, small_golden: Path, tmp_path: Path
) -> None:
    done = qa("pilot", "--recipe", "tiny", "--golden", str(small_golden), timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for week in ("Week 1", "Week 2", "Week 3", "Week 4"):
        assert week in done.stdout
    assert done.stdout.count("weak areas:") == done.stdout.count("Add more training data")
    assert "NO-GO" in done.stdout  # two random layers know nothing, and the page says so
    last = done.stdout.strip().splitlines()[-1]
    assert "access-qa-v1.0.0.md" in last and str(tmp_path / "registry.db") in last

    versions = {v["model_version"]: v for v in json.loads(qa("versions", "list", "--json").stdout)}
    assert set(versions) == {"access-qa-v1.0.0", "access-qa-v1.0.1"}  # under 10 % new pairs: patch
    assert versions["access-qa-v1.0.0"]["live_in"] == ["staging"]

    history = json.loads(qa("versions", "history", "--json").stdout)
    assert [(h["action"], h["to_version"]) for h in reversed(history)] == [
        ("promotion", "access-qa-v1.0.0"),
        ("promotion", "access-qa-v1.0.1"),
        ("rollback", "access-qa-v1.0.0"),
    ]
    assert all(h["override"] for h in history if h["action"] == "promotion")

    scores = json.loads(qa("versions", "show", "access-qa-v1.0.1").stdout)["scores"]
    systems = ["base", "retrieval", "base+retrieval", "previous", "tuned"]
    assert sorted(scores["systems"]) == sorted(systems)
    assert {m["accuracy"]["n"] for m in scores["systems"].values()} == {17}  # the same items
    assert scores["probe_set"]["n"] > 0
    # the base model was asked once; yesterday's tuned version is today's previous one
    asked = scores["about"]["systems"]
    n = 17 + scores["probe_set"]["n"]
    assert asked["base"]["reused"] == asked["previous"]["reused"] == n > asked["tuned"]["reused"]

    for name in systems:
        args = ("eval", "show", "access-qa-v1.0.1", scores["questions"][0]["id"], "--json")
        evidence = json.loads(qa(*args).stdout)
        row = evidence["systems"][name]
        assert len(evidence["nearest"]) == 3
        assert row["latency_s"] is not None or row["seconds"] > 0
        assert {"answer", "grade", "markers", "matched", "missing", "confabulated"} <= set(row)
        if name != "retrieval":
            assert row["prompt"] and row["raw"] and row["prompt_tokens"] > 5 and row["tokens"]
    compared = json.loads(
        qa("eval", "compare", "access-qa-v1.0.0", "access-qa-v1.0.1", "--json").stdout
    )
    assert compared["n"] == 17 and set(compared["flips"]) == {
        "regressions", "improvements", "severe", "invented"
    }  # fmt: skip

    states = {i["id"]: i["state"] for i in json.loads(qa("checklist", "list", "--json").stdout)}
    assert len(states) == 16 and "open" not in states.values()
    assert states["full-training"] == "done" and states["go-no-go"] == "failed"

    assert "unbroken" in qa("audit", "verify").stdout
    exported = json.loads(qa("versions", "export").stdout)
    assert "access-qa-v1.0.0" in json.dumps(exported)
    refused = qa("versions", "promote", "access-qa-v1.0.1", "--to", "production",
                 "--confirm", "access-qa-v1.0.1")  # fmt: skip
    assert refused.returncode == 5 and "NO-GO" in refused.stderr
