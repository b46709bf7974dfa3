"""Live figures of the host's accelerators, or of its CPU where there is none."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import QAError
from remote.helper_client import Carrier, Duplex, plain

INTERVAL_S = 1.0
STALE_GPU_S = 5.0  # nvidia-smi hangs on a sick GPU: then the CPU's figures are shown again
RETRY_S = 3.0
MAX_LINE = 1 << 18
MAX_DEVICES = 64
KEPT = 600  # readings of each device: ten minutes at one a second
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """utilisation 0..1; memory in bytes; at: time.time() of its arrival here. None: not known."""

    kind: Literal["gpu", "cpu"]
    name: str
    utilisation: float | None
    memory_used: int | None
    memory_total: int | None
    power_w: float | None = None
    temperature_c: float | None = None
    at: float = 0.0
    index: int = 0
    power_limit_w: float | None = None
    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    ecc_errors: int | None = None  # uncorrected, since the driver was loaded
    throttle: tuple[str, ...] = ()  # why the clocks are held down, in words


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """One process on the GPUs. memory: bytes, or None."""

    pid: int
    name: str
    memory: int | None


# Bits of clocks_event_reasons.active, as the driver's manual names them. What idles, or was asked for by
# an application, is no reason to worry; power capping at full load is ordinary and said all the same.
THROTTLE = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "too hot (software)",
    0x40: "too hot (hardware)",
    0x80: "power brake",
}


def throttle_of(text: object) -> tuple[str, ...]:
    """`0x0000000000000044` → ("power cap", "too hot (hardware)"); () for what is no such number."""
    try:
        bits = int(str(text).strip(), 16)
    except ValueError:
        return ()
    return tuple(word for bit, word in THROTTLE.items() if bits & bit)


def number(text: object) -> float | None:
    """A figure of nvidia-smi; None for `[N/A]`, `[Not Supported]`, `[Unknown Error]` and the like."""
    try:
        value = float(str(text).strip())
    except ValueError:
        return None
    return value if abs(value) < 1e15 else None


def parse_gpu(line: str, fields: Sequence[str], at: float = 0.0) -> Reading | None:
    """One line of `nvidia-smi --format=csv,noheader,nounits`; None unless it has as many fields as
    were asked for. nvidia-smi gives memory in MiB, power in W, utilisation in per cent.
    """
    words = [w.strip() for w in line.rstrip("\r\n").split(", ")]
    if len(words) != len(fields):
        return None
    row = dict(zip(fields, words, strict=True))
    get: Callable[[str], float | None] = lambda name: number(row.get(name))  # noqa: E731
    used, total, busy = get("memory.used"), get("memory.total"), get("utilization.gpu")
    ecc = get("ecc.errors.uncorrected.volatile.total")
    if used is None and total is None and busy is None and "name" not in row:
        return None
    return Reading(
        kind="gpu",
        name=plain(row.get("name", "GPU"), 80),
        utilisation=None if busy is None else min(max(busy / 100, 0.0), 1.0),
        memory_used=None if used is None else int(used * MIB),
        memory_total=None if total is None else int(total * MIB),
        power_w=get("power.draw"),
        temperature_c=get("temperature.gpu"),
        at=at,
        index=int(get("index") or 0),
        power_limit_w=get("power.limit"),
        clock_mhz=get("clocks.sm"),
        memory_clock_mhz=get("clocks.mem"),
        ecc_errors=None if ecc is None else int(ecc),
        throttle=throttle_of(
            row.get("clocks_event_reasons.active", row.get("clocks_throttle_reasons.active"))
        ),
    )


def parse_record(line: bytes, at: float) -> tuple[Reading | None, list[Reading]]:
    """(CPU, GPUs) of one line of the agent; (None, []) of anything else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None, []
    if not isinstance(record, dict):
        return None, []
    cpu = _cpu(record.get("cpu"), at)
    fields, lines = record.get("fields"), record.get("gpu")
    if not isinstance(fields, list) or not isinstance(lines, list):
        return cpu, []
    names = [str(f) for f in fields]
    found = (parse_gpu(str(x), names, at) for x in lines)
    newest = {g.index: g for g in found if g is not None}
    return cpu, [newest[i] for i in sorted(newest)]


