"""A full disk and a folder that cannot be written: nothing half-done, and the error says what to do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import DiskFull, RegistryError
from core.registry import (
    evaluations,
    maintenance,
    open_registry,
    points,
    snapshots,
    sources,
    versions,
)
from core.snapshots import freeze
from tests.conftest import require
from tests.core.conftest import make_pair, make_scores
from tests.core.faults.harness import Act, fresh, prepare, rows_of, state_of

BIG = "x" * 20_000
PAIRS = [make_pair(n, source_ref=f"{n} {BIG}") for n in range(100, 160)]
ROWS = [{"source_id": f"doc:{n}", "display_name": BIG} for n in range(60)]
WRITES: dict[str, Act] = {
    "sources": lambda r: sources.upsert_many(r, ROWS),
    "freeze": lambda r: snapshots.save(r, freeze(PAIRS), PAIRS),
    "evaluated": lambda r: evaluations.save(
        r, versions.list(r)[0].model_version, {**make_scores(), "answers": [BIG] * 60}
    ),
    "points": lambda r: points.add(r, "run", ((f"k{n % 7}", n, n / 3) for n in range(90_000))),
    "register": lambda r: versions.register(
        r, base_model="b", dataset_version=versions.list(r)[0].dataset_version,
        training_config={"x": [BIG] * 60}),
}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "registry.db"
    prepare(path)
    return path


@pytest.mark.parametrize("what", WRITES)
def test_a_file_that_may_not_grow(prepared: Path, tmp_path: Path, what: str) -> None:
    here = fresh(prepared, tmp_path / "registry.db")
    before = state_of(here)
    with open_registry(here, operator="tester") as reg:
        pages = reg.value("PRAGMA page_count")
        for room in (0, 3, 17):
            reg.execute(f"PRAGMA max_page_count = {pages + room}")
            with pytest.raises(DiskFull) as e:
                WRITES[what](reg)
            assert "nothing was half-done" in e.value.try_next
            assert not reg.conn.in_transaction and rows_of(reg) == before
        reg.execute("PRAGMA max_page_count = 1000000")
        WRITES[what](reg)
        assert rows_of(reg) != before
    assert state_of(here) != before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True) if os.geteuid() == 0 else None
    require(done is not None and done.returncode == 0, "the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(prepared: Path, small_disk: Path, tmp_path: Path) -> None:
    here = fresh(prepared, small_disk / "registry.db")
    before = state_of(here)
    with open_registry(here, operator="tester") as reg:
        room = os.statvfs(small_disk)
        ballast = b"x" * (room.f_bavail * room.f_frsize - 100_000)
        (small_disk / "ballast").write_bytes(ballast)
        for what in WRITES:
            with pytest.raises((DiskFull, RegistryError)):
                WRITES[what](reg)
            assert rows_of(reg) == before, what
        with pytest.raises((DiskFull, RegistryError)):
            maintenance.backup(reg)
        with pytest.raises((DiskFull, RegistryError)):
            maintenance.vacuum(reg)
        assert {p.name for p in small_disk.iterdir()} == {
            "ballast", "registry.db", "registry.db-wal", "registry.db-shm",
        }  # fmt: skip
    (small_disk / "ballast").unlink()
    assert state_of(here) == before
    with open_registry(here) as reg:
        sources.upsert_many(reg, [{"source_id": "doc:again"}])
        assert maintenance.check(reg) == ()
        assert maintenance.backup(reg, tmp_path / "elsewhere.bak").exists()


@pytest.fixture
def read_only(prepared: Path, tmp_path: Path) -> Iterator[Path]:
    """A registry on a file system that is mounted read-only: root cannot write there either."""
    inside, folder = tmp_path / "inside", tmp_path / "read-only"
    inside.mkdir()
    folder.mkdir()
    fresh(prepared, inside / "registry.db")
    done = None
    if os.geteuid() == 0:
        done = subprocess.run(["mount", "--bind", str(inside), str(folder)], capture_output=True)
        remount = ["mount", "-o", "remount,bind,ro", str(folder)]
        done = subprocess.run(remount, capture_output=True) if done.returncode == 0 else done
    require(done is not None and done.returncode == 0, "the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_file_system(read_only: Path, tmp_path: Path) -> None:
    for path in (read_only / "registry.db", read_only / "new.db", read_only / "deeper" / "new.db"):
        with pytest.raises(RegistryError) as e:
            open_registry(path)
        assert "QA_REGISTRY" in e.value.try_next
    with open_registry(tmp_path / "here.db") as reg:
        with pytest.raises(RegistryError) as e:
            maintenance.backup(reg, read_only / "copy.bak")
        assert "copy.bak" in e.value.what and "can write to" in e.value.try_next
