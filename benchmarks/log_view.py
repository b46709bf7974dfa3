"""The log view: a log of 1 GB (end shown, counted, a rare string found) beside lnav and a search line
by line in Python; and how long a key takes to the screen while 20,000 lines a second come in, and in a
log of a million lines.

QA_BENCH_LOG_MB makes the big log smaller. lnav is measured if it is installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.log_terminal import app_argv
from benchmarks.terminal import Terminal

RUNS = 3
KEYS = 120
RATE = 20_000
RARE = b"one-needle-in-the-haystack"
MEGABYTES = int(os.environ.get("QA_BENCH_LOG_MB", "1024"))
LINE = b"2026-11-23 14:%02d:%02d INFO  step %d/980 loss 0.4%03d lr 1.6e-04 tokens/s 15300 mem 61.2 GiB\n"


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        yield from _big(folder)
        yield from _keys(folder)


def _big(folder: Path) -> Iterator[Figure]:
    log = folder / "big.log"
    _make(log, MEGABYTES << 20)
    size = f"{log.stat().st_size / 1e9:.1f} GB log"
    shown, counted, found, whole = [], [], [], []
    for _ in range(RUNS):
        terminal = Terminal(app_argv(log, folder / "facts.json"))
        terminal.until(b"last line")
        whole.append(time.perf_counter() - terminal.began)
        terminal.drain(max(2.0, MEGABYTES / 400))  # until it is counted
        began = time.perf_counter()
        terminal.press(b"/" + RARE + b"\r")
        terminal.until(b"1/1")
        found.append(time.perf_counter() - began)
        terminal.leave(b"\x11")
        facts = json.loads((folder / "facts.json").read_text())
        shown.append(facts["shown"])
        counted.append(facts["counted"])
    by_line, ours = _line_by_line(log), median(found)
    yield Figure(f"end of a {size} shown", "s", median(shown), "limit", 0.3, 1.0, RUNS)
    yield Figure(f"{size} counted", "s", median(counted), "limit", 2.0, 1.0, RUNS)
    yield Figure(f"rare string in a {size}", "s", ours, "limit", 1.5, 1.0, RUNS)
    yield Figure(f"rare string in a {size}", "s", ours, "line by line", by_line, 0.2, 1)
    if shutil.which("lnav"):
        peer = _lnav(log, folder)
        started = median(whole) + ours
        yield Figure(f"rare string in a {size}, from start", "s", started, "lnav", peer, 0.2, 1)
    log.unlink()


def _keys(folder: Path) -> Iterator[Figure]:
    still = folder / "million.log"
    _make(still, 1_000_000 * len(LINE % (0, 0, 0, 0)), rare=False)
    yield from _paint(still, folder, "a log of 1 M lines")
    still.unlink()
    live = folder / "live.log"
    _make(live, 5 << 20, rare=False)
    stop = threading.Event()
    writer = threading.Thread(target=_flood, args=(live, stop), daemon=True)
    writer.start()
    try:
        yield from _paint(live, folder, f"{RATE:,} lines/s")
    finally:
        stop.set()
        writer.join()


def _paint(log: Path, folder: Path, name: str) -> Iterator[Figure]:
    """Each `k` brings a line number to the panel that was not on the screen before."""
    terminal = Terminal(app_argv(log, folder / "facts.json"))
    terminal.until(b"INFO")
    terminal.drain(1.5)  # following
    terminal.press(b"k\r")
    terminal.until(b"line ")
    terminal.drain(0.3)
    match = re.search(rb"line ([0-9,]+)", terminal.seen)
    assert match is not None
    number, late = int(match[1].replace(b",", b"")), []
    for _ in range(KEYS):
        number -= 1
        terminal.press(b"k")
        late.append(terminal.until(f"{number:,}".encode()))
        terminal.drain(0.03)
    terminal.press(b"\x1bf")
    terminal.drain(1.0)
    terminal.leave(b"\x11")
    facts = json.loads((folder / "facts.json").read_text())
    # without the start, and the wait for the terminal at the end
    beats = sorted(facts["late"][20:-1])
    late.sort()
    redraw = facts["redraw_cpu"]
    p99, limit = late[int(len(late) * 0.99)], 0.05
    yield Figure(f"key to paint, p99, {name}", "s", p99, "limit", limit, 1.0, len(late))
    yield Figure(f"longest stall, {name}", "s", beats[-1], "limit", 0.1, 1.0, len(beats))
    yield Figure(f"CPU of a redraw, {name}", "s", median(redraw), "limit", 0.005, 1.0, len(redraw))


def _make(path: Path, size: int, *, rare: bool = True) -> None:
    """A log of `size` bytes; the rare string once, at 37 % of it."""
    block = b"".join(LINE % (n // 60 % 60, n % 60, n, n % 1000) for n in range(10_000))
    with open(path, "wb") as out:
        written, put = 0, not rare
        while written < size:
            if not put and written > size * 0.37:
                out.write(b"2026-11-23 14:30:00 INFO  " + RARE + b"\n")
                put = True
            part = block[: size - written]
            out.write(part)
            written += len(part)
        out.write(b"\nlast line\n")


def _line_by_line(path: Path) -> float:
    """What a viewer does that knows where each line is, reads one, decodes it and folds its case
    (toolong 1.5); finding the lines is not counted."""
    ends, at = array("Q", [0]), 0
    with open(path, "rb") as lines:
        for line in lines:
            at += len(line)
            ends.append(at)
        wanted, fd = RARE.decode().casefold(), lines.fileno()
        began = time.perf_counter()
        hits = sum(
            wanted in os.pread(fd, end - start, start).decode("utf-8", "replace").casefold()
            for start, end in pairwise(ends)
        )
        took = time.perf_counter() - began
    assert hits == 1
    return took


def _lnav(path: Path, folder: Path) -> float:
    """From start until the lines with the string are printed, without a terminal."""
    began = time.perf_counter()
    done = subprocess.run(
        ["lnav", "-n", "-c", f":filter-in {RARE.decode()}", str(path)],
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
        check=False,
    )
    took = time.perf_counter() - began
    if done.stdout.count(RARE) != 1:
        print(f"lnav: {done.stdout[:200]!r} {done.stderr[:200]!r}", file=sys.stderr)
    return took


def _flood(path: Path, stop: threading.Event) -> None:
    """RATE lines a second, in 100 pieces."""
    part = b"".join(LINE % (0, n % 60, n, n % 1000) for n in range(RATE // 100))
    began, pieces = time.perf_counter(), 0
    with open(path, "ab", buffering=0) as out:
        while not stop.is_set():
            out.write(part)
            pieces += 1
            stop.wait(max(0.0, began + pieces / 100 - time.perf_counter()))
