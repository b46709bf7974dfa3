"""How soon a key is answered on the screens of the whole app, and how long it ever does not answer.

Five loads: a log that grows by 20,000 lines a second, a log of a million lines, a curve of 100,000
points of a job that goes on, 10,000 versions, a search among 250,000 pairs. Each in an app of its own in
a pseudo-terminal, with a heartbeat of 20 ms in its event loop. A key's time ends when what it brings is
written to the terminal. QA_BENCH_LOADS names some of the loads (log-rate, log-size, curve, versions,
pairs); QA_BENCH_PAIRS and QA_BENCH_VERSIONS make them smaller.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks import heartbeat, stores
from benchmarks.figures import Figure, median
from benchmarks.heartbeat import Beats
from benchmarks.terminal import Terminal, of_its_own, rank

KEYS = 120
RATE = 20_000  # lines a second
LINES = 1_000_000
POINTS = 100_000
ASKED = 12
VERSIONS = int(os.environ.get("QA_BENCH_VERSIONS", "10000"))
PAIRS = int(os.environ.get("QA_BENCH_PAIRS", "250000"))
KEY_S, STALL_S = 0.05, 0.1  # the goals
SETTLED_S = 1.5  # after a screen has come up: reading its files and databases is over


def run() -> Iterator[Figure]:
    chosen = os.environ.get("QA_BENCH_LOADS", "").split(",")
    for name, load in LOADS.items():
        if name in chosen or chosen == [""]:
            with tempfile.TemporaryDirectory() as tmp:
                yield from load(Path(tmp))


@dataclass
class Desk:
    """An app under load. `key` presses one and notes how long its answer took."""

    terminal: Terminal
    since: float = field(default_factory=time.perf_counter)
    times: list[float] = field(default_factory=list)

    def settle(self, seconds: float = SETTLED_S) -> None:
        """What came so far is not counted."""
        self.terminal.drain(seconds)
        self.since = time.perf_counter()

    def key(self, keys: bytes, words: bytes | re.Pattern[bytes]) -> None:
        self.times.append(self.terminal.paint(keys, words))


@contextmanager
def _app(folder: Path, told: str, found: list[Figure]) -> Iterator[Desk]:
    """The figures of what is done with the desk are put into `found`."""
    report = folder / "report.json"
    with Terminal(heartbeat.argv(report), of_its_own(folder)) as terminal:
        terminal.until(b"Pilot")
        terminal.drain(1.0)
        desk = Desk(terminal)
        yield desk
        until = time.perf_counter()
        terminal.leave()
        beats = Beats.read(report, desk.since, until)
    beats.tell(told)
    times, late = desk.times, beats.late
    found += [
        Figure(f"key to paint p50, {told}", "s", median(times), "limit", KEY_S, 1.0, len(times)),
        Figure(f"key to paint p99, {told}", "s", rank(times, 0.99), "limit", KEY_S, 1.0, len(times)),
        Figure(f"longest stall, {told}", "s", max(late), "limit", STALL_S, 1.0, len(late)),
        Figure(f"most CPU in a beat, {told}", "s", max(beats.cpu), "limit", STALL_S, 1.0, len(late)),
    ]  # fmt: skip


@contextmanager
def _child(script: str, *args: object) -> Iterator[None]:
    """A process that writes meanwhile, as a mirror does."""
    argv = [sys.executable, "-c", script, *map(str, args)]
    process = subprocess.Popen(argv, cwd=Path(__file__).parents[1])
    try:
        yield
    finally:
        process.kill()
        process.wait()


FLOOD = """
import sys, time
from benchmarks.stores import LINE
path, rate = sys.argv[1], int(sys.argv[2])
part = b"".join(LINE % (0, n % 60, n, n % 1000) for n in range(rate // 100))
begun, pieces = time.perf_counter(), 0
with open(path, "ab", buffering=0) as out:
    while True:
        out.write(part)
        pieces += 1
        time.sleep(max(0.0, begun + pieces / 100 - time.perf_counter()))
"""
STEPS = """
import json, sys, time
from benchmarks.stores import metric
path, step = sys.argv[1], int(sys.argv[2])
with open(path, "ab", buffering=0) as out:
    while True:
        step += 1
        out.write(json.dumps(metric(step, step + 1000)).encode() + b"\\n")
        time.sleep(0.02)
"""


def _log_at_a_rate(folder: Path) -> Iterator[Figure]:
    made = stores.job(folder / "state", "train-20261123-140000-rate")
    stores.log(made.output, 5 << 20)
    with _child(FLOOD, made.output, RATE):
        yield from _log(folder, f"log at {RATE:,} lines/s")


def _log_of_a_size(folder: Path) -> Iterator[Figure]:
    made = stores.job(folder / "state", "train-20261123-140000-size", running=False)
    stores.log(made.output, LINES * len(stores.LINE % (0, 0, 0, 0)))
    yield from _log(folder, f"log of {LINES:,} lines")


def _log(folder: Path, told: str) -> Iterator[Figure]:
    """Each `k` brings a line number to the panel that was not on the screen before."""
    found: list[Figure] = []
    with _app(folder, told, found) as desk:
        desk.terminal.press(b"3")
        desk.terminal.until(b"INFO")
        desk.settle()
        desk.terminal.paint(b"k", b"")
        desk.terminal.press(b"\r")
        desk.terminal.until(LINE_NUMBER)
        match = LINE_NUMBER.search(desk.terminal.seen)
        assert match is not None
        number = int(match[1].replace(b",", b""))
        for _ in range(KEYS):
            number -= 1
            desk.key(b"k", f"line {number:,}".encode())
    yield from found


LINE_NUMBER = re.compile(rb"line ([0-9,]+)")


def _curve(folder: Path) -> Iterator[Figure]:
    """The cross-hair goes along a curve that grows by 50 values a second."""
    made = stores.job(folder / "state", "train-20261123-140000-curve")
    with open(made.events, "wb") as out:
        out.writelines(stores.metrics(POINTS))
    stores.log(made.output, 1 << 20)
    found: list[Figure] = []
    read = re.compile(rb"step ([0-9,]+)  [0-9.]+")
    told = f"curve of {POINTS:,} points"
    with _child(STEPS, made.events, POINTS), _app(folder, told, found) as desk:
        desk.since = time.perf_counter()  # its coming in counts
        desk.terminal.press(b"3")
        desk.terminal.until(f"{POINTS // 1000},".encode())
        desk.terminal.drain(SETTLED_S)
        desk.terminal.paint(b"p", read)
        for n in range(KEYS):
            desk.key(b"h" if n % 4 else b"H", read)
        for n in range(20):
            desk.key(b"+" if n % 2 == 0 else b"-", read)
    yield from found


def _versions(folder: Path) -> Iterator[Figure]:
    """Down the list of versions, and by pages."""
    stores.versions(folder / "registry.db", VERSIONS)
    found: list[Figure] = []
    with _app(folder, f"{VERSIONS:,} versions", found) as desk:
        desk.since = time.perf_counter()
        desk.terminal.press(b"6")
        desk.terminal.until(f"1.0.{VERSIONS - 1}".encode())
        desk.terminal.drain(SETTLED_S)
        for n in range(2, KEYS - 20):
            desk.key(b"j", f"1.0.{VERSIONS - n}".encode())
        for _ in range(10):
            desk.key(b"\x04", b"1.0.")
            desk.key(b"\x15", b"1.0.")
    yield from found


def _pairs(folder: Path) -> Iterator[Figure]:
    """Questions to the store of pairs, one after the other: typed, asked, the answer read."""
    from benchmarks.search import rows

    stores.pairs(folder / "registry.db", folder / "pairs.jsonl", PAIRS)
    asked = [row["messages"][0]["content"] for row in islice(rows(PAIRS), ASKED)]
    found: list[Figure] = []
    answers: list[float] = []
    with _app(folder, f"search among {PAIRS:,} pairs", found) as desk:
        desk.terminal.press(b"8")
        desk.terminal.until(b"stored answers")
        desk.terminal.press(b"a")
        desk.settle()
        for question in asked:  # the field is open now
            typed = question.encode()[:40]
            for n in range(0, len(typed), 4):
                desk.key(typed[n : n + 4], typed[: n + 4].rstrip())
            answers.append(desk.terminal.paint(b"\r", b"builds"))
            desk.terminal.paint(b"i", b"", rest=0.5)
    told = f"a question answered from {PAIRS:,} pairs, p50"
    yield Figure(told, "s", median(answers), "limit", 0.3, 1.0, len(answers))
    yield from found


LOADS: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "log-rate": _log_at_a_rate,
    "log-size": _log_of_a_size,
    "curve": _curve,
    "versions": _versions,
    "pairs": _pairs,
}
