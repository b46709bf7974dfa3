"""The registry at 10,000 versions, against fixed limits and against MLflow's registry on SQLite.

Both write on the same disk with every commit durable. QA_BENCH_MLFLOW names a Python that has
mlflow; without it MLflow's column is left out, and said so.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, median
from core.registry import (
    Registry,
    comparing,
    evaluations,
    open_registry,
    points,
    snapshots,
    versions,
)
from core.snapshots import freeze
from tests.core.conftest import make_pair, make_scores

VERSIONS = int(os.environ.get("QA_BENCH_VERSIONS", "10000"))
WRITES, READS = 300, 200
POINTS = 1_000_000
CONFIG: dict[str, Any] = {
    "model": {"base": "mistral-7b", "architecture": "dense"},
    "lora": {"r": 64, "alpha": 128, "dropout": 0.05, "targets": ["all-linear"]},
    "train": {f"setting_{n}": n / 7 for n in range(24)},
}
REPRODUCIBILITY = {f"field_{n}": f"{n:064}" for n in range(12)}


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        with open_registry(Path(tmp) / "registry.db", seed=False, operator="bench") as reg:
            ours = _ours(reg)
            ours |= _points(Path(tmp) / "points.db")
        _tell_of_the_disk(Path(tmp), ours)
        peer = _mlflow(Path(tmp))
    yield from _against_limits(ours)
    if peer is not None:
        yield from _against_mlflow(ours, peer)


def _against_limits(ours: dict[str, list[float]]) -> Iterator[Figure]:
    for name, key, share, limit in (
        ("register p50", "register", 0.5, 1e-3),
        ("promote p50", "promote", 0.5, 1e-3),
        ("promote p95", "promote", 0.95, 5e-3),
        ("newest 100 p50", "newest", 0.5, 1e-3),
        ("compare two p50", "compare", 0.5, 1e-3),
    ):
        values = ours[key]
        yield Figure(name, "s", _rank(values, share), "limit", limit, 1.0, len(values))
    rate, size = median(ours["point"]), ours["bytes"][0]
    yield Figure("metric point", "s", rate, "limit (150,000 a second)", 1 / 150_000, 1.0, POINTS)
    yield Figure("metric point", "bytes", size, "limit", 30.0, 1.0, POINTS)


def _against_mlflow(ours: dict[str, list[float]], peer: dict[str, list[float]]) -> Iterator[Figure]:
    for name, key, share, goal in (
        ("promote p50", "promote", 0.5, 0.01),
        ("register p50", "register", 0.5, 1.0),
        ("newest 100 p50", "newest", 0.5, 1.0),
        ("compare two p50", "compare", 0.5, 1.0),
        ("metric point", "point", 0.5, 1.0),
    ):
        theirs = _rank(peer[key], share)
        n = min(len(ours[key]), len(peer[key]))
        yield Figure(name, "s", _rank(ours[key], share), "MLflow on SQLite", theirs, goal, n)
    theirs = peer["bytes"][0]
    yield Figure("metric point", "bytes", ours["bytes"][0], "MLflow on SQLite", theirs, 1.0, 1)


def _ours(reg: Registry) -> dict[str, list[float]]:
    pairs = [make_pair(n) for n in range(236)]
    snapshot = freeze(pairs)
    snapshots.save(reg, snapshot, pairs)

    def register() -> versions.Version:
        return versions.register(
            reg, base_model="mistral-7b", dataset_version=snapshot.id, training_config=CONFIG,
            reproducibility=REPRODUCIBILITY,
        )  # fmt: skip

    reg.execute("PRAGMA synchronous = OFF")  # only while it is filled
    names = []
    for n in range(VERSIONS):
        names.append(register().model_version)
        if n % 20 == 0:
            evaluations.save(reg, names[-1], make_scores())
    ready = names[::20]
    reg.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    reg.execute("PRAGMA synchronous = FULL")

    def promote(n: int) -> None:
        environment = versions.ENVIRONMENTS[n % 2]
        versions.promote(reg, ready[n % len(ready)], environment, "bench", "why", "GO")

    pick = random.Random(1)
    two = [pick.sample(names, 2) for _ in range(READS)]
    return {
        "register": [_seconds(register) for _ in range(WRITES)],
        "promote": [_seconds(partial(promote, n)) for n in range(WRITES)],
        "newest": [_seconds(partial(versions.list, reg, limit=100)) for _ in range(READS)],
        "compare": [_seconds(partial(comparing.compare, reg, a, b)) for a, b in two],
    }


def _points(path: Path) -> dict[str, list[float]]:
    """Ten keys over a long training, taken in as they come: 1,000 steps at a time."""
    with open_registry(path, seed=False) as reg:
        value = random.Random(1)
        steps = POINTS // 10
        took = []
        for start in range(0, steps, 1000):
            rows = [
                (f"key {k}", step, value.random())
                for step in range(start, min(steps, start + 1000)) for k in range(10)
            ]  # fmt: skip
            took.append(_seconds(partial(points.add, reg, "train", rows)) / len(rows))
        size = reg.value("SELECT sum(pgsize) FROM dbstat WHERE name = 'points'")
    return {"point": took, "bytes": [size / POINTS]}


def _tell_of_the_disk(folder: Path, ours: dict[str, list[float]]) -> None:
    """No durable write is faster than the disk: what one costs here and now, for the reader."""
    with open(folder / "bare", "wb", buffering=0) as f:

        def write() -> None:
            f.write(bytes(48 << 10))
            os.fdatasync(f.fileno())

        bare = [_seconds(write) for _ in range(WRITES)]
    words = [f"{n} {_rank(ours[n], 0.5) * 1e3:.2f} ms" for n in ("register", "promote")]
    print(
        f"a bare durable write of 48 KiB on this disk: p50 {_rank(bare, 0.5) * 1e3:.2f} ms,"
        f" p95 {_rank(bare, 0.95) * 1e3:.2f} ms ({', '.join(words)})",
        file=sys.stderr,
    )


def _mlflow(folder: Path) -> dict[str, list[float]] | None:
    python = os.environ.get("QA_BENCH_MLFLOW")
    if not python:
        print("QA_BENCH_MLFLOW is not set: without MLflow's column", file=sys.stderr)
        return None
    script = Path(__file__).with_name("registry_mlflow.py")
    argv = [python, str(script), str(folder / "mlflow.db"), str(VERSIONS)]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        print(f"{python} could not run MLflow ({last[0]}): without its column", file=sys.stderr)
        return None
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _rank(values: list[float], share: float) -> float:
    """Nearest-rank percentile."""
    return sorted(values)[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)]
