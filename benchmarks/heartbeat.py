"""The whole app with a heartbeat: `python -m benchmarks.heartbeat REPORT`, in a pseudo-terminal.

Every 20 ms the event loop is asked how late it is. When the app is left (ctrl+q) the report holds each
beat with its moment, the memory at each second, and what the main thread was doing in long gaps. There
is no route to a host: what jobs write is written by the benchmark into their mirrors. A link under
full load has a benchmark of its own (`stall`).
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

BEAT_S = 0.02
LONG_S = 0.06  # from here on a gap is looked into
HOST = "gh200"


class Heart:
    """Beats in the event loop; a thread looks what holds it up."""

    def __init__(self) -> None:
        self.beats: list[tuple[float, float, float]] = []  # moment, seconds late, CPU seconds since
        self.memory: list[tuple[float, int]] = []  # moment, bytes
        self.held: deque[tuple[float, list[str]]] = deque(maxlen=400)  # moment, the main thread
        self._last = time.perf_counter()
        self._main = threading.main_thread().ident
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._beat())
        threading.Thread(target=self._watch, daemon=True).start()

    async def _beat(self) -> None:
        self._last = second = time.perf_counter()
        used = time.thread_time()
        while True:
            await asyncio.sleep(BEAT_S)
            now, cpu = time.perf_counter(), time.thread_time()
            self.beats.append((now, max(0.0, now - self._last - BEAT_S), cpu - used))
            self._last, used = now, cpu
            if now - second >= 1:
                second = now
                self.memory.append((now, resident()))

    def _watch(self) -> None:
        while True:
            time.sleep(BEAT_S)
            now = time.perf_counter()
            if now - self._last > LONG_S and self._main is not None:
                frame = sys._current_frames().get(self._main)
                self.held.append((now, _where(frame)))

    def report(self) -> dict[str, Any]:
        return {"beats": self.beats, "memory": self.memory, "held": list(self.held)}


def _where(frame: FrameType | None) -> list[str]:
    found = []
    while frame is not None and len(found) < 14:
        found.append(
            f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}"
        )
        frame = frame.f_back
    return found[::-1]


def resident() -> int:
    """Bytes of this process that lie in memory and are its own."""
    words = Path("/proc/self/statm").read_text().split()
    return (int(words[1]) - int(words[2])) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Beats:
    """What a report says of the time from `since` to `until` (perf_counter, the same in every
    process of the machine). cpu: of the main thread from beat to beat, whatever else the machine does."""

    late: list[float]
    cpu: list[float]
    memory: list[int]
    held: list[tuple[float, list[str]]]

    @classmethod
    def read(cls, report: Path, since: float, until: float) -> Beats:
        told = json.loads(report.read_text())
        within: dict[str, list[Any]] = {
            name: [row for row in rows if since <= row[0] <= until] for name, rows in told.items()
        }
        late, cpu = [row[1] for row in within["beats"]], [row[2] for row in within["beats"]]
        held = [(at, list(where)) for at, where in within["held"]]
        return cls(late, cpu, [size for _, size in within["memory"]], held)

    def tell(self, name: str) -> None:
        """On stderr: where the main thread was in gaps too long to be overlooked."""
        worst = max(self.late, default=0.0)
        if worst > 0.1:
            own = max(self.cpu) * 1000
            print(f"{name}: late by {worst * 1000:.0f} ms, own CPU {own:.0f} ms", file=sys.stderr)
            for _, where in self.held[:12]:
                print("   ", " > ".join(where[-6:]), file=sys.stderr)


def argv(report: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.heartbeat", str(report)]


class Gauges:
    """A host whose figures come `rate` times a second; stands for a Carrier and for its stream."""

    alive = True

    def __init__(self, rate: float) -> None:
        self._pause = 1 / rate
        self._told = 0

    def agent(self, *args: str) -> Gauges:
        return self

    def recv(self) -> bytes:
        time.sleep(self._pause)
        self._told += 1
        busy = 90 + self._told % 10
        gpu = f"0, NVIDIA GH200 480GB, {busy}, 61200, 97871, 512.3, {60 + self._told % 7}"
        names = ["index", "name", "utilization.gpu", "memory.used", "memory.total", "power.draw"]
        record = {"fields": [*names, "temperature.gpu"], "gpu": [gpu], "processes": []}
        return json.dumps(record).encode() + b"\n"

    def close(self) -> None:
        self.alive = False


def main(args: Sequence[str]) -> None:
    gc.disable()  # as `qa app` does, and the frames too
    os.environ.setdefault("TEXTUAL_FPS", "120")
    from tui import preferences
    from tui.app import ControlCentre
    from tui.desk.workbench import Workbench

    heart = Heart()

    class Beating(ControlCentre):
        def action_reconnect(self) -> None:
            """Nobody is there."""

        def on_ready(self) -> None:
            heart.start()

    desk = Workbench(HOST)
    if rate := float(os.environ.get("QA_BENCH_GAUGES", "0")):
        from remote.readings import Readings

        desk.line._readings = Readings(Gauges(rate)).start()  # type: ignore[arg-type]
    try:
        Beating(desk, preferences=preferences.load()).run()
    finally:
        Path(args[0]).write_text(json.dumps(heart.report()))
        desk.close()


if __name__ == "__main__":
    main(sys.argv[1:])
