"""One line of JSON a second: the CPU's figures, and raw nvidia-smi lines where there is a GPU.

The lines of nvidia-smi go through unread; the laptop, which can be mended without touching the
host, parses them by the field names sent beside them.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from typing import Any

WANTED = (
    "index",
    "name",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "power.draw",
    "temperature.gpu",
    "power.limit",
    "clocks.sm",
    "clocks.mem",
    "ecc.errors.uncorrected.volatile.total",
    "clocks_event_reasons.active",
    "clocks_throttle_reasons.active",  # its name before driver 535
)
PROCESSES = ("gpu_uuid", "pid", "process_name", "used_gpu_memory")
PROCESSES_S = 5.0


def gpu_fields(help_text: str) -> list[str]:
    """Those of WANTED this driver knows: one unknown field makes a whole query fail."""
    known = {w.strip('"') for w in help_text.replace(",", " ").split() if w.startswith('"')}
    return [f for f in WANTED if f in known]


class Gpu:
    """A running `nvidia-smi -lms`; `lines` is what it printed last."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.fields: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.buffer = b""
        self.retry_at = 0.0
        self.processes_at = 0.0

    def start(self) -> None:
        smi = shutil.which("nvidia-smi")
        self.retry_at = time.monotonic() + 30.0
        if smi is None:
            return
        try:
            asked = subprocess.run(
                [smi, "--help-query-gpu"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=15,
            )
            self.fields = gpu_fields(asked.stdout.decode("utf-8", "replace"))
            if not self.fields:
                return
            unbuffered = ["stdbuf", "-oL"] if shutil.which("stdbuf") else []
            self.process = subprocess.Popen(
                [
                    *unbuffered,
                    smi,
                    "--query-gpu=" + ",".join(self.fields),
                    "--format=csv,noheader,nounits",
                    "-lms",
                    str(int(self.interval * 1000)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            self.process = None

    def read(self) -> list[str]:
        """Whole lines that came since the last call."""
        if self.process is None:
            if time.monotonic() >= self.retry_at:
                self.start()
            return []
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        while select.select([fd], [], [], 0)[0]:
            data = os.read(fd, 65536)
            if not data:
                self.close()
                break
            self.buffer += data
        *lines, rest = self.buffer.split(b"\n")
        self.buffer = rest[-4096:]
        return [line.decode("utf-8", "replace")[:1000] for line in lines[-64:]]

    def processes(self) -> list[str] | None:
        """Who uses the GPUs, at most every few seconds; None when it is not time or not known."""
        if self.process is None or time.monotonic() < self.processes_at:
            return None
        self.processes_at = time.monotonic() + PROCESSES_S
        try:
            asked = subprocess.run(
                [
                    shutil.which("nvidia-smi") or "nvidia-smi",
                    "--query-compute-apps=" + ",".join(PROCESSES),
                    "--format=csv,noheader,nounits",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=2,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if asked.returncode:
            return None
        return [x[:1000] for x in asked.stdout.decode("utf-8", "replace").splitlines()[:64]]

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def cpu_times() -> tuple[float, float] | None:
    """(busy, total) since boot, in ticks; None where there is no /proc."""
    try:
        with open("/proc/stat") as f:
            ticks = [float(x) for x in f.readline().split()[1:9]]
    except OSError:
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def memory() -> tuple[int | None, int | None]:
    """(used, total) bytes."""
    try:
        with open("/proc/meminfo") as f:
            kib = {k: int(v.split()[0]) for k, _, v in (line.partition(":") for line in f)}
    except OSError:
        try:
            return None, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (OSError, ValueError):
            return None, None
    total = kib["MemTotal"] * 1024
    return total - kib.get("MemAvailable", kib["MemFree"]) * 1024, total


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return os.uname().machine


def main(interval: float) -> None:
    gpu = Gpu(interval)
    name, before = cpu_name(), cpu_times()
    try:
        while True:
            if select.select([0], [], [], interval)[0] and not os.read(0, 4096):
                return
            now = cpu_times()
            load = None
            if now and before and now[1] > before[1]:
                load = (now[0] - before[0]) / (now[1] - before[1])
            before = now
            used, total = memory()
            cpu = {"name": name, "utilisation": load, "memory_used": used, "memory_total": total}
            record: dict[str, Any] = {"at": time.time(), "cpu": cpu}
            lines = gpu.read()
            if lines:
                record.update(fields=gpu.fields, gpu=lines)
                processes = gpu.processes()
                if processes is not None:
                    record.update(processes=processes)
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()
    except (BrokenPipeError, ConnectionError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    finally:
        gpu.close()
