"""Finding citation markers: bytes a second on ordinary answers, and the cost on adversarial text."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.figures import Figure, median
from core.citations import scan

RUNS = 5
MEGABYTES_A_SECOND = 50
OPENERS = 10_000
ANSWER = (
    "Delta has 124 CPU nodes and 100 GPU nodes with four A100 GPUs each; you can use it through ACCESS. "
    "Its scratch file system holds six petabytes. <<SRC:compute-resources:delta.ncsa.access-ci.org>>\n\n"
)


def run() -> Iterator[Figure]:
    text = ANSWER * (10_000_000 // len(ANSWER))
    seconds = median([_seconds(text) for _ in range(RUNS)])
    most = len(text) / (MEGABYTES_A_SECOND * 1e6)
    yield Figure(
        "markers in 10 MB of answers", "s", seconds, f"{MEGABYTES_A_SECOND} MB/s", most, 1.0, RUNS
    )
    for name, piece in (
        ("never closed", "<<SRC:a:b "),
        ("nested", "<<SRC:" * 2),
        ("half", "<<SRC:a"),
    ):
        small = median([_seconds(piece * OPENERS) for _ in range(RUNS)])
        large = median([_seconds(piece * OPENERS * 4) for _ in range(RUNS)])
        yield Figure(
            f"4 × {OPENERS:,} openers, {name}",
            "s",
            large,
            "4 × the time of a quarter",
            4 * small,
            1.5,
            RUNS,
        )


def _seconds(text: str) -> float:
    start = time.perf_counter()
    for _ in scan(text):
        pass
    return time.perf_counter() - start
