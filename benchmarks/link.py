"""The link to a host: how fast a log follows, what it costs, what a cut costs.

Peer: OpenSSH through the same jump host (`ssh -J`), same machine, same run. Where there is no peer the
figure stands against the limit that the design sets. Needs a real OpenSSH server and client; the dead
link needs root (network namespaces).
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.control_call import _config
from benchmarks.figures import Figure, median
from core.jobdir import JobSpec
from remote.hosts import Host
from remote.launch import DirectLauncher
from remote.mirror import Mirror
from remote.route import Route
from tests.netns import NetnsBed, can_make_namespaces
from tests.openssh import OpenSSHPair
from tests.remote.conftest import end_jobs

RATE, SECONDS, TAILS = 500_000, 3, 3  # lines a second, 100 bytes each
DEAD_LINKS, NOTICED_S = 3, 4.0
CUTS, CUT_LINES = 20, 40_000
IDLE_S, IDLE_CPU = 10.0, 0.01

# Batches at the asked rate, and late ones as soon as may be: a writer that falls behind catches up.
WRITER = """
import os, sys, time
rate, seconds = int(sys.argv[1]), int(sys.argv[2])
while not os.path.exists("go"):
    time.sleep(0.005)
begun, batch, n, total = time.monotonic(), max(1, rate // 100), 0, rate * seconds
out = os.fdopen(1, "wb", 0)
while n < total:
    out.write(b"".join(b"line %09d %s\\n" % (i, b"x" * 84) for i in range(n, n + batch)))
    n += batch
    time.sleep(max(0.0, begun + n / rate - time.monotonic()))
while not os.path.exists("end"):
    time.sleep(0.005)
"""


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as tmp, OpenSSHPair(Path(tmp) / "ssh") as pair:
        try:
            ssh = ["ssh", "-F", str(_config(Path(tmp), pair.host)), "-o", "ControlPath=none"]
            yield tail(pair.host, ssh, Path(tmp))
            yield cuts(pair, Path(tmp) / "cuts")
            yield idle(pair.host)
        finally:
            end_jobs(Path(pair.host.workdir))
    if can_make_namespaces():
        with tempfile.TemporaryDirectory() as tmp, NetnsBed(Path(tmp)) as bed:
            yield dead_link(bed)


def tail(host: Host, ssh: list[str], tmp: Path) -> Figure:
    """From the first line written to the last one here, at 500,000 lines a second."""
    mine, theirs = [], []
    with Route(host) as route:
        launcher = DirectLauncher(route)
        for n in range(TAILS):
            for sample in (mine, theirs):
                job = f"tail-{n}-{'ours' if sample is mine else 'peer'}"
                launcher.start(_job(job, WRITER, str(RATE), str(SECONDS)))
                there = Path(host.workdir) / "jobs" / job
                here = tmp / job
                if sample is mine:
                    mirror = Mirror(lambda: route, job, here).start()
                    sample.append(_until_all_is_here(there, here / "output.log"))
                    mirror.stop()
                else:
                    with open(here, "wb") as out:
                        argv = [*ssh, "host", f"exec tail -c +1 -F {there}/output.log"]
                        reader = subprocess.Popen(argv, stdout=out, stderr=subprocess.DEVNULL)
                        time.sleep(1.0)  # it is connected
                        sample.append(_until_all_is_here(there, here))
                        reader.terminate()
                        reader.wait()
                (there / "end").touch()
    return Figure(
        f"tail of {RATE:,} lines/s", "s", median(mine), "ssh -J tail -F", median(theirs), 1.11, TAILS
    )  # fmt: skip


def _until_all_is_here(there: Path, here: Path) -> float:
    time.sleep(0.5)
    (there / "go").touch()
    start = time.perf_counter()
    total = RATE * SECONDS * 100
    while not here.exists() or here.stat().st_size < total:
        time.sleep(0.005)
        if time.perf_counter() - start > 20 * SECONDS:
            raise TimeoutError(f"{here} did not come")
    assert here.stat().st_size == total
    return time.perf_counter() - start


def cuts(pair: OpenSSHPair, into: Path) -> Figure:
    """Lines lost or doubled while the connection is killed again and again under a running job."""
    script = (
        f"import time\nfor n in range({CUT_LINES}):\n"
        "    print(f'line {n:09d}', flush=True)\n    if n % 8 == 0: time.sleep(0.001)\n"
    )
    done = 0
    with Route(pair.host) as route:
        DirectLauncher(route).start(_job("cuts", script))
        mirror = Mirror(route.ensure, "cuts", into).start()
        log = into / "output.log"
        while done < CUTS and not mirror.done.is_set():
            size = log.stat().st_size if log.exists() else 0
            while not mirror.done.is_set() and (not log.exists() or log.stat().st_size <= size):
                time.sleep(0.005)
            pair.cut("jump" if done % 2 else "host")
            done += 1
        if not mirror.done.wait(120):
            raise TimeoutError("the mirror did not come to its end")
        mirror.stop()
    lines = log.read_text().splitlines()
    wanted = [f"line {n:09d}" for n in range(CUT_LINES)]
    lost = len(set(wanted) - set(lines))
    other = len(lines) - len(set(lines) & set(wanted))  # doubled, torn
    wrong = lost + other + (lines != wanted and not lost + other)
    return Figure(
        f"lines lost or doubled in {done} cuts", "lines", wrong, "lines", CUT_LINES, 0.0, done
    )


def idle(host: Host) -> Figure:
    """CPU of this process while a silent job is watched over an open link."""
    with Route(host) as route, tempfile.TemporaryDirectory() as tmp:
        launcher = DirectLauncher(route)
        launcher.start(_job("idle", "import time; time.sleep(600)"))
        mirror = Mirror(lambda: route, "idle", Path(tmp) / "idle").start()
        time.sleep(1.0)
        before, start = _cpu(), time.perf_counter()
        time.sleep(IDLE_S)
        used = (_cpu() - before) / (time.perf_counter() - start)
        mirror.stop()
        launcher.stop("idle", kill=True)
    return Figure("idle CPU of the link", "s/s", used, "limit", IDLE_CPU, 1.0, 1)


def dead_link(bed: NetnsBed) -> Figure:
    """Cable pulled → the route says so."""
    noticed = []
    for _ in range(DEAD_LINKS):
        with Route(bed.host) as route:
            route.helper().call("ping")
            bed.net.link_down()
            start = time.perf_counter()
            while route.alive:
                time.sleep(0.01)
            noticed.append(time.perf_counter() - start)
            bed.net.link_up()
    return Figure(
        "dead link noticed, worst", "s", max(noticed), "limit", NOTICED_S, 1.0, DEAD_LINKS
    )


def _job(name: str, script: str, *words: str) -> JobSpec:
    command = [sys.executable, "-I", "-S", "-c", script, *words]
    return JobSpec(id=name, routine="benchmark", command=command)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
