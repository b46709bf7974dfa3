"""What a busy desk has lying around: a registry of many versions or pairs, jobs with long logs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.heartbeat import HOST
from core.jobdir import JobDir, JobSpec

LINE = b"2026-11-23 14:%02d:%02d INFO  step %d/980 loss 0.4%03d lr 1.6e-04 tokens/s 15300 mem 61.2 GiB\n"


def versions(registry: Path, count: int) -> None:
    """A registry of `count` versions, every twentieth with an evaluation, four of them promoted."""
    from benchmarks.registry import CONFIG, REPRODUCIBILITY
    from core.registry import evaluations, open_registry, snapshots
    from core.registry import versions as kept
    from core.snapshots import freeze
    from tests.core.conftest import make_pair, make_scores

    with open_registry(registry, operator="bench") as reg:
        reg.execute("PRAGMA synchronous = OFF")
        pairs = [make_pair(n) for n in range(236)]
        snapshot = freeze(pairs)
        snapshots.save(reg, snapshot, pairs)
        measured = []
        with reg.writing():
            for n in range(count):
                name = kept.register(
                    reg,
                    base_model="mistral-7b",
                    dataset_version=snapshot.id,
                    training_config=CONFIG,
                    reproducibility=REPRODUCIBILITY,
                ).model_version
                if n % 20 == 0:
                    evaluations.save(reg, name, make_scores())
                    measured.append(name)
        for n, name in enumerate(measured[-4:]):
            kept.promote(reg, name, kept.ENVIRONMENTS[n % 2], "bench", "why", "GO")
        reg.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def pairs(registry: Path, file: Path, count: int) -> None:
    """A registry with one snapshot of `count` pairs, indexed for search."""
    from benchmarks.search import rows
    from core.pairs import Reading
    from core.registry import open_registry, snapshots

    with open(file, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows(count))
    with open_registry(registry, operator="bench") as reg:
        reg.execute("PRAGMA synchronous = OFF")
        snapshots.freeze(reg, Reading(file))
        reg.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.unlink()


def job(state: Path, name: str, *, running: bool = True) -> JobDir:
    """An empty training in the mirror of the desk's host."""
    made = JobDir(state / "mirror" / HOST / name)
    made.create(JobSpec(id=name, routine="train", command=["true"], host=HOST))
    now = time.time()
    told = {"status": "running" if running else "succeeded", "submitted_at": now, "started_at": now}
    if not running:
        told |= {"ended_at": now + 1, "exit_code": 0}
    made.state_path.write_text(json.dumps(told))
    made.output.touch()
    made.events.touch()
    return made


def log(path: Path, size: int, rare: bytes = b"") -> None:
    """A log of `size` bytes; `rare` once, in a line of its own at 37 % of it."""
    block = b"".join(LINE % (n // 60 % 60, n % 60, n, n % 1000) for n in range(10_000))
    with open(path, "wb") as out:
        written = 0
        while written < size:
            if rare and written > size * 0.37:
                out.write(b"2026-11-23 14:30:00 INFO  " + rare + b"\n")
                rare = b""
            part = block[: size - written]
            out.write(part)
            written += len(part)
        out.write(b"\nlast line\n")


def loss(step: int) -> float:
    return 0.35 + 4.1 * math.exp(-step / 6000) + 0.06 * math.sin(step * 1.7)


def metric(step: int, steps: int) -> dict[str, Any]:
    """One training step as the trainer tells it."""
    return {
        "t": round(time.time(), 3), "kind": "metric", "step": step, "max_steps": steps,
        "epoch": round(step / steps * 3, 4), "loss": round(loss(step), 4), "lr": 1.6e-4,
        "tokens_per_s": 15300.0, "eta_s": float(steps - step), "memory_bytes": 65_000_000_000,
    }  # fmt: skip


def metrics(steps: int) -> Iterator[bytes]:
    for step in range(1, steps + 1):
        yield json.dumps(metric(step, steps)).encode() + b"\n"
