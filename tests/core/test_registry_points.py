"""Metric points: what goes in comes out, a file that grows is taken once, and they are small."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.registry import Registry, audit, points


def write(path: Path, *events: dict[str, Any], end: str = "\n") -> None:
    with open(path, "a", encoding="utf-8") as f:
        f.write("\n".join(json.dumps(e) for e in events) + end)


def test_in_and_out(reg: Registry) -> None:
    rows = [(key, step, step / 7) for key in ("loss", "lr") for step in range(100)]
    assert points.add(reg, "train-1", reversed(rows)) == 200
    assert points.read(reg, "train-1", "loss") == [(n, n / 7) for n in range(100)]
    assert points.keys(reg, "train-1") == {"loss": 100, "lr": 100}
    points.add(reg, "train-1", [("loss", 5, 9.0)])  # a resumed training repeats a step
    points.add(reg, "train-2", [("loss", 1, math.nan), ("loss", 2, math.inf)])
    assert points.read(reg, "train-1", "loss")[5] == (5, 9.0)
    (_, first), (_, second) = points.read(reg, "train-2", "loss")
    assert math.isnan(first) and second == math.inf
    assert points.runs(reg) == ("train-2", "train-1")
    assert points.read(reg, "train-9", "loss") == points.read(reg, "train-1", "no") == []
    assert audit.verify(reg).rows == 0


@settings(max_examples=30, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(st.tuples(st.text(max_size=3), st.integers(-(2**62), 2**62),
                          st.floats(allow_nan=False)), max_size=40))  # fmt: skip
def test_any_points(reg: Registry, rows: list[tuple[str, int, float]]) -> None:
    reg.execute("BEGIN")
    try:
        points.add(reg, "any", rows)
        wanted = {(k, step): value for k, step, value in rows}
        for key in {k for k, _ in wanted}:
            if key.isalnum():
                found = dict(points.read(reg, "any", key))
                assert found == {s: v for (k, s), v in wanted.items() if k == key}
    finally:
        reg.execute("ROLLBACK")


def test_a_growing_file_is_taken_once(reg: Registry, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert points.take_events(reg, "train-1", path) == 0
    write(path, {"t": 100.0, "kind": "phase", "name": "train"},
          {"t": 101.5, "kind": "metric", "step": 1, "loss": 2.5, "lr": 1e-4, "max_steps": 9})  # fmt: skip
    assert points.take_events(reg, "train-1", path) == 3
    assert points.take_events(reg, "train-1", path) == 0
    assert points.read(reg, "train-1", points.SECONDS) == [(1, 1.5)]
    write(path, {"t": 103.0, "kind": "metric", "step": 2, "loss": 2.0}, {"kind": "met"}, end="")
    assert points.take_events(reg, "train-1", path) == 2  # the last line is not whole yet
    write(path, {}, {"t": 104.0, "kind": "metric", "step": 3, "loss": None, "note": "x"},
          {"t": 105.0, "kind": "metric", "step": True, "loss": 1.0},
          {"t": 105.0, "kind": "metric", "step": 1 << 70, "loss": 1.0},
          {"t": 105.0, "kind": "metric", "step": 4, "loss": 10**400, "lr": False})  # fmt: skip
    points.take_events(reg, "train-1", path)
    assert points.read(reg, "train-1", "loss") == [(1, 2.5), (2, 2.0)]
    assert points.keys(reg, "train-1") == {"loss": 2, "lr": 1, points.SECONDS: 4}


def test_a_host_cannot_flood_it_with_names(reg: Registry) -> None:
    rows = [(f"{n}{'x' * 500}", 1, 1.0) for n in range(5000)]
    assert points.add(reg, "train-1", rows) == points.MAX_KEYS
    assert max(map(len, points.keys(reg, "train-1"))) == points.MAX_NAME


def test_a_point_is_small(reg: Registry) -> None:
    def size() -> int:
        return int(reg.value("SELECT sum(pgsize) FROM dbstat WHERE name = 'points'"))

    before, count = size(), 60_000
    points.add(reg, "train-1", ((f"key {n % 6}", n // 6, math.sin(n)) for n in range(count)))
    assert (size() - before) / count <= 30
