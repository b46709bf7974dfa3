"""The app while a job on a host prints 500,000 lines a second: how long does it ever not answer?

The whole of it in one process, as operators have it: two SSH hops, the mirror, the log view that
follows, the status strip. A heartbeat every 20 ms measures how late the event loop is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.link import RATE, WRITER
from core.jobdir import JobSpec
from tests.openssh import OpenSSHPair
from tests.remote.conftest import end_jobs

BEAT_S = 0.02
LIMIT_S = 0.05
SECONDS = 4


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        os.environ |= {"QA_STATE": f"{tmp}/state", "QA_REGISTRY": f"{tmp}/registry.db"}
        with OpenSSHPair(Path(tmp) / "pair") as pair:
            try:
                gaps = asyncio.run(_beats(pair))
            finally:
                end_jobs(Path(pair.host.workdir))
    gaps.sort()
    p99 = gaps[int(len(gaps) * 0.99)]
    yield Figure(f"app late at {RATE:,} lines/s, p99", "s", p99, "limit", LIMIT_S, 1.0, len(gaps))
    yield Figure(
        f"app late at {RATE:,} lines/s, worst", "s", gaps[-1], "limit", LIMIT_S, 1.0, len(gaps)
    )


async def _beats(pair: OpenSSHPair) -> list[float]:
    from tui.app import ControlCentre
    from tui.desk.workbench import Workbench

    desk = Workbench("gh200")
    desk.line._host = pair.host
    app = ControlCentre(desk)
    gaps: list[float] = []
    async with app.run_test(size=(120, 40)) as pilot:
        while desk.link().state != "up":
            await pilot.pause(0.05)
        spec = JobSpec(
            id="train-stall",
            routine="train",
            command=[sys.executable, "-I", "-S", "-c", WRITER, str(RATE), str(SECONDS)],
            settings={"smoke": True},
            host="gh200",
        )
        await asyncio.to_thread(lambda: desk.launching.submit(spec))
        await pilot.press("3")
        await app.open_job("train-stall")
        await pilot.pause(1.5)
        job = Path(pair.host.workdir) / "jobs" / "train-stall"
        total = RATE * SECONDS * 100
        (job / "go").touch()
        here = desk.job_dir("train-stall").output
        last = time.perf_counter()
        while not here.exists() or here.stat().st_size < total:
            await asyncio.sleep(BEAT_S)
            now = time.perf_counter()
            gaps.append(max(0.0, now - last - BEAT_S))
            last = now
        (job / "end").touch()
    desk.close()
    return gaps
