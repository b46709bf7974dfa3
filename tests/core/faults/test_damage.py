"""Flipped bytes, a log cut short, a clock set back: noticed, located, and nothing made worse."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import QAError, RegistryError
from core.registry import audit, maintenance, open_registry, sources, store, versions
from tests.core.faults.harness import fresh, prepare, state_of


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "registry.db"
    prepare(path)
    return path


@pytest.mark.parametrize("table", ["audit", "versions", "blobs", "deployments", "sources"])
def test_a_corrupted_page(prepared: Path, tmp_path: Path, table: str) -> None:
    here = fresh(prepared, tmp_path / "registry.db")
    with open_registry(here) as reg:
        root = reg.value("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
        size = reg.value("PRAGMA page_size")
        backup = maintenance.backup(reg)
    data = bytearray(here.read_bytes())
    data[(root - 1) * size : root * size] = b"\xff" * size
    here.write_bytes(data)
    faults = maintenance.check_file(here)
    assert faults and all(f.what for f in faults)
    with pytest.raises(RegistryError) as e, open_registry(here, seed=False) as reg:
        reg.rows(f"SELECT * FROM {table}")
        raise AssertionError("it read a page of 0xff")
    assert "damaged" in e.value.what
    assert "qa registry check" in e.value.try_next and "restore" in e.value.try_next
    assert ".bak" in e.value.try_next
    done = maintenance.restore(here, backup)
    assert state_of(here) == state_of(prepared)
    # page 1 tells whether there is a log, and there is none any more
    assert done.aside is not None and done.aside.read_bytes()[size:] == bytes(data)[size:]


def test_any_flipped_byte_is_an_error_of_ours(prepared: Path, tmp_path: Path) -> None:
    """Wherever it is: opening, reading everything and checking end well or in a typed error."""
    here = tmp_path / "registry.db"
    whole = prepared.read_bytes()
    noticed = 0
    for place in range(10, len(whole), len(whole) // 60):
        fresh(prepared, here)
        data = bytearray(whole)
        data[place] ^= 0xFF
        here.write_bytes(data)
        try:
            with open_registry(here, seed=False) as reg:
                noticed += bool(maintenance.check(reg))
                versions.list(reg)
                audit.entries(reg)
                sources.rows(reg)
        except QAError as e:
            assert e.what and e.try_next
            noticed += 1
    assert noticed > 10


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.999])
def test_a_truncated_log(prepared: Path, tmp_path: Path, share: float) -> None:
    """What a lost log held is gone; what is left is a state that once was."""
    here = fresh(prepared, tmp_path / "registry.db")
    marks = []
    with open_registry(here) as reg:
        reg.execute("PRAGMA wal_autocheckpoint = 0")
        for n in range(20):
            marks.append(audit.mark(reg))
            sources.upsert_many(reg, [{"source_id": f"doc:{n}"}])
        marks.append(audit.mark(reg))
        log = here.with_name(here.name + "-wal").read_bytes()
        data = here.read_bytes()
    cut = tmp_path / "cut.db"
    cut.write_bytes(data)
    cut.with_name("cut.db-wal").write_bytes(log[: int(len(log) * share)])
    with open_registry(cut, seed=False) as reg:
        assert maintenance.check(reg) == ()
        mark = audit.mark(reg)
        assert mark in marks[:-1]
        # the head that somebody noted tells how much is gone
        found = audit.verify(reg, marks[-1])
        assert not found.ok and found.seq == audit.position(reg)[0] + 1 and "cut off" in found.what
        sources.upsert_many(reg, [{"source_id": "doc:goes-on"}])
        assert maintenance.check(reg) == ()


def test_a_garbled_log(prepared: Path, tmp_path: Path) -> None:
    here = fresh(prepared, tmp_path / "registry.db")
    with open_registry(here) as reg:
        for n in range(5):
            sources.upsert_many(reg, [{"source_id": f"doc:{n}"}])
        log = bytearray(here.with_name(here.name + "-wal").read_bytes())
        data = here.read_bytes()
    for place in range(40, len(log), len(log) // 12):
        cut = tmp_path / "cut.db"
        for suffix in ("-wal", "-shm"):
            cut.with_name(f"cut.db{suffix}").unlink(missing_ok=True)
        cut.write_bytes(data)
        broken = bytearray(log)
        broken[place] ^= 0xFF
        cut.with_name("cut.db-wal").write_bytes(broken)
        with open_registry(cut, seed=False) as reg:
            assert maintenance.check(reg) == ()


def test_a_clock_set_back(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = fresh(prepared, tmp_path / "registry.db")
    past = datetime.now(UTC) - timedelta(hours=2)
    text = past.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with open_registry(here) as reg:
        row = audit.position(reg)[0]
        for module in (store, audit, sources):
            monkeypatch.setattr(module, "utc_now", lambda: text)
        sources.upsert_many(reg, [{"source_id": "doc:a"}])
        sources.upsert_many(reg, [{"source_id": "doc:b"}])
        second, first, last = audit.entries(reg, limit=3)
        assert [e.seq for e in (second, first, last)] == [row + 2, row + 1, row]
        assert first.at == text < last.at  # the clock as it stood
        assert first.origin.endswith(f" s behind row {row}") and "clock 7" in first.origin
        assert "clock" not in second.origin  # the same clock as the row before
        assert audit.verify(reg).ok and maintenance.check(reg) == ()


def test_a_log_of_another_file_is_not_taken_for_ours(prepared: Path, tmp_path: Path) -> None:
    """A restore must not leave the old file's log beside the new file."""
    here = fresh(prepared, tmp_path / "registry.db")
    with open_registry(here) as reg:
        backup = maintenance.backup(reg)
    data, old = here.read_bytes(), state_of(here)
    conn = sqlite3.connect(here)
    conn.execute("UPDATE sources SET display_name = 'changed'")
    conn.commit()
    log = here.with_name(here.name + "-wal").read_bytes()
    conn.close()
    here.write_bytes(b"\xff" * len(data))  # damaged, and with a log
    here.with_name(here.name + "-wal").write_bytes(log)
    done = maintenance.restore(here, backup)
    assert state_of(here) == old
    assert done.aside is not None
    assert done.aside.with_name(done.aside.name + "-wal").read_bytes() == log
