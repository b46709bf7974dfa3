"""Process start → first frame in a real pseudo-terminal, with a registry of 10,000 versions.

Peers, interleaved with it: an empty Textual app, and lnav opening a short log. A frame is whole when its
last row, the keys, is on the terminal. The second figure is the registry's own part: until the strip
says what is live in production.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import stores
from benchmarks.figures import Figure, median
from benchmarks.terminal import Terminal, of_its_own, qa, rank

RUNS = 10
VERSIONS = int(os.environ.get("QA_BENCH_VERSIONS", "10000"))
LIMIT_S = 0.4
BARE = (
    "from textual.app import App\nfrom textual.widgets import Static\n"
    "class A(App):\n  def compose(self): yield Static('ACCESS QA')\nA().run()"
)


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        env = of_its_own(folder)
        stores.versions(folder / "registry.db", VERSIONS)
        peers = {"bare Textual app": ([sys.executable, "-c", BARE], b"ACCESS QA")}
        if shutil.which("lnav"):
            log = folder / "short.log"
            log.write_bytes(b"2026-11-23 14:00:00 INFO  one line of a log\n" * 20)
            peers["lnav"] = (["lnav", str(log)], b"one line of a log")
        times: dict[str, list[float]] = {name: [] for name in ("ours", "told", *peers)}
        for _ in range(RUNS + 1):
            for name, (argv, words) in peers.items():
                times[name].append(first_text(argv, {**env, "HOME": tmp}, words)[0])
            frame, told = first_text(qa("app", "--host", "gh200"), env, b"palette", b"prod")
            times["ours"].append(frame)
            times["told"].append(told)
    times = {name: values[1:] for name, values in times.items()}  # the first filled the caches
    name = f"first frame, registry of {VERSIONS:,} versions"
    ours = median(times["ours"])
    yield Figure(name, "s", ours, "limit", LIMIT_S, 1.0, RUNS)
    yield Figure(f"{name}, worst", "s", rank(times["ours"], 1), "limit", LIMIT_S, 1.5, RUNS)
    for peer in peers:
        yield Figure(name, "s", ours, peer, median(times[peer]), 2.0, RUNS)
    yield Figure("live versions in the strip", "s", median(times["told"]), "limit", 0.6, 1.0, RUNS)


def first_text(argv: list[str], env: dict[str, str], *words: bytes) -> list[float]:
    """Seconds from the start until each of `words` is on the terminal. The program is ended then."""
    with Terminal(argv, env) as terminal:
        return [terminal.until(word, 20.0) and terminal.since for word in words]
