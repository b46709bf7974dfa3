"""Mirrors under load: a hundred cuts, odd bytes, a fast writer and a slow disk, a full disk here."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from core.errors import DiskFull
from core.jobdir import JobDir
from remote import mirror as mirrors
from remote.launch import DirectLauncher
from remote.mirror import Mirror
from remote.route import Route
from remote.segments import Copy, seams
from tests.conftest import require
from tests.openssh import OpenSSHPair
from tests.remote.local import Local, py, sh, until

# About 2,000 numbered lines a second, until `enough` is there.
STEADY = """
import os, time
n, start = 0, time.monotonic()
while not os.path.exists("enough"):
    for _ in range(20):
        print("line %08d" % n)
        n += 1
    time.sleep(max(0.0, start + n / 2000 - time.monotonic()))
"""


def more_than(mirror: Mirror, had: int) -> None:
    until(lambda: mirror.bytes > had, 30)


@pytest.mark.slow
def test_a_hundred_cuts_and_every_line_exactly_once(
    pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "BACKOFF_S", (0.02, 0.05))
    into = tmp_path / "mirror"
    with Route(pair.host) as route:
        DirectLauncher(route).start(py(STEADY, env={"PYTHONUNBUFFERED": "1"}))
        mirror = Mirror(lambda: route.ensure(), "job-1", into).start()
        job = Path(pair.host.workdir) / "jobs" / "job-1"
        cuts = 100 if isinstance(pair, OpenSSHPair) else 25
        for n in range(cuts):  # each hits a stream that has brought something new
            more_than(mirror, mirror.bytes)
            pair.cut()
            until(lambda n=n: mirror.cuts > n, 30)
        (job / "enough").touch()
        assert mirror.done.wait(60)
    assert mirror.error is None and mirror.cuts >= cuts and mirror.seams == 0
    lines = JobDir(into).output.read_text().splitlines()
    assert lines == [f"line {n:08d}" for n in range(len(lines))] and len(lines) > cuts
    assert JobDir(into).output.read_bytes() == (job / "output.log").read_bytes()


ODD = """
import os, sys
out = sys.stdout.buffer
out.write(b"\\x00" * 1000 + b"\\n")
out.write(b"\\x1b]52;c;aGk=\\x07\\x1b[2J\\x9b31m\\xff\\xfe\\r\\rprogress\\r\\n")
block = bytes(range(256)).replace(b"\\n", b"n") * 4096
for _ in range(100):
    out.write(block)
out.write(b"\\nend without newline")
"""


def test_a_100_mb_line_nul_and_escapes_pass_byte_for_byte(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    DirectLauncher(local).start(py(ODD))
    mirror = Mirror(lambda: local, "job-1", into).start()
    assert mirror.done.wait(60) and mirror.error is None
    theirs = local.workdir / "jobs" / "job-1" / "output.log"
    assert theirs.stat().st_size > 100 << 20
    same = subprocess.run(["cmp", str(theirs), str(into / "output.log")])
    assert same.returncode == 0


def test_two_laptops_watch_one_job_each_completely(pair: Any, tmp_path: Path) -> None:
    with Route(pair.host) as one, Route(pair.host) as two:
        DirectLauncher(one).start(py(STEADY))
        places = (tmp_path / "one", tmp_path / "two")
        both = [
            Mirror(lambda r=r: r.ensure(), "job-1", into).start()
            for r, into in zip((one, two), places, strict=True)
        ]
        until(lambda: all(m.bytes > 10_000 for m in both), 30)
        pair.cut()
        had = [m.bytes for m in both]
        until(lambda: all(m.bytes > h for m, h in zip(both, had, strict=True)), 30)
        job = Path(pair.host.workdir) / "jobs" / "job-1"
        (job / "enough").touch()
        for mirror in both:
            assert mirror.done.wait(30) and mirror.error is None
        for into in places:
            assert (into / "output.log").read_bytes() == (job / "output.log").read_bytes()


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_slow_disk_here_does_not_fill_the_memory(
    pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host writes 200 MB at once while the first write here hangs."""
    gate, at_gate = threading.Event(), threading.Event()
    write = Copy.write

    def slow(self: Copy, data: bytes, offset: int) -> None:
        at_gate.set()
        assert gate.wait(60)
        write(self, data, offset)

    monkeypatch.setattr(Copy, "write", slow)
    into = tmp_path / "mirror"
    with Route(pair.host) as route:
        before = resident()
        DirectLauncher(route).start(sh("head -c 200000000 /dev/zero | tr '\\0' 'x'; echo"))
        mirror = Mirror(lambda: route.ensure(), "job-1", into).start()
        assert at_gate.wait(30)
        until(lambda: not DirectLauncher(route).state("job-1").active, 60)
        assert resident() - before < 40 << 20
        assert mirror.bytes < 8 << 20
        gate.set()
        assert mirror.done.wait(120) and mirror.error is None
        assert resident() - before < 60 << 20
    assert (into / "output.log").stat().st_size == 200_000_001


def test_a_full_disk_here_is_said_and_gone_on_from(local: Local, tmp_path: Path) -> None:
    into = tmp_path / "mirror"
    into.mkdir()

    def mount(*options: str) -> int:
        argv = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(into)]
        return subprocess.run(argv, capture_output=True).returncode

    require(os.geteuid() == 0 and mount("size=256k") == 0, "root and tmpfs")
    try:
        DirectLauncher(local).start(sh("seq 200000"))
        mirror = Mirror(lambda: local, "job-1", into).start()
        assert mirror.done.wait(30)
        assert isinstance(mirror.error, DiskFull) and "goes on where" in mirror.error.try_next
        assert mount("remount", "size=8m") == 0
        mirror = Mirror(lambda: local, "job-1", into).start()
        assert mirror.done.wait(30) and mirror.error is None and seams(into) == []
        theirs = local.workdir / "jobs" / "job-1" / "output.log"
        assert (into / "output.log").read_bytes() == theirs.read_bytes()
    finally:
        subprocess.run(["umount", "-l", str(into)], check=True)
