"""The app while a job on a host prints 500,000 lines a second: how long does it ever not answer?

As operators have it: a link process decrypts two SSH hops, the app mirrors the log, follows it in the
log view and draws the status strip. A heartbeat every 20 ms measures how late the event loop is. Writer,
two sshd, link process and app share this machine's cores, as at work they do not: the second pair of
figures is the app's own part in it, what its main thread computed from one beat to the next.
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
                beats = asyncio.run(_beats(pair))
            finally:
                end_jobs(Path(pair.host.workdir))
    shared = f"writer, 2 sshd, link and app on {os.cpu_count()} cores"
    for what, values in (
        (f"app late at {RATE:,} lines/s ({shared})", sorted(late for late, _ in beats)),
        (f"app's own CPU between beats at {RATE:,} lines/s", sorted(cpu for _, cpu in beats)),
    ):
        p99 = values[int(len(values) * 0.99)]
        yield Figure(f"{what}, p99", "s", p99, "limit", LIMIT_S, 1.0, len(values))
        yield Figure(f"{what}, worst", "s", values[-1], "limit", LIMIT_S, 1.0, len(values))


async def _beats(pair: OpenSSHPair) -> list[tuple[float, float]]:
    """(how late, CPU of the app's main thread) of each, in seconds."""
    from tui.app import ControlCentre
    from tui.desk.workbench import Workbench

    desk = Workbench("gh200")
    desk.line._host = pair.host
    app = ControlCentre(desk)
    beats: list[tuple[float, float]] = []
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
        last, used = time.perf_counter(), time.thread_time()
        while not here.exists() or here.stat().st_size < total:
            await asyncio.sleep(BEAT_S)
            now, cpu = time.perf_counter(), time.thread_time()
            beats.append((max(0.0, now - last - BEAT_S), cpu - used))
            last, used = now, cpu
        (job / "end").touch()
    desk.close()
    return beats