def parse_processes(line: bytes) -> tuple[GpuProcess, ...] | None:
    """The processes in one line of the agent; None where it has none to tell."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    lines = record.get("processes") if isinstance(record, dict) else None
    if not isinstance(lines, list):
        return None
    found = []
    for text in lines:
        words = [w.strip() for w in str(text).split(", ")]
        if len(words) < 4 or not words[1].isdigit():
            continue
        memory = number(words[-1])
        name = plain(", ".join(words[2:-1]), 120)  # a path may hold a comma
        found.append(GpuProcess(int(words[1]), name, None if memory is None else int(memory * MIB)))
    return tuple(found)


def _cpu(data: Any, at: float) -> Reading | None:
    if not isinstance(data, dict):
        return None
    busy = number(data.get("utilisation"))
    used, total = number(data.get("memory_used")), number(data.get("memory_total"))
    return Reading(
        kind="cpu",
        name=plain(data.get("name", "CPU"), 80),
        utilisation=None if busy is None else min(max(busy, 0.0), 1.0),
        memory_used=None if used is None else int(used),
        memory_total=None if total is None else int(total),
        at=at,
    )


class Readings:
    """A thread that keeps the newest figures of a route's host; survives cuts of the link."""

    def __init__(self, route: Carrier, interval: float = INTERVAL_S) -> None:
        self._route = route
        self._interval = interval
        self._cpu: Reading | None = None
        self._gpus: tuple[Reading, ...] = ()
        self._processes: tuple[GpuProcess, ...] = ()
        self._past: dict[tuple[str, int], deque[Reading]] = {}
        self._stop = threading.Event()
        self._stream: Duplex | None = None
        self._thread = threading.Thread(target=self._run, name="readings", daemon=True)

    def start(self) -> Readings:
        self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        self._stop.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def latest(self) -> Reading | None:
        """The first GPU, else the CPU; None before the first figures. Instant."""
        now = self.all()
        return now[0] if now else None

    def all(self) -> tuple[Reading, ...]:
        """All GPUs, then the CPU. Instant."""
        cpu = (self._cpu,) if self._cpu else ()
        newest = cpu[0].at if cpu else time.time()
        return tuple(g for g in self._gpus if newest - g.at < STALE_GPU_S) + cpu

    def past(self, kind: str, index: int = 0) -> tuple[Reading, ...]:
        """The last ten minutes of one device, oldest first; with gaps where the link was cut. Instant."""
        return tuple(self._past.get((kind, index), ()))

    def processes(self) -> tuple[GpuProcess, ...]:
        """Who uses the GPUs, as last told. Instant."""
        return self._processes

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._route.alive:
                with contextlib.suppress(QAError, OSError):  # a cut: the route says so itself
                    self._read_on()
            self._stop.wait(RETRY_S if not self._route.alive else self._interval)

    def _read_on(self) -> None:
        stream = self._route.agent("gauges", str(self._interval))
        self._stream = stream
        buffer = b""
        try:
            while not self._stop.is_set() and (data := stream.recv()):
                *lines, buffer = (buffer + data).split(b"\n")
                buffer = buffer[-MAX_LINE:]
                for line in lines:
                    cpu, gpus = parse_record(line, time.time())
                    for reading in [*gpus, cpu] if cpu else gpus:
                        self._keep(reading)
                    self._cpu = cpu or self._cpu
                    if gpus:
                        self._gpus = tuple(gpus)
                        found = parse_processes(line)
                        self._processes = self._processes if found is None else found
        finally:
            self._stream = None
            stream.close()

    def _keep(self, reading: Reading) -> None:
        key = (reading.kind, reading.index)
        if key not in self._past:
            if len(self._past) >= MAX_DEVICES:
                return
            self._past[key] = deque(maxlen=KEPT)
        self._past[key].append(reading)
