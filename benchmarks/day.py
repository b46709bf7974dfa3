"""Eight hours of a running job in a minute and a half: what the app's memory grows by, and whether it ever
does not answer.

The job writes as a trainer does: a line of log each second, a step each three seconds, a probe each half
hour, a warning now and then; the host tells its load each second. All of it comes 320 times as fast.
Meanwhile the operator goes through all the screens, again and again. What the app does by the clock (it asks
for jobs and for the registry once a second) it does as often as in the time that really passes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import heartbeat, stores
from benchmarks.figures import Figure
from benchmarks.heartbeat import Beats
from benchmarks.terminal import Terminal, of_its_own, rank

HOURS = 8.0
SECONDS = float(os.environ.get("QA_BENCH_DAY_S", "90"))
GROWTH = 20e6  # bytes
STALL_S = 0.1
SCREENS = b"124567893"


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        report = folder / "report.json"
        stores.versions(folder / "registry.db", 200)
        job = stores.job(folder / "state", "train-20261123-080000-day")
        rate = HOURS * 3600 / SECONDS
        env = {**of_its_own(folder), "QA_BENCH_GAUGES": str(rate)}
        with Terminal(heartbeat.argv(report), env) as terminal:
            terminal.until(b"Pilot")
            terminal.drain(2.0)
            writer = subprocess.Popen(_writer(job.path, rate), cwd=Path(__file__).parents[1])
            try:
                _round(terminal)  # each screen is made at the first look
                terminal.drain(5.0)
                since = time.perf_counter()
                while writer.poll() is None:
                    terminal.drain(2.0)
                    _round(terminal)
            finally:
                writer.kill()
                writer.wait()
            terminal.drain(3.0)
            until = time.perf_counter()
            terminal.leave()
        steps = sum(b'"metric"' in line for line in job.events.read_bytes().splitlines())
        beats = Beats.read(report, since, until)
    beats.tell("the day")
    path = " ".join(
        f"{size / 1e6:.0f}" for size in beats.memory[:: max(1, len(beats.memory) // 20)]
    )
    print(f"the day: memory in MB {path}", file=sys.stderr)
    grown = rank(beats.memory[-5:], 0.5) - rank(beats.memory[:5], 0.5)
    took = f"{HOURS:.0f} h of a job in {SECONDS:.0f} s"
    yield Figure(f"memory grown by, {took}", "MB", grown / 1e6, "limit", GROWTH / 1e6, 1.0, steps)
    late, n = beats.late, len(beats.late)
    yield Figure(f"late p99, {took}", "s", rank(late, 0.99), "limit", 0.05, 1.0, n)
    yield Figure(f"longest stall, {took}", "s", max(late), "limit", STALL_S, 1.0, n)
    yield Figure(f"most CPU in a beat, {took}", "s", max(beats.cpu), "limit", STALL_S, 1.0, n)


def _round(terminal: Terminal) -> None:
    """Through all screens, and back to the job."""
    for key in SCREENS:
        terminal.press(bytes([key]))
        terminal.drain(0.4)
        if b"That did not work" in terminal.seen:
            raise RuntimeError(f"screen {chr(key)} shows a dialog: no key reaches it any more")


def _writer(job: Path, rate: float) -> list[str]:
    return [sys.executable, "-m", "benchmarks.day", str(job), str(rate)]


def write(job: Path, rate: float) -> None:
    """What a training of HOURS writes, second by second, `rate` of its seconds in one."""
    seconds = int(HOURS * 3600)
    begun = time.perf_counter()
    with open(job / "output.log", "ab", 0) as log, open(job / "events.jsonl", "ab", 0) as told:

        def tell(kind: str, **values: object) -> None:
            record = {"t": round(time.time(), 3), "kind": kind, **values}
            told.write(json.dumps(record).encode() + b"\n")

        tell("phase", name="train")
        for second in range(1, seconds + 1):
            log.write(stores.LINE % (second // 60 % 60, second % 60, second // 3, second % 1000))
            if second % 3 == 0:
                step = second // 3
                told.write(json.dumps(stores.metric(step, seconds // 3)).encode() + b"\n")
            if second % 1800 == 0:
                shares = {"k": second // 400, "n": 80, "estimate": second / 400 / 80}
                tell("probe", step=second // 3, epoch=1, recall=shares, fabricated=shares)
                tell("checkpoint", step=second // 3, path="artifacts/checkpoints/last")
            if second % 600 == 0:
                tell("warning", text=f"gradient norm 12.{second} at step {second // 3}")
            time.sleep(max(0.0, begun + second / rate - time.perf_counter()))


if __name__ == "__main__":
    write(Path(sys.argv[1]), float(sys.argv[2]))
