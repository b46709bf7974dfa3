"""Many at once: two processes that write, ten thousand reads while somebody writes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from core import locations
from core.registry import audit, maintenance, open_registry, sources, versions
from core.registry.writer import Readers, Writer
from tests.core.faults.harness import prepare

WRITE = """
import sys
from core.registry import open_registry, sources
reg = open_registry(seed=False)
print("ready", flush=True)
sys.stdin.readline()
for n in range(60):
    sources.upsert_many(reg, [{"source_id": f"doc:{sys.argv[1]}-{n}"}])
    sources.note_unknown(reg, "doc:counted")
"""

READ = """
import sys
from core.registry import open_registry, versions
reg = open_registry(seed=False)
print("ready", flush=True)
sys.stdin.readline()
for n in range(2500):
    live = {e: versions.live(reg, e) for e in ("staging", "production")}
    assert all(live.values()), live
    rows = reg.value("SELECT count(*) FROM deployments WHERE ended_at IS NULL")
    assert rows == 2, rows
"""


def process(code: str, *words: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=locations.project_root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    return started


def test_two_processes_write(tmp_path: Path) -> None:
    prepare(locations.registry_path())
    with open_registry() as reg:
        before = audit.position(reg)[0]
    running = [process(WRITE, name) for name in ("a", "b")]
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in running:
        _, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
    with open_registry() as reg:
        found = {s.source_id for s in sources.all(reg)}
        assert {f"doc:{name}-{n}" for name in "ab" for n in range(60)} <= found
        counted = {u.source_id: u.occurrences for u in sources.unknown(reg)}
        assert counted["doc:counted"] == 120
        assert audit.position(reg)[0] == before + 120
        assert maintenance.check(reg) == ()


def test_ten_thousand_reads_while_somebody_writes(tmp_path: Path) -> None:
    """2 processes and 4 threads read; one writer promotes to and fro. No reader ever sees half of it."""
    names = prepare(locations.registry_path())
    running = [process(READ) for _ in range(2)]
    readers, stop = Readers(), threading.Event()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            reg = readers.registry()
            for _ in range(1250):
                found = [versions.live(reg, e) for e in ("staging", "production")]
                assert all(found)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=read) for _ in range(4)]
    switched = 0
    with Writer() as writer:
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        for thread in threads:
            thread.start()
        while any(t.is_alive() for t in threads) or any(p.poll() is None for p in running):
            name = names[1 + switched % 2]
            writer.run(lambda r, v=name: versions.promote(r, v, "production", "x", "x", "GO"))
            switched += 1
            if switched > 20_000:
                break
    stop.set()
    for thread in threads:
        thread.join()
    for one in running:
        _, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
    assert not errors and switched > 3
    with open_registry() as reg:
        assert maintenance.check(reg) == ()
        assert len(versions.history(reg, "production", limit=100_000)) == switched + 1
