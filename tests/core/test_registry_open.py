"""First use, two processes at once, newer and damaged files, and how light the import is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import locations
from core.errors import Cancelled, DiskFull, RegistryError, RegistryNewer, SettingsError
from core.registry import Registry, audit, checklist, health, open_registry, opening, sources, store
from core.registry.migrations import migrations


def python(code: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=locations.project_root(),
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_import_is_light() -> None:
    heavy = "sqlite_utils pydantic torch numpy textual paramiko".split()
    modules = (
        "snapshots sources versions evaluations checklist jobs exports audit health"
        " maintenance writer points sharing ledger"
    )
    code = (
        f"import sys, importlib, core.registry\n"
        f"for m in {modules.split()}: importlib.import_module('core.registry.' + m)\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    out, err = python(code).communicate()
    assert out.strip() == "[]", err


def test_an_up_to_date_registry_opens_without_sqlite_utils() -> None:
    open_registry().close()
    code = (
        "import sys; from core.registry import open_registry; open_registry().close();"
        "print('sqlite_utils' in sys.modules, 'pydantic' in sys.modules)"
    )
    out, err = python(code).communicate()
    assert out.strip() == "False False", err


def test_migrations_are_those_the_quick_check_knows() -> None:
    assert tuple(m.name for m in migrations._migrations) == opening.MIGRATIONS


def test_first_use_fills_sources_and_items() -> None:
    with open_registry() as reg:
        assert reg.path == locations.registry_path()
        assert (len(sources.all(reg)), len(checklist.items(reg))) == (182, 16)
        assert sources.index(reg).domains >= {"doc", "compute-resources"}
        rows = audit.verify(reg).rows
    with open_registry() as reg:
        assert audit.verify(reg).rows == rows
        assert health.check(reg) == ()
        tables = reg.rows("SELECT name, strict FROM pragma_table_list WHERE type = 'table'")
        own = {r["name"] for r in tables if not r["name"].startswith(("sqlite_", "_sqlite"))}
        assert own == {r["name"] for r in tables if r["strict"]}


def test_several_first_opens_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "registry.db"
    go = tmp_path / "go"
    code = (
        "import sys, time, pathlib\n"
        "from core.registry import open_registry, sources, migrations, seed\n"
        "print('ready', flush=True)\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.001)\n"
        "with open_registry() as reg: print(len(sources.all(reg)))\n"
    )
    running = [python(code, QA_REGISTRY=str(path)) for _ in range(4)]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    go.touch()
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out.strip()) == (0, "182"), err
    with open_registry(path) as reg:
        assert [e.action for e in audit.entries(reg)] == ["sources.sample"]
        assert reg.value("SELECT count(*) FROM _sqlite_migrations") == len(opening.MIGRATIONS)
        assert health.check(reg) == ()


def test_a_broken_seed_file_stops_first_use_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = copy_configs(tmp_path, monkeypatch)
    (configs / "checklist.yaml").write_text("weeks: [{week: one}]")
    with pytest.raises(SettingsError):
        open_registry()
    shutil.copy(locations.project_root() / "configs" / "checklist.yaml", configs)
    with open_registry() as reg:
        assert len(checklist.items(reg)) == 16


def test_changed_seed_files_are_taken_over_and_edits_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = copy_configs(tmp_path, monkeypatch)
    file = configs / "corpus" / "sources.yaml"
    delta = "compute-resources:delta.ncsa.access-ci.org"
    with open_registry() as reg:
        row = {"source_id": delta, "display_name": "Ours", "url": "https://x.org"}
        sources.upsert_many(reg, [row], who="ada")
    text = file.read_text().replace("Delta Hardware", "D. Hardware").replace(
        "Anvil Hardware", "A. Hardware"
    )  # fmt: skip
    file.write_text(text)
    with open_registry() as reg:
        assert sources.get(reg, delta).display_name == "Ours"
        anvil = sources.get(reg, "compute-resources:anvil.purdue.access-ci.org")
        assert anvil.display_name == "A. Hardware Specifications"
    # a file that got broken later must not keep anybody from opening
    file.write_text("sources: [")
    with open_registry() as reg:
        assert isinstance(reg.seed_problem, SettingsError)
        assert len(sources.all(reg)) == 182


def copy_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    target = tmp_path / "configs"
    (target / "corpus").mkdir(parents=True)
    for name in ("checklist.yaml", "corpus/sources.yaml"):
        shutil.copy(locations.project_root() / "configs" / name, target / name)
    monkeypatch.setenv("QA_CONFIGS", str(target))
    return target


def test_a_newer_file_is_left_alone() -> None:
    with open_registry() as reg:
        reg.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
                    " VALUES ('registry', 'm999_future', 'x')")  # fmt: skip
        path = reg.path
    before = path.read_bytes()
    with pytest.raises(RegistryNewer) as e:
        open_registry()
    assert "m999_future" in e.value.why
    assert path.read_bytes() == before


def test_backup_before_a_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_registry() as reg:
        path = reg.path
    monkeypatch.setattr(opening, "MIGRATIONS", (*opening.MIGRATIONS, "m002_test"))
    monkeypatch.setattr(migrations, "_migrations", [*migrations._migrations])

    @migrations(name="m002_test")
    def _(db: object) -> None:
        db.conn.execute("CREATE TABLE added (x TEXT) STRICT")  # type: ignore[attr-defined]

    with open_registry() as reg:
        assert reg.value("SELECT count(*) FROM added") == 0
    (backup,) = path.parent.glob("registry.db.before-m002_test-*.bak")
    with sqlite3.connect(backup) as conn:
        assert conn.execute("SELECT count(*) FROM sources").fetchone() == (182,)
        assert not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'added'").fetchone()


def test_a_failing_migration_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_registry() as reg:
        path = reg.path
    monkeypatch.setattr(opening, "MIGRATIONS", (*opening.MIGRATIONS, "m002_test"))
    monkeypatch.setattr(migrations, "_migrations", [*migrations._migrations])

    @migrations(name="m002_test")
    def _(db: object) -> None:
        db.conn.execute("CREATE TABLE added (x TEXT) STRICT")  # type: ignore[attr-defined]
        db.conn.execute("SELECT * FROM nowhere")  # type: ignore[attr-defined]

    with pytest.raises(RegistryError, match="nowhere"):
        open_registry()
    with sqlite3.connect(path) as conn:
        assert not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'added'").fetchone()


def test_another_database_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE mine (x)")
    with pytest.raises(RegistryError, match="not a registry"):
        open_registry(path)


@pytest.mark.parametrize("damage", ["not sqlite at all, only text " * 40, "head"])
def test_a_damaged_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "registry.db"
    if damage == "head":
        open_registry(path).close()
        data = bytearray(path.read_bytes())
        data[100:4096] = b"\xff" * 3996
        path.write_bytes(data)
    else:
        path.write_text(damage)
    with pytest.raises(RegistryError) as e:
        open_registry(path)
    assert "damaged" in e.value.what and e.value.try_next


def test_check_finds_a_damaged_page(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with open_registry(path) as reg:
        root = reg.value("SELECT rootpage FROM sqlite_master WHERE name = 'audit'")
        size = reg.value("PRAGMA page_size")
    data = bytearray(path.read_bytes())
    data[(root - 1) * size : (root - 1) * size + 200] = b"\xff" * 200
    path.write_bytes(data)
    with open_registry(path) as reg:
        try:
            assert health.check(reg)
        except RegistryError as e:
            assert "damaged" in e.what


@contextmanager
def without_write_permission(folder: Path) -> Iterator[None]:
    """As root permission bits mean nothing: become nobody for the while."""
    root = os.geteuid() == 0
    folder.chmod(0o555)
    for parent in folder.parents:
        if (
            root
            and parent != parent.parent
            and parent.stat().st_uid == 0
            and "pytest" in str(parent)
        ):
            parent.chmod(0o755)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_read_only_folder(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    with without_write_permission(folder):
        for path in (folder / "registry.db", folder / "deeper" / "registry.db"):
            with pytest.raises(RegistryError) as e:
                open_registry(path)
            assert "QA_REGISTRY" in e.value.try_next
    open_registry(folder / "registry.db").close()
    with without_write_permission(folder), pytest.raises(RegistryError) as e:
        open_registry(folder / "registry.db")
    assert "writable" in e.value.try_next


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        open_registry(tmp_path)


def test_a_full_disk_leaves_nothing_half_done(reg: Registry) -> None:
    reg.execute(f"PRAGMA max_page_count = {reg.value('PRAGMA page_count')}")
    rows = [{"source_id": f"doc:{n}", "display_name": "x" * 500} for n in range(500)]
    with pytest.raises(DiskFull):
        sources.upsert_many(reg, rows)
    reg.execute("PRAGMA max_page_count = 100000")
    assert sources.all(reg) == ()
    assert health.check(reg) == ()
    assert sources.upsert_many(reg, rows) == 500


def test_a_busy_registry_says_so(reg: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_S", 0.05)
    with open_registry(seed=False) as other, reg.writing():
        assert audit.entries(other) == ()  # reading goes on
        with pytest.raises(RegistryError, match="busy"):
            sources.note_unknown(other, "doc:x")


def test_a_running_query_can_be_stopped(reg: Registry) -> None:
    calls = 0

    def stop() -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            reg.interrupt()
        return 0

    reg.conn.set_progress_handler(stop, 1000)
    endless = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    with pytest.raises(Cancelled):
        reg.value(endless)


def test_a_failed_change_is_rolled_back_whole(reg: Registry) -> None:
    with pytest.raises(ZeroDivisionError), reg.writing():
        sources.upsert_many(reg, [{"source_id": "doc:a"}])
        1 / 0  # noqa: B018
    assert sources.all(reg) == () and audit.verify(reg).rows == 0
